"""The end of a conversation, as it is kept by the server while the workspace is stopped. Source: N21."""

from collections.abc import Sequence

import msgspec

from taskyard_agent.fetch import Answer, Ask, FetchFailed, fetch
from taskyard_agent.settings import AgentSettings

SNAPSHOT_BYTES = 65536
"""Largest body that the server takes. Source: T141."""

CUT_MARKER = "[cut] "
"""Stands before the only message of a snapshot when its beginning had to go."""

FOREIGN_S = 10.0
"""Seconds that somebody else's server has to tell its messages. Source: clients 4."""

FOREIGN_BYTES = 64 * 1024 * 1024
"""Longest conversation that is read from somebody else's server."""


class SnapshotMessage(msgspec.Struct):
    """One message; what a foreign server adds to it is dropped."""

    id: int = 0
    content: str = ""
    role: str = "agent"
    time: str | msgspec.UnsetType = msgspec.UNSET


class _Envelope(msgspec.Struct):
    messages: list[SnapshotMessage]


def fit(messages: Sequence[SnapshotMessage], max_bytes: int = SNAPSHOT_BYTES) -> bytes:
    """JSON of at most so many bytes with the newest messages that fit, whole ones; of a single one that is too long, its end."""
    kept: list[SnapshotMessage] = []
    size = len(msgspec.json.encode(_Envelope([]))) - 1  # no comma before the first message
    for message in reversed(messages):
        size += len(msgspec.json.encode(message)) + 1
        if size > max_bytes:
            break
        kept.append(message)
    if messages and not kept:
        kept = [_cut(messages[-1], max_bytes)]
    return msgspec.json.encode(_Envelope(kept[::-1]))


def _cut(message: SnapshotMessage, max_bytes: int) -> SnapshotMessage:
    empty = msgspec.structs.replace(message, content=CUT_MARKER)
    room = max_bytes - len(msgspec.json.encode(_Envelope([empty])))
    low, high = 0, min(len(message.content), room)
    while low < high:
        middle = (low + high + 1) // 2
        if len(msgspec.json.encode(message.content[-middle:])) - 2 <= room:
            low = middle
        else:
            high = middle - 1
    end = message.content[-low:] if low else ""
    return msgspec.structs.replace(message, content=CUT_MARKER + end)


async def foreign_messages(url: str, timeout_s: float) -> list[SnapshotMessage]:
    """The messages of somebody else's AgentAPI server. Raises FetchFailed."""
    ask = Ask(url, "/messages", max_bytes=FOREIGN_BYTES)
    answer = await fetch(ask, min(timeout_s, FOREIGN_S))
    if answer.status != 200:
        raise FetchFailed(f"it answered with status {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=_Envelope).messages
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FetchFailed(f"its messages cannot be read: {error}") from error


async def upload(
    settings: AgentSettings, task_id: str, snapshot: bytes, timeout_s: float
) -> Answer:
    """What the server says to the snapshot; 204 when it keeps it. Raises FetchFailed."""
    ask = Ask(
        settings.url,
        f"/api/v2/workspaceagents/me/tasks/{task_id}/log-snapshot?format=agentapi",
        method="POST",
        headers={"Coder-Session-Token": settings.token, "Content-Type": "application/json"},
        body=snapshot,
    )
    return await fetch(ask, timeout_s)
