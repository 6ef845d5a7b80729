"""What an attached client and the server say to each other over the WebSocket of `attach_task`.

Text messages are JSON objects with a `type`; binary messages, which only the server sends, are what the
program wrote to its terminal, byte for byte. The first message is `attached`, the last one `ended`. Whatever a
client sends is done in the order in which it came; what cannot be done is answered by `refused`, and the
session goes on.
"""

from enum import StrEnum

import msgspec


class AttachTransport(StrEnum):
    """How the coding agent is talked to: over its terminal, or by messages."""

    TERMINAL = "pty"
    MESSAGES = "acp"


class Attached(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="attached"):
    """What comes now: bytes of a terminal, or items of a transcript. may_type: whether the caller may send.

    cols, rows: how large the program's terminal is; 0 over ACP, and when nobody knows.
    """

    transport: AttachTransport
    agent: str
    may_type: bool
    cols: int = 0
    rows: int = 0


class AttachedItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="item"):
    """One item of the transcript, as the workspace stored it: an object with seq, time, turn, kind and data."""

    item: msgspec.Raw


class AttachRefused(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="refused"):
    """Something that was sent could not be done; reason is one word for programs."""

    reason: str
    message: str
    detail: str


class AttachEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ended"):
    """There is nothing more to come; message says why."""

    reason: str
    message: str


FromServer = Attached | AttachedItem | AttachRefused | AttachEnded


class AttachKeys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="keys"):
    """Characters for the program's terminal, as they are typed."""

    data: str


class AttachResize(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resize"):
    """How large the caller's terminal is."""

    cols: int
    rows: int


class AttachPrompt(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="prompt"):
    """A message for the coding agent, refused unless it takes one now."""

    text: str


class AttachInterrupt(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="interrupt"):
    """The turn that is under way is asked to end."""


class AttachAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="answer"):
    """The answer to a request for permission; option_id empty: it is cancelled."""

    id: str
    option_id: str = ""


FromClient = AttachKeys | AttachResize | AttachPrompt | AttachInterrupt | AttachAnswer
