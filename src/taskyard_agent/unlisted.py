"""Names and places that programs asked for and that the template does not list: told to the server, a few at a time.

Its owner then reads them among what was refused. A program that asks for endlessly many keeps nobody busy.
"""

import asyncio
from collections.abc import Awaitable, Callable

PAUSE_S = 1.0
"""Seconds between two of a kind: sixty a minute cost the server sixty statements."""

WAITING = 100
"""Names that wait to be told; more are not, unless they are asked for again later."""

KNOWN = 1000
"""Names that are told but once, until so many others came after them."""


class Unlisted:
    """Names on their way to the server. ask tells it one, and fails for nothing."""

    def __init__(self, ask: Callable[[str], Awaitable[None]]) -> None:
        self._ask = ask
        self._known: dict[str, None] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def add(self, name: str) -> None:
        """Nothing; the name will be told, unless it was, or too many others wait."""
        plain = "".join(char if "!" <= char <= "~" else "?" for char in name)
        if not plain or plain in self._known or self._waiting.full():
            return
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[plain] = None
        self._waiting.put_nowait(plain)

    async def run(self) -> None:
        """Tells names until it is cancelled."""
        while True:
            await self._ask(await self._waiting.get())
            await asyncio.sleep(PAUSE_S)
