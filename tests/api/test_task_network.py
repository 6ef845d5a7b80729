"""What a task's workspace tried to reach over HTTP: who sees it, and that it goes with the workspace."""

import pytest

from tests.api.seed import Api

pytestmark = pytest.mark.anyio

ROW = (
    "insert into workspace_network (workspace_id, verdict, host, port, method, path, reason, count, first_at, last_at)"
    " values ($1::uuid, $2, $3, $4, '', '', 'host_not_listed', 3, '2026-03-01 09:00Z', '2026-03-01 09:01Z')"
)


async def test_attempts_are_for_those_who_see_the_task(api: Api) -> None:
    """Its owner and whoever runs the organization; for others there is no such task. Rows go with the workspace."""
    member, stranger = await api.person("ann"), await api.person("bob")
    task = await api.task(await api.template(), by=member)
    path = f"/api/v2/tasks/{member.username}/{task['name']}/network"
    assert (await api.get(path, by=member)).json() == {"decisions": [], "more": []}
    await api.execute(ROW, task["workspace_id"], "refused", "example.org", 443)
    await api.execute(ROW, task["workspace_id"], "refused", "", 0)
    for person in (member, api.owner):
        shown = (await api.get(path, by=person)).json()
        [decision], [more] = shown["decisions"], shown["more"]
        assert (decision["host"], decision["port"], decision["method"]) == (
            "example.org",
            443,
            None,
        )
        assert (decision["count"], decision["last_at"]) == (3, "2026-03-01T09:01:00Z")
        assert (more["verdict"], more["count"]) == ("refused", 3)
    assert (await api.get(path, by=stranger)).status_code == 404
    assert (await api.client.get(path)).status_code == 401
    gone = "select confdeltype from pg_constraint where conrelid = 'workspace_network'::regclass and contype = 'f'"
    assert await api.value(gone) == b"c"
