"""Following all tasks: each change once, to those who may see the task and to nobody else."""

import asyncio
from datetime import timedelta

import pytest

from taskyard.control.actors import Actor
from taskyard.control.task_follow import Begin, follow_tasks
from tests.api.agent_seat import started
from tests.api.seed import Api, Json, Person
from tests.api.stream_kit import Stream, Told, forget, streaming
from tests.control.world_kit import background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

ALL = "/api/v2/events"


async def begun(stream: Stream) -> str:
    """The id of the first event, which tells a new client to read the list."""
    told = await stream.next()
    assert told is not None
    assert (told.kind, told.data) == ("reset", {})
    return told.id


def about(told: list[Told], task: Json) -> list[str]:
    """The statuses of one task in these events."""
    return [t.data["status"] for t in told if t.data["task"]["id"] == task["id"]]


async def test_each_sees_their_own(api: Api) -> None:
    """An owner sees all tasks, an organization's admin those in it, others their own; who sees none is told nothing."""
    where = await api.organization("lab")
    ada = await api.person("ada")
    chief = await api.person(
        "chief", organization=where, organization_roles=("organization-admin",)
    )
    grace = await api.person("grace", organization=where)
    auditor = await api.person("auditor", "auditor")
    people: list[tuple[Person, set[str]]] = [
        (api.owner, {"ada", "grace"}),
        (chief, {"grace"}),
        (ada, {"ada"}),
        (grace, {"grace"}),
        (auditor, set()),
    ]
    here, there = await api.template(), await api.template("labs", organization=where)
    templates = {grace: there, chief: there}
    async with asyncio.TaskGroup() as group, background(api.services.doorbell.run()):
        ready = asyncio.Semaphore(0)

        async def follow(person: Person) -> tuple[set[str], list[str]]:
            async with streaming(api, ALL, by=person) as stream:
                after = await begun(stream)
                ready.release()
                await made.wait()
            last = await api.task(
                templates.get(person, here), by=person, name=f"end-{person.username}"
            )
            async with streaming(api, ALL, by=person, after=after) as again:
                told = await again.take(1)
                while told[-1].data["task"]["id"] != last["id"]:
                    told += await again.take(1)
            names = {t.data["task"]["owner_name"] for t in told if not _is_last(t)}
            return names, [t.id for t in told]

        made = asyncio.Event()
        following = [group.create_task(follow(person)) for person, _ in people]
        for _ in people:
            await ready.acquire()
        await api.task(here, by=ada)
        await api.task(there, by=grace)
        made.set()
    for (_, wanted), task in zip(people, following, strict=True):
        names, ids = task.result()
        assert names == wanted
        assert len(ids) == len(set(ids))


def _is_last(told: Told) -> bool:
    """Whether it is of a task that somebody made to know where what they are told ends."""
    return bool(told.data["task"]["name"].startswith("end-"))


async def test_a_life_is_told(api: Api) -> None:
    """Every status and state that the task shows is told as the task shows it, to its end, and again from an id."""
    async with background(api.services.doorbell.run()), streaming(api, ALL) as stream:
        after = await begun(stream)
        seat = await started(api)
        name = seat.task["name"]
        await api.report(seat.task, "working", "digs")
        await api.report(seat.task, "working", "digs")
        await api.report(seat.task, "idle", "rests")
        await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")
        told: list[Told] = []
        while not (told and told[-1].data["deleted"]):
            told += await stream.take(1)
        assert {t.kind for t in told} == {"task"}
        assert {t.data["task"]["name"] for t in told} == {name}
        states = [(t.data["current_state"] or {}).get("message") for t in told]
        assert states[-3:] == ["digs", "rests", "rests"]
        assert states.count("digs") == 1
        assert about(told, seat.task)[0] == "pending"
        assert [t.data["deleted"] for t in told[:-1]] == [False] * (len(told) - 1)
    async with streaming(api, ALL, after=after) as stream:
        again = await stream.take(len(told))
        assert again == told
    async with streaming(api, f"{ALL}?after={told[1].id}") as stream:
        assert await stream.take(len(told) - 2) == told[2:]


async def test_what_is_no_longer_kept(api: Api) -> None:
    """Whoever was away for too long, or comes with an id that is not there yet, is told to read the list; others go on."""
    await api.task(await api.template("one"))
    seat = await started(api)
    newest = await api.value("select max(id) from task_events")
    assert await forget(api, api.now + timedelta(seconds=1)) > 0
    assert await api.value("select count(*) from task_events") == 2
    async with background(api.services.doorbell.run()):
        beyond = str(newest + 1000)  # of a database that was put back to an earlier state
        for after, kinds in (
            ("1", ["reset", "task"]),
            (str(newest), ["task"]),
            (beyond, ["reset", "task"]),
        ):
            async with streaming(api, ALL, after=after) as stream:
                await api.report(seat.task, "working", f"after {after}")
                assert [t.kind for t in await stream.take(len(kinds))] == kinds


async def test_signs_of_life_move_the_id(api: Api) -> None:
    """Who sees nothing for long is given the id of what others saw, so that it need not be read through again."""
    who = Actor(api.organization_id, "x", frozenset(), frozenset(), frozenset(), "k")

    async def nobody() -> Actor:
        return who

    parts = follow_tasks(api.services, nobody, Begin(0), ping_s=0.05)
    assert await anext(parts) == b": nothing new\n\n"
    await api.task(await api.template())
    newest = await api.value("select max(id) from task_events")
    async with asyncio.timeout(DEADLINE_S):
        while (part := await anext(parts)) != b": nothing new\n\nid: %d\n\n" % newest:
            assert part.startswith(b": nothing new\n\nid: ")
    await parts.aclose()
