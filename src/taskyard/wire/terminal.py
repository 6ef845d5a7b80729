"""What the client of a shell and the server say to each other over the WebSocket of `open_terminal`.

Binary messages are bytes, both ways: what is typed, and what the shell writes. Text messages are JSON objects with a
`type`: the first of the server is `opened`, its last one `ended`; the client says `resize`.
"""

from uuid import UUID

import msgspec


class TerminalQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which shell. id: one that was opened before; empty for a new one. command: run by bash, else a login shell."""

    id: str = ""
    cols: int = 80
    rows: int = 24
    command: str = ""


class TerminalOpened(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="opened"):
    """The shell is there. fresh: it was not before; else the end of what it wrote comes first."""

    id: UUID
    fresh: bool


class TerminalEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ended"):
    """There is nothing more to come; message says why, reason in one word."""

    reason: str
    message: str


class TerminalResize(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resize"):
    """How large the caller's terminal is now."""

    cols: int
    rows: int


FromServer = TerminalOpened | TerminalEnded
FromClient = TerminalResize
