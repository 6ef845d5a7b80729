"""Delivering a task's input to its coding agent: once for each start that has something new to say.

The input is marked before anything of it leaves the server and confirmed after. Our bridge knows
prompts by id and takes each once, so a delivery cut short is simply made again; with somebody else's server
nobody can tell, so it is reported as uncertain and never made again.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid4

import msgspec
from asyncpg import UniqueViolationError

from taskyard.control.actors import AgentActor
from taskyard.control.appclient import AppAddress, app_request
from taskyard.control.services import Services
from taskyard.control.transcript import append_server_item
from taskyard.db import agents as agents_db
from taskyard.db import transcript as db
from taskyard.db.pool import ring
from taskyard.errors import AppFailed
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import AgentLifecycle, AppHealth, AppStatusState
from taskyard.wire.link import ItemKind

PROMPT_HEADER = "X-Taskyard-Prompt-Id"
"""Names a prompt to our bridge, which takes each id once."""

FIRST_POLL_S = 0.05
LAST_POLL_S = 1.0
"""How often an app is asked whether it takes input yet: soon at first, then each second."""

BUSY_CODES = frozenset({"busy", "not_ready"})
"""Refusals of the bridge that pass by themselves. Source: N37."""

CALLED_READY = (AgentLifecycle.READY, AgentLifecycle.START_ERROR, AgentLifecycle.START_TIMEOUT)


class _Status(msgspec.Struct):
    status: str = ""


class _Message(msgspec.Struct):
    content: str
    type: str


class _Error(msgspec.Struct):
    level: str
    message: str


class _Step(StrEnum):
    WAIT = "wait"
    NOTHING = "nothing"
    DELIVER = "deliver"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class _Plan:
    step: _Step
    prompt_id: UUID
    row: db.DeliveryRow


async def deliver_input(services: Services, agent: AgentActor) -> None:
    """Returns once this start's input was delivered, or there is nothing to deliver, or not yet.

    Called whenever the agent's or the app's state changed; waits for an app that is busy. Raises
    AgentUnreachable when the link breaks meanwhile: the next link tries again.
    """
    plan = await _plan(services, agent)
    match plan:
        case None:
            return
        case _Plan(step=_Step.NOTHING):
            await _report_idle(services, agent, plan.row)
        case _Plan(step=_Step.GIVE_UP):
            sentence = "The input may or may not have reached the coding agent: the server was cut off while sending."
            await _settle(services, plan, "uncertain", sentence)
        case _Plan(step=_Step.DELIVER):
            await _deliver(services, agent, plan)


async def _plan(services: Services, agent: AgentActor) -> _Plan | None:
    """What to do now; None: not yet, or not through this agent."""
    async with services.db.connection() as conn:
        row = await db.get_delivery_as_system(conn, agent.agent_id)
    if row is None or row.generation != agent.generation:
        return None
    if row.lifecycle not in CALLED_READY or row.health not in (
        AppHealth.HEALTHY,
        AppHealth.DISABLED,
    ):
        return None
    if row.prompt_id is not None and row.prompt_state == "sending":
        return _Plan(_Step.DELIVER if _is_ours(row) else _Step.GIVE_UP, row.prompt_id, row)
    is_new = row.input.strip() != "" and row.input != row.last_delivered
    step = _Step.DELIVER if row.prompt_id is None and is_new else _Step.NOTHING
    return _Plan(step, row.prompt_id or uuid4(), row)


async def _deliver(services: Services, agent: AgentActor, plan: _Plan) -> None:
    address = AppAddress(agent.agent_id, plan.row.url)
    await _until_stable(services, address)
    if plan.row.prompt_id is None and not await _mark(services, plan):
        return
    body = msgspec.json.encode(_Message(content=plan.row.input, type="user"))
    pause_s = FIRST_POLL_S
    while True:
        try:
            answer = await app_request(
                services.links,
                address,
                "POST",
                "message",
                body=body,
                headers={PROMPT_HEADER: str(plan.prompt_id)},
            )
        except AppFailed as error:
            await _settle(services, plan, "uncertain", f"The input may not have arrived: {error}")
            return
        if answer.status == 200:
            await _settle(services, plan, "delivered", None)
            return
        if answer.code not in BUSY_CODES:
            reason = f"The app refused the input with status {answer.status}."
            await _settle(services, plan, "failed", reason)
            return
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LAST_POLL_S)


async def _until_stable(services: Services, address: AppAddress) -> None:
    """Returns once the app says that it takes input."""
    pause_s = FIRST_POLL_S
    while True:
        try:
            answer = await app_request(services.links, address, "GET", "status")
            if answer.status == 200 and _status(answer.body) == "stable":
                return
        except AppFailed:
            pass  # it is healthy by its check; one failed look is no news
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LAST_POLL_S)


def _status(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Status).status
    except msgspec.DecodeError:
        return ""


async def _mark(services: Services, plan: _Plan) -> bool:
    """Notes that the input is on its way; False when it was noted by another."""
    now = services.now()
    try:
        async with services.db.transaction() as conn:
            await db.insert_prompt_as_system(conn, plan.prompt_id, plan.row, now)
    except UniqueViolationError:
        return False
    return True


async def _settle(services: Services, plan: _Plan, state: str, error: str | None) -> None:
    now = services.now()
    async with services.db.transaction() as conn:
        settled = await db.settle_prompt_as_system(conn, plan.prompt_id, state, error, now=now)
        if settled and error is not None:
            level = "warning" if state == "uncertain" else "error"
            await append_server_item(
                conn, plan.row.workspace_id, ItemKind.ERROR, _Error(level, error), now=now
            )
        await ring(conn, "task", str(plan.row.task_id))


async def _report_idle(services: Services, agent: AgentActor, row: db.DeliveryRow) -> None:
    """Says that the coding agent waits, where this start has said nothing yet and the bridge is ours."""
    if row.has_report or not _is_ours(row):
        return
    app = agents_db.AppRefRow(row.app_id, row.workspace_id)
    async with services.db.transaction() as conn:
        await agents_db.insert_app_status_as_system(
            conn,
            app,
            agent.agent_id,
            state=AppStatusState.IDLE,
            message="Waiting for input.",
            uri="",
            now=services.now(),
        )
        await ring(conn, "task", str(row.task_id))


def _is_ours(row: db.DeliveryRow) -> bool:
    return msgspec.json.decode(row.definition, type=Template).bridge_slug == row.slug
