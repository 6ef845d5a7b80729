"""How a server is, for those who may know."""

from uuid import uuid4

import msgspec
import pytest

from tests.api.seed import Api, Json, reason

pytestmark = pytest.mark.anyio

HEALTH = "/api/v2/health"


def codes(health: Json) -> set[str]:
    """What is wrong, but for how fast this machine is and how much room it has."""
    return {p["code"] for p in health["problems"]} - {"database_slow", "disk_tight", "disk_full"}


async def beat(api: Api, name: str = "yard-1") -> str:
    """A data directory with a server that lives; returns its id."""
    host_id = uuid4()
    await api.execute("insert into hosts values ($1, $2, now(), now())", host_id, name)
    await api.execute(
        "insert into servers (id, host_id, name, url, roles, version, place, started_at, seen_at)"
        " values ($1, $2, $3, '', '{worker,api}', '1.0', '', now(), now())",
        *(uuid4(), host_id, name),
    )
    return str(host_id)


async def test_who_may_know(api: Api) -> None:
    """Owners and auditors; to others it is forbidden, and why is said."""
    auditor = await api.person("auditor", "auditor")
    for person in (api.owner, auditor):
        assert (await api.get(HEALTH, by=person)).status_code == 200
    for word in ("user-admin", "template-admin"):
        other = await api.person(word, word)
        assert reason(await api.get(HEALTH, by=other)) == (403, "forbidden")
    assert reason(await api.get(HEALTH, by=await api.person("ada"))) == (403, "forbidden")


async def test_a_server_and_its_worker(api: Api) -> None:
    """Both are up, with what they have in hand; nothing is wrong."""
    host_id = await beat(api)
    await api.execute("insert into workers values ($1, 'yard-1', 2, 8, now())", uuid4())
    health = (await api.get(HEALTH)).json()
    [server], [worker] = health["servers"], health["workers"]
    assert (server["id"], server["status"], server["roles"]) == (host_id, "up", ["api", "worker"])
    assert (worker["name"], worker["running"], worker["capacity"]) == ("yard-1", 2, 8)
    assert health["database"]["size_bytes"] > 1_000_000
    assert health["jobs"] == {"queued": 0, "running": 0, "oldest_queued_at": None}
    assert codes(health) == set()


async def test_jobs_and_places(api: Api) -> None:
    """Imports wait for a worker, starts for room; what is worked on takes a place. Without a worker that is an error."""
    template = await api.template()
    one, _ = await api.task(template, name="one"), await api.task(template, name="two")
    await api.claim(one["workspace_id"])
    health = (await api.get(HEALTH)).json()
    assert (health["jobs"]["running"], health["jobs"]["queued"]) == (1, 0)
    assert (health["workspaces"]["running"], health["workspaces"]["waiting"]) == (1, 1)
    assert codes(health) == {"no_workers"}


async def test_who_is_away(api: Api) -> None:
    """A server whose signs of life have ended is away, told of as a problem if it has workspaces; workers are too."""
    await api.execute(
        "insert into workers values ($1, 'old', 0, 8, now() - interval '1 minute')", uuid4()
    )
    template = await api.template()
    task = await api.task(template)
    here, gone, empty = await beat(api, "here"), await beat(api, "gone"), await beat(api, "empty")
    await api.execute("update workspaces set host_id = $1", msgspec.convert(gone, type(uuid4())))
    for sql in (
        "update servers set seen_at = $1 where name <> 'here'",
        "update hosts set seen_at = $1",
    ):
        await api.execute(sql, api.now.replace(year=2001))
    health = (await api.get(HEALTH)).json()
    assert {s["id"]: s["status"] for s in health["servers"]} == {here: "up", gone: "away"}
    assert empty not in str(health["servers"])
    assert [worker["status"] for worker in health["workers"]] == ["away"]
    assert codes(health) == {"server_away", "no_workers"}
    assert task["id"] not in str(health)
