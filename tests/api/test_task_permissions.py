"""Permissions over HTTP: what a coding agent asks is seen, and answered once by somebody who may."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.api.agent_seat import started
from tests.api.attached_kit import Bridged, bridged
from tests.api.link_kit import until
from tests.api.seed import Api, Json, reason

pytestmark = pytest.mark.anyio


async def answers(place: Bridged) -> list[Json]:
    """What the bridge stored of answers."""
    items = await place.push()
    return [json.loads(bytes(i.data)) for i in items if i.kind == "permission_response"]


async def test_a_question_reaches_who_asks_for_the_task(api: Api, tmp_path: Path) -> None:
    """While the coding agent waits, the task works for others, and tells ours what it waits for."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        assert [o["kind"] for o in asked["options"]] == ["allow_once", "reject_once"]
        assert asked["answer"] is None
        task = await place.fresh()
        assert task["status"] == "active"
        assert task["current_state"]["state"] == "working"
        assert task["waiting_for"] == {
            "kind": "permission",
            "id": asked["id"],
            "title": asked["title"],
        }
        assert asked["title"] in task["current_state"]["message"]
        workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
        assert workspace["latest_app_status"]["state"] == "working"
        assert workspace["latest_app_status"]["needs_user_attention"] is False


async def test_an_answer_goes_to_the_coding_agent_with_a_name(api: Api, tmp_path: Path) -> None:
    """The bridge gets the option and who chose it; the list, the transcript and the audit say the same."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path = f"{place.path}/permissions/{asked['id']}"
        answer = await api.post(path, {"option_id": asked["options"][0]["option_id"]})
        assert (answer.status_code, answer.content) == (204, b"")
        await until(lambda: _idle(place))
        [stored] = await answers(place)
        assert (stored["by"], stored["name"]) == ("person", api.owner.username)
        assert (await api.get(f"{place.path}/permissions")).json() == {"permissions": []}
        [kept] = (await api.get(f"{place.path}/permissions?all=true")).json()["permissions"]
        assert kept["answer"]["username"] == api.owner.username
        assert kept["answer"]["outcome"] == "selected"
        task = await place.fresh()
        assert "waiting_for" not in task
        changes = json.loads(
            await api.value(
                "select changes from audit_logs where resource_type = 'task' and action = 'answer'"
            )
        )
        assert changes["permission"]["new"]["id"] == asked["id"]


async def _idle(place: Bridged) -> bool:
    state = (await place.fresh())["current_state"]
    return state is not None and state["state"] == "idle"


async def test_the_second_answer_is_told_of_the_first(api: Api, tmp_path: Path) -> None:
    """409 with who was first, whether the server knows it already or only the bridge does."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path = f"{place.path}/permissions/{asked['id']}"
        answer = {"option_id": asked["options"][0]["option_id"]}
        direct = await place.bridge.post(
            f"/v2/permissions/{asked['id']}", json=answer, headers={"X-Taskyard-Answered-By": "eve"}
        )
        assert direct.status == 200, await direct.text()
        assert reason(await api.post(path, answer)) == (409, "permission_answered")
        await place.push()
        later = await api.post(path, {"outcome": "cancelled"})
        assert reason(later) == (409, "permission_answered")
        assert "Somebody in the workspace answered it" in later.json()["detail"]
        assert "eve" not in later.json()["detail"]  # a program in there could name anybody


async def test_answers_that_are_none(api: Api, tmp_path: Path) -> None:
    """No answer, two, another word or another option are 400 and reach nobody; an unknown request is 404."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path = f"{place.path}/permissions/{asked['id']}"
        option = asked["options"][0]["option_id"]
        for body, code in (
            ({}, "answer_missing"),
            ({"option_id": option, "outcome": "cancelled"}, "answer_missing"),
            ({"outcome": "selected"}, "answer_invalid"),
            ({"option_id": "o9"}, "option_unknown"),
        ):
            assert reason(await api.post(path, body)) == (400, code), body
        unknown = await api.post(f"{place.path}/permissions/none", {"option_id": option})
        assert reason(unknown) == (404, "permission_unknown")
        assert await answers(place) == []


async def test_a_cancelled_request(api: Api, tmp_path: Path) -> None:
    """The outcome `cancelled` ends the request without an option."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path = f"{place.path}/permissions/{asked['id']}"
        assert (await api.post(path, {"outcome": "cancelled"})).status_code == 204
        [stored] = await answers(place)
        assert (stored["outcome"], stored["option_id"]) == ("cancelled", None)


async def test_who_may_send_may_answer(api: Api, tmp_path: Path) -> None:
    """Another member finds nothing; nobody is told whether there was something."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        mallory = await api.person("mallory")
        owner, task = place.seat.task["owner_name"], place.seat.task["id"]
        path = f"/api/v2/tasks/{owner}/{task}/permissions"
        body = {"option_id": asked["options"][0]["option_id"]}
        assert (await api.get(path, by=mallory)).status_code == 404
        assert (await api.post(f"{path}/{asked['id']}", body, by=mallory)).status_code == 404
        assert await answers(place) == []


async def test_only_an_active_task_is_answered(api: Api, tmp_path: Path) -> None:
    """409 while the task is paused or on its way, with what to do, in every state: it may come back."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path = f"{place.path}/permissions/{asked['id']}"
        body = {"option_id": asked["options"][0]["option_id"]}
        await api.lifecycle(place.seat.agent_id, "shutting_down")
        assert reason(await api.post(path, body)) == (409, "task_unreachable")
        assert "waiting_for" not in await place.fresh()


async def test_sending_says_what_it_waits_for(api: Api, tmp_path: Path) -> None:
    """A message while a permission is open is refused as for any busy app, and the detail names the request."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        refused = await api.post(f"{place.path}/send", {"input": "and now?"})
        assert reason(refused) == (409, "app_busy")
        assert asked["id"] in refused.json()["detail"]
        assert asked["title"] in refused.json()["detail"]


async def test_a_workspace_without_a_link(api: Api) -> None:
    """A request that is known but whose workspace cannot be reached answers 502, and stays open."""
    seat = await started(api)
    await api.execute(
        "insert into task_permissions (task_id, number, id, generation, title, options, asked_at)"
        " values ($1::text::uuid, 1, 'p', 1, 'Run make',"
        """ '[{"option_id": "o", "name": "Yes", "kind": "allow_once"}]', now())""",
        seat.task["id"],
    )
    path = f"/api/v2/tasks/me/{seat.task['id']}/permissions/p"
    answer = await api.post(path, {"option_id": "o"})
    assert reason(answer) == (502, "agent_unreachable")
    assert await api.value("select count(*) from task_permissions where answered_at is null") == 1


@pytest.mark.parametrize("deed", ["answer", "interrupt"])
async def test_what_goes_to_the_agent_is_noted_before(api: Api, tmp_path: Path, deed: str) -> None:
    """Cut off between the two, it has not gone out; sent again by its key it does not, and may have arrived."""
    async with bridged(api, tmp_path) as place:
        asked = await place.asked()
        path, body = f"{place.path}/interrupt", None
        if deed == "answer":
            path = f"{place.path}/permissions/{asked['id']}"
            body = {"option_id": asked["options"][0]["option_id"]}
        key = {"Idempotency-Key": "k"}
        async with api.services.db.transaction() as held:
            await held.execute("lock table audit_logs in access exclusive mode")
            async with asyncio.TaskGroup() as group:
                sent = group.create_task(api.call("POST", path, body, headers=key))
                await until(lambda: _noting(api))
                assert await answers(place) == []
                await held.execute("commit; begin")
        assert sent.result().status_code == 204
        await api.execute(
            "update idempotency_keys set finished_at = null, answer = null, lease_expires_at = $1",
            api.now,
        )
        again = await api.call("POST", path, body, headers=key)
        assert reason(again) == (409, "idempotency_unknown")
        assert "may have arrived" in again.json()["message"]
        assert await api.value("select count(*) from audit_logs where action = $1", deed) == 1


async def _noting(api: Api) -> bool:
    waits = "select count(*) from pg_locks where relation = 'audit_logs'::regclass and not granted"
    return bool(await api.value(waits))
