"""Another generation's token, for an agent that stood still while its workspace was given a new one.

The driver opens a pipe before the workspace has its walls, and the agent alone inherits it: no other program of the
workspace can read it or write to it. The token is in it before anything runs again, so it is looked for before this
process believes that its time is over.
"""

import asyncio
import os
from collections.abc import Callable

import msgspec

READ_BYTES = 65536
"""What a pipe holds at most; a message has some hundred bytes."""


class NewToken(msgspec.Struct, frozen=True):
    """The workspace goes on as this generation, with this agent token."""

    generation: int
    token: str


class Inbox:
    """The agent's end of the pipe; None for an agent whose workspace is never frozen."""

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe
        if pipe is not None:
            os.set_inheritable(pipe, False)  # not for what this process starts
            os.set_blocking(pipe, False)

    def take(self) -> NewToken | None:
        """The newest token that has come, None when there is none."""
        if self._pipe is None:
            return None
        try:
            lines = os.read(self._pipe, READ_BYTES).splitlines()
            return msgspec.json.decode(lines[-1], type=NewToken) if lines else None
        except (OSError, msgspec.MsgspecError):
            return None

    def watch(self, on_news: Callable[[], None]) -> None:
        """From now on on_news is called, in the loop that runs, whenever something has come."""
        if self._pipe is not None:
            asyncio.get_running_loop().add_reader(self._pipe, on_news)
