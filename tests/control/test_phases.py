"""What a start goes through is written as it happens, whoever dies, lies or comes late."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from taskyard.control import agents, phases
from taskyard.control.actors import AgentActor
from taskyard.control.phases_view import task_phases
from taskyard.control.prompts import deliver_input
from taskyard.control.queue import deliver_queue
from taskyard.control.reconciler import Reconciler
from taskyard.db import jobs
from taskyard.db import tasks as tasks_db
from taskyard.db.jobs import JobRow
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.template_model import Scripts, Template
from taskyard.wire import link
from taskyard.wire.enums import Transition
from taskyard.wire.link import AgentState, ItemKind
from taskyard.wire.phases import FailureCause, Phase, PhaseState, TaskPhasesResponse
from tests.control.agent_kit import Seat, foreign, item, says, turn_end, user
from tests.control.app_kit import HANG_UP, ScriptedApp, reached
from tests.control.world_kit import BRIDGED, Place, World, eventually

pytestmark = pytest.mark.anyio

SCRIPTED = msgspec.structs.replace(BRIDGED, scripts=Scripts(start="setup.sh", stop=None))
RUNNING = PhaseState.RUNNING
DONE = PhaseState.DONE
FAILED = PhaseState.FAILED
SKIPPED = PhaseState.SKIPPED


async def shown(world: World, place: Place, build: int | None = None) -> TaskPhasesResponse:
    """What clients are shown."""
    async with world.services.db.connection() as conn:
        task = await tasks_db.get_task(
            conn, Viewer(world.user_id, True, frozenset()), place.task_id
        )
    assert task is not None
    return await task_phases(world.services, task, build, world.now)


async def states(world: World, place: Place) -> dict[str, PhaseState]:
    """The phases that have begun."""
    found = await shown(world, place)
    return {p.phase.value: p.state for p in found.phases if p.state is not PhaseState.WAITING}


async def driven(world: World, template: Template = BRIDGED) -> tuple[Place, AgentActor]:
    """A workspace whose driver is done, and its agent, which has not called."""
    place = await world.workspace({}, template=template)
    async with world.working():
        await world.settled(place)
    return place, await actor_of(world, place)


async def actor_of(world: World, place: Place) -> AgentActor:
    """The agent of the newest start."""
    async with world.services.db.connection() as conn:
        row = await conn.fetchrow(
            "select id, workspace_build_id, generation from workspace_agents where workspace_id = $1"
            " order by created_at desc limit 1",
            place.id,
        )
    assert row is not None
    return AgentActor(row[0], place.id, row[1], row[2], place.task_id)


async def hello(world: World, actor: AgentActor) -> None:
    """The agent calls."""
    await agents.welcome(world.services, actor, "1", world.now)


async def lifecycle(world: World, actor: AgentActor, word: str, hours_off: float = 0) -> None:
    """The agent says where it is, by its own clock."""
    at = world.now + timedelta(hours=hours_off)
    await agents.report_lifecycle(world.services, actor, link.LifecycleReport(word, at), world.now)


async def health(world: World, actor: AgentActor, word: str) -> None:
    """The task's app is in that health."""
    await agents.report_app_health(world.services, actor, link.AppHealthReport("agent", word))


def state(
    seq: int, what: AgentState, session: str = "idle", reason: str | None = None
) -> link.SentItem:
    """What the bridge sees its coding agent do."""
    return item(seq, ItemKind.STATE, state=what, session=session, waiting=None, reason=reason)


def seat_of(world: World, place: Place, actor: AgentActor) -> Seat:
    """The same for kits that send items and serve apps."""
    return Seat(world, place, actor, actor.agent_id, actor.agent_id)


async def told(world: World, place: Place) -> list[tuple[int, str, str]]:
    """What stands in the transcript: number, phase and state."""
    async with world.services.db.connection() as conn:
        rows = await conn.fetch(
            "select number, data::text from task_items where task_id = $1 and kind = 'phase' order by number",
            place.task_id,
        )
    data = [(row[0], msgspec.json.decode(row[1])) for row in rows]
    return [(number, each["phase"], each["state"]) for number, each in data]


async def test_each_phase_is_told_when_it_ends(world: World) -> None:
    """From the queue to the first answer; items come between others, and a follower sees each begin and end."""
    place = await world.workspace({}, template=SCRIPTED)
    assert await states(world, place) == {"queued": RUNNING}
    async with world.working():
        await world.settled(place)
    actor = await actor_of(world, place)
    seat = seat_of(world, place, actor)
    assert (await states(world, place))["connecting"] is RUNNING
    await hello(world, actor)
    await lifecycle(world, actor, "starting")
    assert (await states(world, place))["scripts"] is RUNNING
    await lifecycle(world, actor, "ready", hours_off=-7)
    assert (await states(world, place))["coding_agent"] is RUNNING
    await seat.store(state(1, AgentState.STARTING, "starting"), state(2, AgentState.IDLE))
    assert (await states(world, place))["first_prompt"] is RUNNING
    await seat.store(user(3, "go"), state(4, AgentState.WORKING, "running"))
    assert (await states(world, place))["first_answer"] is RUNNING
    await seat.store(says(5, "Hel"), says(6, "lo"), turn_end(7))
    found = await shown(world, place)
    assert {phase.state for phase in found.phases} == {DONE}
    assert (found.build_number, found.round, found.failure) == (1, 1, None)
    changes = await told(world, place)
    assert [(phase, what) for _, phase, what in changes] == [
        ("queued", "done"),
        *((phase, what) for phase in list(Phase)[1:] for what in ("began", "done")),
    ]
    numbers = [number for number, _, _ in await items_of(world, place)]
    assert numbers == list(range(1, len(numbers) + 1))


async def items_of(world: World, place: Place) -> list[tuple[int, str, int]]:
    """Every item: number, kind and turn."""
    async with world.services.db.connection() as conn:
        rows = await conn.fetch(
            "select number, kind, turn from task_items where task_id = $1 order by number",
            place.task_id,
        )
    return [tuple(row) for row in rows]


async def test_a_start_without_script_and_without_input(world: World) -> None:
    """What there is nothing to do in is skipped; the start is over when the coding agent is up."""
    place = await world.workspace({}, template=BRIDGED)
    await world.execute("update tasks set input = '  '")
    async with world.working():
        await world.settled(place)
    actor = await actor_of(world, place)
    await hello(world, actor)
    await seat_of(world, place, actor).store(state(1, AgentState.IDLE))
    found = await states(world, place)
    skipped = {phase for phase, how in found.items() if how is SKIPPED}
    assert skipped == {"scripts", "first_prompt", "first_answer"}
    assert found["coding_agent"] is DONE


async def test_a_driver_that_refuses(world: World) -> None:
    """The driver's own sentence is the reason, the job's log the lines; nothing goes on."""
    steps = [{"log": "Looking for room."}, {"fail": "The disk of this machine is full."}]
    place = await world.workspace({"ensure": steps})
    async with world.working():
        await world.settled(place)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.STARTING, FailureCause.DRIVER)
    assert "disk of this machine is full" in failure.reason
    assert "Looking for room." in failure.lines
    assert "taskyard task retry ann/w1" in failure.advice
    assert RUNNING not in (await states(world, place)).values()


async def test_a_start_that_is_canceled(world: World) -> None:
    """In the queue, and when a worker has it: both end in the phase in which they were."""
    waiting = await world.workspace({})
    build = await world.newest(waiting)
    async with world.services.db.transaction() as conn:
        await phases.canceled_in_queue(conn, build.id, world.now)
    await world.execute(
        "update provisioner_jobs set canceled_at = now(), completed_at = now() where id = $1",
        build.job_id,
    )
    failure = (await shown(world, waiting)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.QUEUED, FailureCause.CANCELED)
    gate = world.folder / "gate"
    begun = await world.workspace({"ensure": [{"wait_for": str(gate)}]})
    job = (await world.newest(begun)).job_id
    async with world.working():
        await world.begun(begun)
        await world.execute("update provisioner_jobs set canceled_at = now() where id = $1", job)
        async with world.services.db.connection() as conn:
            await conn.execute("select pg_notify('taskyard', 'jobs:' || $1)", str(job))
        await world.settled(begun)
    failure = (await shown(world, begun)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.STARTING, FailureCause.CANCELED)


async def test_a_start_whose_workers_were_lost(world: World) -> None:
    """That a worker has it is seen at once; a start that was tried too often says that its workers died."""
    place = await world.workspace({})
    await world.execute(
        "update provisioner_jobs set attempt = 99, worker_id = gen_random_uuid(), worker_name = 'x',"
        " started_at = now(), lease_expires_at = now() + interval '1 hour' where completed_at is null"
    )
    assert await states(world, place) == {"queued": DONE, "preparing": RUNNING}
    await world.execute(
        "update provisioner_jobs set lease_expires_at = now() where completed_at is null"
    )
    async with world.working():
        await world.settled(place)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.PREPARING, FailureCause.WORKERS_LOST)
    assert "memory" in failure.advice


async def test_a_lost_workspace_goes_through_them_again(world: World) -> None:
    """A repair is another round; what the old agent says meanwhile moves nothing; the input is not said again."""
    place, actor = await driven(world)
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    seat = seat_of(world, place, actor)
    await seat.store(state(1, AgentState.IDLE), user(2, "go"), says(3, "Hello."))
    await world.execute(
        "insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at, sent_at,"
        " settled_at) values (gen_random_uuid(), $1, 'input', $2, 'go', 'delivered', now(), now(), now())",
        place.task_id,
        actor.build_id,
    )
    await world.driver.stop(place.id, grace_s=0)
    await Reconciler(world.services, world.drivers).reconcile()
    assert (await shown(world, place)).round == 2
    await seat.store(state(4, AgentState.IDLE))
    assert await states(world, place) == {"queued": RUNNING}
    async with world.working():

        async def restarted() -> bool | None:
            return "connecting" in await states(world, place) or None

        await eventually(restarted)
    again = await actor_of(world, place)
    await hello(world, again)
    await seat_of(world, place, again).store(state(5, AgentState.IDLE))
    found = await shown(world, place)
    ends = {phase.phase: phase.state for phase in found.phases}
    assert ends[Phase.CODING_AGENT] is DONE
    assert ends[Phase.FIRST_PROMPT] is ends[Phase.FIRST_ANSWER] is SKIPPED
    assert found.failure is None


async def test_an_agent_that_never_calls(world: World) -> None:
    """Each try fails with what was seen; the last one says that the server gave up."""
    place, actor = await driven(world)
    async with world.services.db.transaction() as conn:
        await phases.lost(conn, place.id, actor.build_id, world.now)
    found = await shown(world, place)
    assert found.round == 2
    assert found.failure is not None
    assert (found.failure.phase, found.failure.cause) == (Phase.CONNECTING, FailureCause.LOST)
    job = await job_of(world, place)
    async with world.services.db.transaction() as conn:
        await phases.prepared(conn, job, world.now)
        await phases.started(conn, actor.build_id, BRIDGED, world.now)
        await phases.given_up(conn, actor.build_id, "Started five times.", world.now)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.cause, failure.reason) == (FailureCause.NEVER_CONNECTED, "Started five times.")


async def job_of(world: World, place: Place) -> JobRow:
    """The job of the newest build."""
    build = await world.newest(place)
    async with world.services.db.connection() as conn:
        job = await jobs.get_job(conn, build.job_id)
    assert job is not None
    return job


async def test_an_agent_of_another_release(world: World) -> None:
    """It is sent away, and the task says so."""
    place, actor = await driven(world)
    sentence = await agents.refused(world.services, actor, link.Hello(99, "9.9"), world.now)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.CONNECTING, FailureCause.PROTOCOL)
    assert sentence in failure.reason


@pytest.mark.parametrize(
    ("word", "cause"),
    [("start_error", FailureCause.SCRIPT), ("start_timeout", FailureCause.SCRIPT_TIMEOUT)],
)
async def test_a_script_that_fails_or_never_ends(
    world: World, word: str, cause: FailureCause
) -> None:
    """The phase failed with the script's last lines; the coding agent comes up all the same."""
    place, actor = await driven(world, SCRIPTED)
    await hello(world, actor)
    lines = [link.LogLine(world.now, "info", f"line {n}") for n in range(30)]
    await agents.append_logs(world.services, actor, link.LogLines("start", lines), world.now)
    other = link.LogLines("agent", [link.LogLine(world.now, "info", "not of the script")])
    await agents.append_logs(world.services, actor, other, world.now)
    await lifecycle(world, actor, word)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.SCRIPTS, cause)
    assert failure.lines == [f"line {n}" for n in range(10, 30)]
    await seat_of(world, place, actor).store(state(1, AgentState.IDLE))
    assert (await states(world, place))["coding_agent"] is DONE


async def test_a_coding_agent_that_wants_to_be_signed_in(world: World) -> None:
    """The bridge's reason stands there, also when the health came first; coming up after all makes it good."""
    place, actor = await driven(world)
    await hello(world, actor)
    await health(world, actor, "unhealthy")
    reason = "The coding agent wants to be logged in first. Set KEY: taskyard secrets set KEY."
    seat = seat_of(world, place, actor)
    await seat.store(state(1, AgentState.FAILED, "error", reason))
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.CODING_AGENT, FailureCause.SIGN_IN)
    assert failure.reason == reason
    await seat.store(state(2, AgentState.IDLE))
    assert (await shown(world, place)).failure is None


async def test_a_first_turn_that_fails(world: World) -> None:
    """The coding agent was up and took the input: what failed is its answer."""
    place, actor = await driven(world)
    await hello(world, actor)
    seat = seat_of(world, place, actor)
    await seat.store(state(1, AgentState.IDLE), user(2, "go"))
    await seat.store(
        turn_end(3, "error", "no credit left"),
        state(4, AgentState.FAILED, "idle", "no credit left"),
    )
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.FIRST_ANSWER, FailureCause.TURN_FAILED)
    assert failure.reason == "no credit left"


async def test_a_server_of_somebody_else(world: World, tmp_path: Path) -> None:
    """Its health ends the phase of the coding agent, the delivery that of the prompt; of answers nobody tells."""
    place, actor = await driven(world, foreign())
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    await health(world, actor, "healthy")
    assert (await states(world, place))["first_prompt"] is RUNNING
    async with reached(seat_of(world, place, actor), ScriptedApp(), tmp_path):
        await deliver_input(world.services, actor)
    found = await states(world, place)
    assert (found["first_prompt"], found["first_answer"]) == (DONE, SKIPPED)


async def queued_first(world: World, *texts: str) -> tuple[Place, AgentActor]:
    """A task without an input, with prompts that wait; somebody else's server is up in its workspace."""
    place = await world.workspace({}, template=foreign())
    await world.execute("update tasks set input = '' where id = $1", place.task_id)
    for text in texts:
        await world.execute(
            "insert into task_prompts (id, task_id, source, content, state, created_at)"
            " values (gen_random_uuid(), $1, 'queue', $2, 'waiting', $3)",
            place.task_id,
            text,
            world.now,
        )
    async with world.working():
        await world.settled(place)
    actor = await actor_of(world, place)
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    await health(world, actor, "healthy")
    return place, actor


@pytest.mark.parametrize(
    ("answers", "after_one"),
    [([(200, "")], DONE), ([(422, "empty"), (200, "")], DONE), ([(HANG_UP, "")], FAILED)],
)
async def test_a_first_prompt_from_the_queue(
    world: World, tmp_path: Path, answers: list[tuple[int, str]], after_one: PhaseState
) -> None:
    """Where a start has only queued prompts to deliver, the first of them ends the phase; a later one mends it."""
    place, actor = await queued_first(world, "one", "two")
    assert (await states(world, place))["first_prompt"] is RUNNING
    async with reached(seat_of(world, place, actor), ScriptedApp(answers=answers), tmp_path):
        await deliver_input(world.services, actor)
        await deliver_queue(world.services, actor)
    found = await states(world, place)
    assert (found["first_prompt"], found["first_answer"]) == (after_one, SKIPPED)


async def test_a_first_prompt_that_is_refused(world: World, tmp_path: Path) -> None:
    """The status and word of the app's answer are the reason."""
    place, actor = await driven(world, foreign())
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    await health(world, actor, "healthy")
    app = ScriptedApp(answers=[(422, "too_long")])
    async with reached(seat_of(world, place, actor), app, tmp_path):
        await deliver_input(world.services, actor)
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.FIRST_PROMPT, FailureCause.PROMPT_REFUSED)
    assert "422" in failure.reason


async def test_a_first_prompt_that_was_taken_after_all(world: World, tmp_path: Path) -> None:
    """A turn that fails at once is answered like a refusal; what the workspace tells of it then is what counts."""
    place, actor = await driven(world)
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    await health(world, actor, "healthy")
    seat = seat_of(world, place, actor)
    await seat.store(state(1, AgentState.IDLE))
    async with reached(seat, ScriptedApp(answers=[(500, "agent_error")]), tmp_path):
        await deliver_input(world.services, actor)
    assert (await states(world, place))["first_prompt"] is FAILED
    await seat.store(user(2, "go"), turn_end(3, "error", "no credit left"))
    assert (await states(world, place))["first_prompt"] is DONE
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert (failure.phase, failure.reason) == (Phase.FIRST_ANSWER, "no credit left")


async def test_a_pause_ends_the_waiting(world: World) -> None:
    """A start that is stopped amid a phase did not fail; the one after it is told by itself, the old one on demand."""
    place, actor = await driven(world)
    await hello(world, actor)
    await world.build(place, Transition.STOP)
    async with world.working():
        await world.settled(place)
        found = await shown(world, place)
        assert {p.phase: p.state for p in found.phases}[Phase.CODING_AGENT] is SKIPPED
        assert found.failure is None
        await world.build(place, Transition.START)
        await world.settled(place)
    assert (await shown(world, place)).build_number == 3
    assert (await shown(world, place, 1)).phases == found.phases


async def test_a_hostile_workspace_writes_no_phases(world: World) -> None:
    """Items of that kind are refused; words that no column takes end a phase all the same and break nothing."""
    place, actor = await driven(world)
    await hello(world, actor)
    seat = seat_of(world, place, actor)
    forged = link.SentItem(
        1, world.now, 0, ItemKind.PHASE, b'{"phase":"first_answer","state":"done"}'
    )
    with pytest.raises(ValueError, match="only the server"):
        await seat.store(forged)
    exited = b'{"exit_code":1,"signal":null,"screen":"\\u0000\\ud800"}'
    await seat.store(link.SentItem(1, world.now, 0, ItemKind.AGENT_EXIT, exited))
    raw = (
        b'{"state":"failed","session":"error","waiting":null,"reason":"a\\u0000b\\u001b[31m'
        + b"x" * 9000
        + b'"}'
    )
    await seat.store(link.SentItem(2, world.now, 0, ItemKind.STATE, raw))
    failure = (await shown(world, place)).failure
    assert failure is not None
    assert failure.phase is Phase.CODING_AGENT
    assert "\0" not in failure.reason
    assert len(failure.reason) < 1000


async def test_a_start_of_an_earlier_release(world: World) -> None:
    """It has no phases, nothing that happens makes any, and clients are told none."""
    place, actor = await driven(world)
    await world.execute("delete from workspace_build_phases")
    before = await told(world, place)
    await hello(world, actor)
    await lifecycle(world, actor, "ready")
    await seat_of(world, place, actor).store(
        state(1, AgentState.IDLE), user(2, "go"), says(3, "Hi.")
    )
    assert (await shown(world, place)).phases == []
    assert await told(world, place) == before
