"""Delivering a task's input to its coding agent: once for each start that has something new to say.

The input is marked before anything of it leaves the server and confirmed after, by the answer or by its
turning up in the transcript. Our bridge knows prompts by id and takes each once, so a delivery cut short is
simply made again, if need be by the next start; with somebody else's server nobody can tell, so it is
reported as uncertain and never made again.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from uuid import UUID, uuid4

import msgspec
from asyncpg import UniqueViolationError

from taskyard.control import phases
from taskyard.control.actors import AgentActor
from taskyard.control.appclient import AppAddress, AppResponse, app_request
from taskyard.control.observe import Source, show_idle
from taskyard.control.services import Services
from taskyard.control.transcript import append_server_item
from taskyard.db import agents as agents_db
from taskyard.db import transcript as db
from taskyard.db.inbox import lock_task_as_system
from taskyard.db.pool import ring
from taskyard.errors import AppFailed, AppUnconnected, AppUrlEmpty, AppUrlScheme
from taskyard.lifecycle.sanitize import STATUS_MESSAGE_BYTES, cut_to_bytes
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import AgentLifecycle, AppHealth, AppStatusState
from taskyard.wire.link import ItemKind
from taskyard_agent import points

PROMPT_HEADER = "X-Taskyard-Prompt-Id"
"""Names a prompt to our bridge, which takes each id once."""

AFTER_HEADER = "X-Taskyard-Prompt-After"
"""With a prompt that is sent again: how far the workspace's record was held when it was marked. Our bridge refuses it
where its own record does not reach back so far."""

FIRST_POLL_S = 0.05
LAST_POLL_S = 1.0
"""How often an app is asked whether it takes input yet: soon at first, then each second."""

BUSY_CODES = frozenset({"busy", "not_ready", "dialog_open"})
"""Refusals of the bridge that pass, by themselves or by a person's answer; nothing was taken. Source: N37."""

OVERTAKING_S = 2.0
"""Seconds that a message waits for the input before it; a coding agent that is up takes that within milliseconds."""

LOST = "lost"
"""Refusal of the bridge: it cannot tell any more whether it has taken the prompt."""

CALLED_READY = (AgentLifecycle.READY, AgentLifecycle.START_ERROR, AgentLifecycle.START_TIMEOUT)


class _Status(msgspec.Struct):
    status: str = ""


class _Message(msgspec.Struct):
    content: str
    type: str


class _Error(msgspec.Struct):
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class _Delivery:
    """An input on its way: the row that asked for it, the prompt that stands for it, and where it goes."""

    row: db.DeliveryRow
    prompt_id: UUID
    is_ours: bool
    agent: AgentActor

    @property
    def address(self) -> AppAddress:
        """The app that takes it."""
        return AppAddress(self.agent.agent_id, self.row.url)


async def deliver_input(services: Services, agent: AgentActor) -> None:
    """Returns once this start's input was delivered, or there is nothing to deliver, or not yet.

    Called whenever the agent's or the app's state changed; waits for an app that is busy. Raises
    AgentUnreachable when the link breaks meanwhile: the next link tries again.
    """
    while (row := await _ready(services, agent)) is not None:
        is_ours = msgspec.json.decode(row.definition, type=Template).bridge_slug == row.slug
        delivery = _Delivery(row, row.prompt_id or uuid4(), is_ours, agent)
        if row.prompt_id is None:
            await _begin(services, delivery)
        elif row.prompt_state != "sending":
            pass  # this start has had its turn
        elif is_ours and row.prompt_content == row.input:
            await _repeat(services, delivery)
        else:
            await _give_up(services, delivery)
            continue  # what an earlier start left open may hide something new
        return


async def input_arrived(services: Services, agent_id: UUID) -> bool:
    """Whether nothing would overtake the input of the start that runs; waits a little while it is on its way."""
    clock, pauses = asyncio.get_running_loop().time, Pauses()
    until = clock() + OVERTAKING_S
    while await _is_on_its_way(services, agent_id):
        if clock() >= until:
            return False
        await pauses.wait()
    return True


async def _is_on_its_way(services: Services, agent_id: UUID) -> bool:
    async with services.db.connection() as conn:
        row = await db.get_delivery_as_system(conn, agent_id)
    return row is not None and row.prompt_of_this_start is True and row.prompt_state == "sending"


async def _ready(services: Services, agent: AgentActor) -> db.DeliveryRow | None:
    """What there is to know of the input; None: not yet, or not through this agent."""
    async with services.db.connection() as conn:
        row = await db.get_delivery_as_system(conn, agent.agent_id)
    if row is None or row.generation != agent.generation or row.lifecycle not in CALLED_READY:
        return None
    return row if row.health in (AppHealth.HEALTHY, AppHealth.DISABLED) else None


async def _begin(services: Services, delivery: _Delivery) -> None:
    """Delivers an input that is new; where there is none, says that the coding agent waits."""
    row = delivery.row
    if not row.input.strip() or row.input == row.last_delivered:
        if delivery.is_ours and not row.has_report:
            source = Source(row.workspace_id, delivery.agent.agent_id)
            async with services.db.transaction() as conn:
                await show_idle(conn, source, row.task_id, services.now())
        return
    try:
        delivery.address.target("message")
        if not delivery.is_ours:
            await until_stable(services, delivery.address)
    except (AppFailed, AppUrlEmpty, AppUrlScheme) as error:
        if await _mark(services, delivery):
            await _refused(services, delivery, str(error))
        return
    if await _mark(services, delivery):
        await points.reached("prompt.marked", str(row.workspace_id))
        await _send(services, delivery)


async def _repeat(services: Services, delivery: _Delivery) -> None:
    """Delivers again, under the same id, what may have arrived already; our bridge takes it once."""
    row = delivery.row
    if not row.prompt_of_this_start:
        async with services.db.transaction() as conn:
            if not await db.adopt_prompt_as_system(conn, delivery.prompt_id, row.build_id):
                return
    await _send(services, delivery)


async def _give_up(services: Services, delivery: _Delivery) -> None:
    cause = (
        "the workspace has lost its own record of it"
        if delivery.is_ours and delivery.row.prompt_content == delivery.row.input
        else "the server was cut off while it sent"
    )
    await _settle(
        services,
        delivery,
        "uncertain",
        f"The input may or may not have reached the coding agent: {cause}. "
        "See the conversation, and send it again if it is not there.",
    )


async def _send(services: Services, delivery: _Delivery) -> None:
    """Sends until the app has taken the input or refused it for good."""
    body = message_body(delivery.row.input)
    after_seq, pauses = delivery.row.after_seq, Pauses()
    while True:
        headers = {PROMPT_HEADER: str(delivery.prompt_id)} | after_header(after_seq)
        try:
            answer = await app_request(
                services.links, delivery.address, "POST", "message", body=body, headers=headers
            )
        except AppFailed as error:
            if not delivery.is_ours and not isinstance(error, AppUnconnected):
                sentence = f"The input may not have arrived: {error}."
                await _settle(services, delivery, "uncertain", sentence)
                return
        else:
            if answer.code not in BUSY_CODES:
                await points.reached("prompt.answered", str(delivery.row.workspace_id))
                await _conclude(services, delivery, answer)
                await points.reached("prompt.settled", str(delivery.row.workspace_id))
                return
        await pauses.wait()


async def _conclude(services: Services, delivery: _Delivery, answer: AppResponse) -> None:
    if answer.status == 200:
        await _settle(services, delivery, "delivered", None)
        return
    if delivery.is_ours and answer.code == LOST:
        await _give_up(services, delivery)
        return
    word = f" ({answer.code})" if answer.code else ""
    await _refused(services, delivery, f"the app answered with status {answer.status}{word}")


def message_body(text: str) -> bytes:
    """What an app is sent to take a prompt."""
    return msgspec.json.encode(_Message(content=text, type="user"))


def after_header(after_seq: int | None) -> dict[str, str]:
    """What tells our bridge that a prompt may have been sent before; nothing for one that is new."""
    return {} if after_seq is None else {AFTER_HEADER: str(after_seq)}


async def until_stable(services: Services, address: AppAddress) -> None:
    """Returns once the app says that it takes input."""
    pauses = Pauses()
    while True:
        # It is healthy by its check, so one failed look is no news.
        with contextlib.suppress(AppFailed):
            answer = await app_request(services.links, address, "GET", "status")
            if answer.status == 200 and _status(answer.body) == "stable":
                return
        await pauses.wait()


class Pauses:
    """Short at first, then a second each."""

    def __init__(self) -> None:
        self._next_s = FIRST_POLL_S

    async def wait(self) -> None:
        """Returns after the next pause."""
        await asyncio.sleep(self._next_s)
        self._next_s = min(self._next_s * 2, LAST_POLL_S)


def _status(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Status).status
    except (ValueError, RecursionError):
        return ""


async def _mark(services: Services, delivery: _Delivery) -> bool:
    """Notes that the input is on its way; False when it was noted by another."""
    now = services.now()
    try:
        async with services.db.transaction() as conn:
            await db.insert_prompt_as_system(conn, delivery.prompt_id, delivery.row, now)
    except UniqueViolationError:
        return False
    return True


async def _refused(services: Services, delivery: _Delivery, why: str) -> None:
    """The input did not arrive, and nobody will bring it again by itself; clients that wait see a failure."""
    sentence = f"The input was not taken: {why}. Pause and resume the task to try again."
    if await _settle(services, delivery, "failed", sentence):
        await _report(services, delivery, AppStatusState.FAILURE, sentence)


async def _settle(services: Services, delivery: _Delivery, state: str, error: str | None) -> bool:
    """Notes how the delivery ended; False when that was known already."""
    row, now = delivery.row, services.now()
    async with services.db.transaction() as conn:
        await lock_task_as_system(conn, row.task_id)  # first: items lock task and prompt so too
        if state == "delivered":  # first: items lock task and prompt in this order too
            await phases.prompt_settled(conn, row.build_id, state, None, now=now)
        settled = await db.settle_prompt_as_system(conn, delivery.prompt_id, state, error, now=now)
        if settled and error is not None:
            await phases.prompt_settled(conn, row.build_id, state, error, now=now)
            level = "warning" if state == "uncertain" else "error"
            await append_server_item(
                conn, row.workspace_id, ItemKind.ERROR, _Error(level, error), now=now
            )
        await ring(conn, "task", str(row.task_id))
    return settled


async def _report(
    services: Services, delivery: _Delivery, state: AppStatusState, message: str
) -> None:
    row = delivery.row
    async with services.db.transaction() as conn:
        await agents_db.insert_app_status_as_system(
            conn,
            agents_db.AppRefRow(row.app_id, row.workspace_id),
            delivery.agent.agent_id,
            state=state,
            message=cut_to_bytes(message, STATUS_MESSAGE_BYTES),
            uri="",
            now=services.now(),
        )
        await ring(conn, "task", str(row.task_id))
