"""How a bridge is set up: who may call it, and how much of everything it takes."""

from collections.abc import Container
from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken, each in the unit of its name; `/v2/session` shows all of them. Source: N41.

    body_bytes: of a JSON body on AgentAPI's routes, which is too large when it has as many.
    v2_body_bytes: the same on `/v2`. upload_bytes: of one file. uploads_bytes: of all of them together.
    streams: answers without an end that are open at once. queued_prompts: waiting prompts. tool_bytes: of a
    tool call's input, output, content and places in one item, all together. transcript_bytes: on disk; beyond it the oldest
    items go.
    """

    body_bytes: int = MIB
    v2_body_bytes: int = 8 * MIB
    upload_bytes: int = 10 * MIB
    uploads_bytes: int = GIB
    streams: int = 256
    queued_prompts: int = 100
    tool_bytes: int = 256 * KIB
    transcript_bytes: int = GIB


ALLOWED_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ALLOWED_ORIGINS = ("http://localhost:3284", "http://localhost:3000", "http://localhost:3001")
"""Defaults of AgentAPI. Source: agentapi 3."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a bridge allows.

    hosts and origins: as the lists of A2 and A3 are written. token null: callers need none. queue: whether
    prompts may wait here; under a server they wait there. chat_base: where the chat page is, for `/`.
    inline_tools: each tool call makes a line in the conversation.
    answerers: ports of the loopback from which requests for permission may be answered; null: any caller may.
    """

    hosts: tuple[str, ...] = ALLOWED_HOSTS
    origins: tuple[str, ...] = ALLOWED_ORIGINS
    token: str | None = field(default=None, repr=False)
    queue: bool = False
    chat_base: str = "/chat"
    limits: Limits = Limits()
    inline_tools: bool = True
    answerers: Container[int] | None = None
