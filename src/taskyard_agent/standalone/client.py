"""How `attach` talks to a bridge: JSON requests, and server-sent events as they come."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from taskyard_agent.fetch import Answer, Ask, FetchFailed, connected, fetch

DEFAULT_URL = "localhost:3284"

REQUEST_S = 30.0
"""Seconds for one request: a terminal may take 15 to react to a message. Source: A33."""


class BridgeFailed(Exception):
    """The bridge refused or does not answer; str() is a sentence."""


class _Error(msgspec.Struct):
    message: str = ""


class _Problem(msgspec.Struct):
    detail: str = ""
    errors: list[_Error] = []


@dataclass(frozen=True, slots=True)
class BridgeClient:
    """A bridge by its URL. headers go with each request."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, url: str, token: str | None = None) -> "BridgeClient":
        """The bridge behind a URL; without a scheme it is http. Raises BridgeFailed."""
        whole = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(whole)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise BridgeFailed(f"{url!r} is no URL of a bridge; it looks like {DEFAULT_URL}.")
        return cls(whole.rstrip("/"), {} if token is None else {"Authorization": f"Bearer {token}"})

    async def get(self, path: str, timeout_s: float = REQUEST_S) -> Answer:
        """The answer, whatever its status. Raises BridgeFailed when there is none."""
        return await self._send(Ask(self.url, path, headers=self.headers), timeout_s)

    async def post(self, path: str, body: object) -> None:
        """The bridge has done it. Raises BridgeFailed with the bridge's own words."""
        headers = self.headers | {"Content-Type": "application/json"}
        ask = Ask(self.url, path, "POST", headers, json.dumps(body).encode())
        answer = await self._send(ask, REQUEST_S)
        if answer.status >= 400:
            raise BridgeFailed(_why(answer))

    async def _send(self, ask: Ask, timeout_s: float) -> Answer:
        try:
            return await fetch(ask, timeout_s)
        except FetchFailed as error:
            raise BridgeFailed(f"The bridge at {self.url} does not answer: {error}.") from error

    async def events(self, path: str) -> AsyncIterator[tuple[str, bytes]]:
        """Name and JSON of each event until the bridge hangs up. Raises BridgeFailed."""
        ask = Ask(self.url, path, headers=self.headers)
        name, rest = "", b""
        try:
            async with connected(ask) as (status, pieces):
                if status != 200:
                    raise BridgeFailed(f"The bridge does not show {path}: status {status}.")
                async for piece in pieces:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if line.startswith(b"event: "):
                            name = line[7:].decode(errors="replace").strip()
                        elif line.startswith(b"data: "):
                            yield name, line[6:]
        except FetchFailed as error:
            raise BridgeFailed(f"The bridge at {self.url} is gone: {error}.") from error


def _why(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    said = next((error.message for error in problem.errors if error.message), problem.detail)
    return said or f"The bridge refused with status {answer.status}."
