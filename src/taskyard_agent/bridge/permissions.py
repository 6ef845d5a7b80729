"""Requests of a coding agent for permission: who answers them, and when. Source: N11."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from taskyard_agent.acp import Answer, AnsweredBy, Asked, ModeLimit, PermissionRequest
from taskyard_agent.acp_permissions import NO_LIMIT, Policy, choose_option
from taskyard_agent.bridge.own_tool import is_own_tool
from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.session import OpenPermission, Refused
from taskyard_agent.bridge.tools import ToolState
from taskyard_agent.protocol import ItemKind, Waiting

ANSWERED_KEPT = 1_000
"""Ids of answered requests remembered, so that a second answer is told from one to nothing."""

TITLE_CHARS = 500
"""Characters of a title that are shown; a command may be as long as it likes."""


class _Open:
    """A request that waits for a person, until `timer` says that it waited long enough."""

    def __init__(self, asked: Asked, shown: OpenPermission) -> None:
        self.asked = asked
        self.shown = shown
        self.timer: asyncio.TimerHandle | None = None


class Permissions:
    """All requests of one session. The policy answers at once, or people do in their time.

    on_change: called when a request begins to wait, or no longer does.
    """

    def __init__(self, record: Record, policy: Policy, timeout_s: float | None) -> None:
        self.limit: ModeLimit = NO_LIMIT
        self.on_change: Callable[[], None] = lambda: None
        self._record = record
        self._policy = policy
        self._timeout_s = timeout_s
        self._open: dict[str, _Open] = {}
        self._answered: dict[str, None] = {}

    def asked(self, asked: Asked, tool: ToolState | None) -> None:
        """Stores the request, and answers it unless a person is to. tool: what it is about."""
        own = is_own_tool(asked.request, tool)
        waits = self._policy is Policy.ASK and not own and not asked.cancelled
        shown = self._shown(asked.request, tool, waits=waits)
        self._record.put(ItemKind.PERMISSION_REQUEST, shown)
        if waits:
            self._keep(asked, shown)
        elif not asked.cancelled:
            policy = Policy.ALLOW if own else self._policy
            option = choose_option(asked.request, policy, self.limit)
            asked.answer(Answer(option, AnsweredBy.POLICY))
            if option is None and policy is Policy.ALLOW:
                self._warn(shown.title)

    def _shown(
        self, request: PermissionRequest, tool: ToolState | None, *, waits: bool
    ) -> OpenPermission:
        title = request.title or (tool.title if tool is not None else "") or request.tool_kind
        expires_at = None
        if waits and self._timeout_s is not None:
            expires_at = self._record.now() + timedelta(seconds=self._timeout_s)
        return OpenPermission(
            request.id,
            title[:TITLE_CHARS] or "The coding agent asks for permission.",
            request.options,
            expires_at,
        )

    def _keep(self, asked: Asked, shown: OpenPermission) -> None:
        waiting = self._open[shown.id] = _Open(asked, shown)
        if self._timeout_s is not None:
            loop = asyncio.get_running_loop()
            waiting.timer = loop.call_later(self._timeout_s, self._expire, asked)
        self.on_change()

    def _expire(self, asked: Asked) -> None:
        option = choose_option(asked.request, Policy.DENY, self.limit)
        asked.answer(Answer(option, AnsweredBy.TIMEOUT))

    def _warn(self, title: str) -> None:
        told = "A permission request was cancelled: none of its options allows just what it asks"
        self._record.fault(f"{told} ({title}).", level="warning")

    def answered(self, request: PermissionRequest, answer: Answer) -> None:
        """Stores the answer that the agent got."""
        self._answered[request.id] = None
        for old in list(self._answered)[:-ANSWERED_KEPT]:
            del self._answered[old]
        data = {
            "id": request.id,
            "option_id": answer.option_id,
            "outcome": "cancelled" if answer.option_id is None else "selected",
            "by": answer.by,
            "name": answer.name,
        }
        self._record.put(ItemKind.PERMISSION_RESPONSE, data)
        waited = self._open.pop(request.id, None)
        if waited is not None:
            if waited.timer is not None:
                waited.timer.cancel()
            self.on_change()

    def waiting(self) -> Waiting | None:
        """What a person is to answer first, None when nothing waits."""
        for waiting in self._open.values():
            return Waiting("permission", waiting.shown.id, waiting.shown.title)
        return None

    def list(self) -> list[OpenPermission]:
        """Requests that wait for a person, oldest first."""
        return [waiting.shown for waiting in self._open.values()]

    def answer(self, request_id: str, option_id: str | None, name: str | None) -> None:
        """A person's answer reached the agent. Raises Refused: unknown, answered, no_such_option."""
        waiting = self._open.get(request_id)
        if waiting is None:
            raise self._refusal(request_id)
        offered = [option.option_id for option in waiting.shown.options]
        if option_id is not None and option_id not in offered:
            told = f"There is no option {option_id!r}. Offered are: {', '.join(offered)}."
            raise Refused("no_such_option", told)
        waiting.asked.answer(Answer(option_id, AnsweredBy.PERSON, name))

    def _refusal(self, request_id: str) -> Refused:
        if request_id in self._answered:
            return Refused("answered", f"The permission request {request_id} was answered before.")
        told = f"There is no permission request {request_id!r}. Look at the open ones."
        return Refused("unknown", told)
