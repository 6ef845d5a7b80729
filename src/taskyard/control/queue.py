"""Delivering queued prompts to a task's coding agent: in order, each once, whenever it is idle.

A prompt is marked, and the mark committed, before anything of it leaves the server. Our bridge knows prompts by
id and takes each once, so a delivery cut short is made again under the same id, and the bridge's own record decides.
With somebody else's server nobody can tell: the prompt is uncertain, is shown as that, and is never sent again.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from taskyard.control import phases
from taskyard.control.actors import AgentActor
from taskyard.control.appclient import AppAddress, AppResponse, app_request
from taskyard.control.prompts import (
    BUSY_CODES,
    CALLED_READY,
    LOST,
    PROMPT_HEADER,
    Pauses,
    after_header,
    message_body,
    until_stable,
)
from taskyard.control.services import Services
from taskyard.control.transcript import append_server_item
from taskyard.db import inbox as db
from taskyard.db.pool import ring
from taskyard.db.transcript import settle_prompt_as_system
from taskyard.errors import AppFailed, AppUnconnected, AppUrlEmpty, AppUrlScheme
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import AppHealth, PromptState
from taskyard.wire.link import ItemKind
from taskyard_agent import points

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

UNSEEN_FOR: Final = timedelta(seconds=30)
"""How long the next prompt waits for news of one that was taken: items come within a second, or never."""

UNFIT: Final = frozenset({"empty", "text_only", "too_large", "invalid"})
"""Refusals of a prompt that will never be taken."""


class _Item(msgspec.Struct):
    level: str
    message: str


class _Fate(msgspec.Struct):
    state: str = ""
    code: str | None = None


class _Next(Enum):
    """What to do once a delivery was tried."""

    GO_ON = "the next one has its turn"
    LATER = "wait for news"


@dataclass(frozen=True, slots=True)
class _Letter:
    """A queued prompt on its way. is_again: it was, before; after_seq: how far the record was held then."""

    row: db.HeadRow
    agent: AgentActor
    is_ours: bool
    is_again: bool

    @property
    def address(self) -> AppAddress:
        """The app that takes it."""
        return AppAddress(self.agent.agent_id, self.row.url)


async def deliver_queue(services: Services, agent: AgentActor) -> bool:
    """Delivers what may go out now; whether anything is left that waits for news.

    Raises AgentUnreachable when the link breaks meanwhile: the next link tries again.
    """
    if agent.task_id is None:
        return False
    while True:
        async with services.db.connection() as conn:
            if not await db.has_open_prompts_as_system(conn, agent.task_id):
                return False
            row = await _head(conn, services, agent)
        if row is None or await _step(services, agent, row) is _Next.LATER:
            return True


async def _step(services: Services, agent: AgentActor, row: db.HeadRow) -> _Next:
    """Brings the first prompt as far as it gets now."""
    is_ours = msgspec.json.decode(row.definition, type=Template).bridge_slug == row.slug
    if row.prompt_state is PromptState.SENDING:
        letter = _Letter(row, agent, is_ours, is_again=True)
        return await (_send(services, letter) if is_ours else _give_up(services, letter))
    why = await _unreachable(services, agent, row, is_ours=is_ours)
    if is_ours and why is None and not (row.is_idle and not row.is_new):
        return _Next.LATER
    fresh = await _mark(services, agent, is_ours=is_ours)
    if fresh is None:
        return _Next.LATER
    await points.reached("prompt.marked", str(fresh.workspace_id))
    letter = _Letter(fresh, agent, is_ours, is_again=False)
    if why is not None:
        return await _fail(services, letter, why)
    return await _send(services, letter)


async def _unreachable(
    services: Services, agent: AgentActor, row: db.HeadRow, *, is_ours: bool
) -> str | None:
    """Why the app will never take anything; None once it takes a prompt, as far as it tells without the record."""
    address = AppAddress(agent.agent_id, row.url)
    try:
        address.target("message")
        if not is_ours:
            await until_stable(services, address)
    except (AppFailed, AppUrlEmpty, AppUrlScheme) as error:
        return str(error)
    return None


async def _head(conn: "Connection", services: Services, agent: AgentActor) -> db.HeadRow | None:
    """The prompt whose turn it is, when agent and app are well."""
    row = await db.get_queue_head_as_system(
        conn, agent.agent_id, agent.generation, services.now() - UNSEEN_FOR
    )
    if row is None or row.lifecycle not in CALLED_READY:
        return None
    return row if row.health in (AppHealth.HEALTHY, AppHealth.DISABLED) else None


async def _mark(services: Services, agent: AgentActor, *, is_ours: bool) -> db.HeadRow | None:
    """The first prompt as it is now, marked as being on its way; None: not yet, or no more.

    While the task is held no item is stored and nobody moves a prompt, so that what is read is true.
    """
    assert agent.task_id is not None
    async with services.db.transaction() as conn:
        if not await db.lock_task_as_system(conn, agent.task_id):
            return None
        row = await _head(conn, services, agent)
        if row is None or row.is_held or row.prompt_state is not PromptState.WAITING:
            return None
        if is_ours and (row.is_new or not row.is_idle):
            return None
        await db.mark_sending_as_system(conn, row.prompt_id, row.acked_seq, services.now())
        await ring(conn, "task", str(row.task_id))
    return msgspec.structs.replace(row, after_seq=row.acked_seq)


async def _send(services: Services, letter: _Letter) -> _Next:
    """Sends until there is an answer; each try is under the same id."""
    row, pauses, is_again = letter.row, Pauses(), letter.is_again
    body = message_body(row.content)
    while True:
        headers = {PROMPT_HEADER: str(row.prompt_id)} | after_header(
            row.after_seq if is_again else None
        )
        try:
            answer = await app_request(
                services.links, letter.address, "POST", "message", body=body, headers=headers
            )
        except AppFailed as error:
            if isinstance(error, AppUnconnected):
                if not is_again:
                    return await _put_back(services, letter)
            else:
                is_again = True
                if not letter.is_ours:
                    sentence = f"The prompt may not have arrived: {error}."
                    return await _settle(services, letter, PromptState.UNCERTAIN, sentence)
        else:
            await points.reached("prompt.answered", str(row.workspace_id))
            return await _conclude(services, letter, answer)
        await pauses.wait()


async def _conclude(services: Services, letter: _Letter, answer: AppResponse) -> _Next:
    """What the answer makes of the prompt."""
    if answer.status == 200:
        return await _settle(services, letter, PromptState.DELIVERED, None)
    word = f" ({answer.code})" if answer.code else ""
    why = f"the app answered with status {answer.status}{word}"
    if not letter.is_ours or answer.code in UNFIT or answer.status in (413, 422):
        return await _fail(services, letter, why)
    if answer.code == LOST:
        return await _give_up(services, letter)
    if answer.code in BUSY_CODES:
        return await _put_back(services, letter)
    return await _ask(services, letter)


async def _ask(services: Services, letter: _Letter) -> _Next:
    """Asks the bridge's record what a refusal leaves open: an agent may have died of the prompt, or before it."""
    path = f"v2/prompts/{quote(str(letter.row.prompt_id))}"
    try:
        answer = await app_request(services.links, letter.address, "GET", path)
    except AppFailed:
        return _Next.LATER
    if answer.status == 404 and answer.code == "unknown":
        return await _put_back(services, letter)
    try:
        fate = msgspec.json.decode(answer.body, type=_Fate)
    except (ValueError, RecursionError):
        return _Next.LATER
    if answer.status != 200 or not fate.state:
        return _Next.LATER
    if fate.code == LOST:
        return await _give_up(services, letter)
    return await _settle(services, letter, PromptState.DELIVERED, None)


async def _put_back(services: Services, letter: _Letter) -> _Next:
    """It certainly did not arrive: it waits again, first in line, and may be moved, changed or taken back."""
    async with services.db.transaction() as conn:
        await db.put_back_as_system(conn, letter.row.prompt_id)
        await ring(conn, "task", str(letter.row.task_id))
    return _Next.LATER


async def _give_up(services: Services, letter: _Letter) -> _Next:
    cause = (
        "the workspace has lost its own record of it"
        if letter.is_ours
        else "the server was cut off while it sent"
    )
    return await _settle(
        services,
        letter,
        PromptState.UNCERTAIN,
        f"A queued prompt may or may not have reached the coding agent: {cause}. "
        "See the conversation, and send it again if it is not there.",
    )


async def _fail(services: Services, letter: _Letter, why: str) -> _Next:
    sentence = f"A queued prompt was not taken: {why}. Change it, and send it again."
    return await _settle(services, letter, PromptState.FAILED, sentence)


async def _settle(
    services: Services, letter: _Letter, state: PromptState, error: str | None
) -> _Next:
    """Notes how the delivery ended, and says in the transcript what went wrong; then the next one has its turn."""
    row, now = letter.row, services.now()
    async with services.db.transaction() as conn:
        await db.lock_task_as_system(
            conn, row.task_id
        )  # first: items lock task and prompt in this order too
        settled = await settle_prompt_as_system(conn, row.prompt_id, state, error, now=now)
        if settled:  # of a start that has nothing else to say it is the first prompt
            await phases.prompt_settled(conn, row.build_id, state, error, now=now)
        if settled and error is not None:
            level = "warning" if state is PromptState.UNCERTAIN else "error"
            item = _Item(level, error)
            await append_server_item(conn, row.workspace_id, ItemKind.ERROR, item, now=now)
        await ring(conn, "task", str(row.task_id))
    await points.reached("prompt.settled", str(row.workspace_id))
    return _Next.GO_ON
