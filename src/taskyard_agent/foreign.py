"""Watches somebody else's AgentAPI server, so that its task has a state: working, or idle."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from taskyard_agent.fetch import Ask, FetchFailed, fetch
from taskyard_agent.settings import AgentSettings

LOOK_S: Final = 1.0
"""Usual pause between looks; whoever waits for a task looks no more often than that."""

TIMEOUT_S: Final = 10.0
"""Seconds that the server, or ours, may take to answer one look."""

SAID: Final = {
    "running": ("working", "Working on the input."),
    "stable": ("idle", "Waiting for input."),
}
"""What each of its statuses means for the task, and the sentence for people."""


class _Status(msgspec.Struct):
    status: str


Report = Callable[[str, str], Awaitable[bool]]
"""Tells the server a state and a sentence; whether it has taken them."""


async def watch_status(url: str, report: Report, pause_s: float = LOOK_S) -> None:
    """Looks for ever and reports each change: work at once, idleness once it was seen twice in a row.

    A server that has just come up is stable for a moment before the task's input reaches it.
    """
    told = before = None
    while True:
        seen = await _look(url)
        is_sure = seen in ("running", before)
        if seen in SAID and is_sure and seen != told and await report(*SAID[seen]):
            told = seen
        before = seen
        await asyncio.sleep(pause_s)


async def _look(url: str) -> str | None:
    """The status that the server gives; None when it gives none."""
    try:
        answer = await fetch(Ask(url, "/status"), TIMEOUT_S)
        return msgspec.json.decode(answer.body, type=_Status).status
    except (FetchFailed, msgspec.DecodeError, UnicodeDecodeError):
        return None


async def report_status(settings: AgentSettings, slug: str, state: str, message: str) -> bool:
    """Tells the server the state of a task's app, as a reporter of its own would. Source: T147."""
    body = {"app_slug": slug, "state": state, "message": message, "uri": ""}
    ask = Ask(
        settings.url,
        "/api/v2/workspaceagents/me/app-status",
        method="PATCH",
        headers={"Coder-Session-Token": settings.token, "Content-Type": "application/json"},
        body=msgspec.json.encode(body),
    )
    try:
        answer = await fetch(ask, TIMEOUT_S)
    except FetchFailed:
        return False
    return answer.status == 200
