"""Requests with an Idempotency-Key, over a real socket and a real database."""

import asyncio
from datetime import timedelta

import httpx2
import pytest

from taskyard.control import idempotency
from taskyard.control.idempotency import TOPIC
from taskyard.control.reaper import Reaper
from taskyard.server import idempotency as idempotency_edge
from tests.api.seed import Api, Person, SeededTemplate, reason
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


def named(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def create(
    api: Api, template: SeededTemplate, key: str, *, by: Person | None = None, **body: object
) -> httpx2.Response:
    """The answer to a request for a new task, with this key."""
    sent = {"template_version_id": str(template.version_id), "input": "do it", **body}
    return await api.call("POST", "/api/v2/tasks/me", sent, by=by, headers=named(key))


async def count(api: Api, table: str) -> int:
    found: int = await api.value(f"select count(*) from {table}")
    return found


async def test_the_same_key_and_body_give_the_same_answer(api: Api) -> None:
    """Status, body and headers are those of the first answer, under either prefix; one task is there."""
    template = await api.template()
    first = await create(api, template, "k1")
    second = await create(api, template, "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert await count(api, "tasks") == 1


async def test_a_key_is_of_one_request_of_one_user(api: Api) -> None:
    """Another body, path or query is 409; another user has keys of their own."""
    template = await api.template()
    ada = await api.person("ada")
    task = (await create(api, template, "k1")).json()
    assert reason(await create(api, template, "k1", name="other")) == (409, "idempotency_mismatch")
    pause = await api.call("POST", f"/api/v2/tasks/me/{task['id']}/pause", headers=named("k1"))
    assert reason(pause) == (409, "idempotency_mismatch")
    assert (await create(api, template, "k1", by=ada)).status_code == 201
    assert await count(api, "tasks") == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    """Empty, with a blank, too long, beyond ASCII: 400, and nothing was done."""
    template = await api.template()
    answer = await api.call(
        "POST",
        "/api/v2/tasks/me",
        {"template_version_id": str(template.version_id), "input": "x"},
        headers={"Idempotency-Key": key.encode()},  # type: ignore[dict-item]  # bytes as they are
    )
    assert reason(answer) == (400, "idempotency_key")
    assert await count(api, "tasks") == 0


async def test_refusals_of_what_was_carried_out_are_kept_and_others_are_not(api: Api) -> None:
    """A name that is taken stays taken for the key, even once it is free; a body that is wrong can be sent right."""
    template = await api.template()
    task = await api.task(template, name="taken")
    taken = await create(api, template, "k1", name="taken")
    assert reason(taken) == (409, "workspace_name_taken")
    await api.execute("update workspaces set name = 'freed'")
    again = await create(api, template, "k1", name="taken")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (409, "true")
    assert again.headers["X-Taskyard-Reason"] == "workspace_name_taken"
    wrong = await create(api, template, "k2", name="no name at all")
    assert wrong.status_code == 400
    assert (await create(api, template, "k2", name="good")).status_code == 201
    assert task["name"] == "taken"


async def test_concurrent_duplicates_wait_for_the_first(api: Api) -> None:
    """Ten at once: one task, ten equal answers, nine of them given again."""
    template = await api.template()
    async with asyncio.TaskGroup() as group:
        bell = group.create_task(api.services.doorbell.run())
        running = [group.create_task(create(api, template, "same")) for _ in range(10)]
        await asyncio.wait(running)
        bell.cancel()
    answers = [one.result() for one in running]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 9
    assert await count(api, "tasks") == 1


async def test_a_token_is_made_once_and_lies_nowhere_in_clear(api: Api) -> None:
    """The same secret comes again, one token is there, and no row of the database holds it."""
    sent = {"token_name": "bot"}
    first, second = [
        await api.call("POST", "/api/v2/users/me/keys/tokens", sent, headers=named("t"))
        for _ in range(2)
    ]
    key = first.json()["key"]
    assert second.json()["key"] == key
    assert await api.value("select count(*) from api_keys where token_name = 'bot'") == 1
    row = await api.value("select answer from idempotency_keys where key = 't'")
    assert key.encode() not in row
    assert key.partition("-")[2].encode() not in row


async def test_a_login_is_answered_again_with_its_cookie(api: Api) -> None:
    """Nobody known asks, so the key is known with the body only; a wrong password is not kept."""
    people = {"email": "eve@example.com", "username": "eve", "password": "correct horse battery"}
    assert (await api.post("/api/v2/users", people)).status_code == 201
    right = {"email": people["email"], "password": people["password"]}
    wrong = {**right, "password": "wrong horse battery"}
    path = "/api/v2/users/login"
    for _ in range(2):
        refused = await api.call("POST", path, wrong, headers=named("l"))
        assert refused.status_code == 401
        assert "Idempotency-Replayed" not in refused.headers
    answers = [await api.call("POST", path, right, headers=named("l")) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["Set-Cookie"] == answers[1].headers["Set-Cookie"]
    assert await count(api, "api_keys where login_type = 'password'") == 1


async def test_a_try_that_was_cut_off_before_it_did_anything_is_done_anew(api: Api) -> None:
    """The row of a dead server without a deed: the next request does the work, once its lease is over."""
    template = await api.template()
    await create(api, template, "gone", name="first")
    await api.execute("delete from task_prompts")
    await api.execute(
        "update idempotency_keys set finished_at = null, answer = null, deeds = 0, deed_at = null,"
        " deed_action = null, deed_resource_id = null, request_id = 'dead', lease_expires_at = $1",
        api.now - timedelta(seconds=1),
    )
    await api.execute("update tasks set deleted_at = now(), name = 'x'")
    await api.execute("update workspaces set deleted = true")
    again = await create(api, template, "gone", name="first")
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again.headers
    assert await count(api, "tasks where deleted_at is null") == 1


async def test_the_answer_of_a_try_that_was_cut_off_after_its_deed_is_read_again(api: Api) -> None:
    """Create, pause and a token: the task and the build are shown as they are, of the token it is said that it is there."""
    template = await api.template()
    task = (await create(api, template, "create")).json()
    await api.start(task["workspace_id"], "ready", "healthy")
    path = f"/api/v2/tasks/me/{task['id']}/pause"
    paused = (await api.call("POST", path, headers=named("pause"))).json()
    tokens = "/api/v2/users/me/keys/tokens"
    await api.call("POST", tokens, {"token_name": "bot"}, headers=named("token"))
    await api.execute(
        "update idempotency_keys set finished_at = null, answer = null, lease_expires_at = $1",
        api.now - timedelta(seconds=1),
    )
    again = await create(api, template, "create")
    assert (again.status_code, again.json()["id"]) == (201, task["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    build = await api.call("POST", path, headers=named("pause"))
    assert build.status_code == 202
    assert build.json()["workspace_build"]["id"] == paused["workspace_build"]["id"]
    for _ in range(2):
        lost = await api.call("POST", tokens, {"token_name": "bot"}, headers=named("token"))
        assert reason(lost) == (409, "idempotency_unknown")
        assert "boss/bot" in lost.json()["message"]
    assert await count(api, "tasks") == 1
    assert await api.value("select count(*) from api_keys where token_name = 'bot'") == 1


async def test_a_frozen_try_that_was_replaced_changes_nothing(api: Api) -> None:
    """It wakes up in the middle of its transaction and is refused there: one task, made by the one that took over."""
    template = await api.template()
    ada = await api.person("ada")
    async with api.services.db.transaction() as held:
        # What the first try needs after it has claimed the key: so it stops in the middle.
        await held.execute("lock table workspaces in access exclusive mode")
        async with asyncio.TaskGroup() as group:
            frozen = group.create_task(create(api, template, "k", by=ada))
            while not await api.value("select count(*) from idempotency_keys"):
                await asyncio.sleep(0.005)
            await api.execute(
                "update idempotency_keys set request_id = 'other', lease_expires_at = $1",
                api.now + timedelta(seconds=60),
            )
            await held.execute("commit; begin")
    assert reason(frozen.result()) == (409, "idempotency_in_progress")
    assert frozen.result().headers["Retry-After"] == "1"
    assert await count(api, "tasks") == 0
    assert await count(api, "workspaces") == 0


async def in_hand(api: Api, key: str) -> None:
    """The request of a key is worked on by somebody else, who has done nothing yet."""
    await api.execute(
        "update idempotency_keys set finished_at = null, answer = null, deeds = 0, deed_at = null, deed_action = null,"
        " deed_resource_id = null, request_id = 'other', lease_expires_at = $2 where key = $1",
        key,
        api.now + timedelta(seconds=60),
    )


async def waiting(count: int) -> None:
    """Returns once so many requests wait for others of their keys."""
    async with asyncio.timeout(DEADLINE_S):
        while idempotency._waiting.total() != count:
            await asyncio.sleep(0.005)


async def test_who_lost_their_rights_while_waiting_does_nothing(api: Api) -> None:
    """A duplicate of somebody who was suspended meanwhile is refused, and leaves its key free."""
    template = await api.template()
    ada = await api.person("ada")
    await create(api, template, "k", by=ada)
    await in_hand(api, "k")
    before = await count(api, "tasks")
    async with asyncio.TaskGroup() as group:
        second = group.create_task(create(api, template, "k", by=ada))
        await waiting(1)
        await asyncio.sleep(idempotency_edge.WAITED_S)
        await api.execute("update users set status = 'suspended' where username = 'ada'")
        await api.execute("update idempotency_keys set lease_expires_at = $1", api.now)
    assert second.result().status_code == 401
    assert await count(api, "tasks") == before
    assert await count(api, "idempotency_keys") == 0


async def test_only_so_many_of_one_user_wait(api: Api) -> None:
    """More are told at once to come back; other rings wake none of them; others' requests have their own places."""
    template = await api.template()
    await create(api, template, "k")
    await in_hand(api, "k")
    async with asyncio.TaskGroup() as group:
        held = [
            group.create_task(create(api, template, "k")) for _ in range(idempotency.MOST_WAITING)
        ]
        await waiting(idempotency.MOST_WAITING)
        refused = await create(api, template, "k")
        assert reason(refused) == (409, "idempotency_in_progress")
        assert refused.headers["Retry-After"] == "1"
        await api.execute("update idempotency_keys set lease_expires_at = $1", api.now)
    assert {one.result().status_code for one in held} == {201}
    assert sum("Idempotency-Replayed" not in one.result().headers for one in held) == 1


async def test_a_stranger_leaves_nothing_behind(api: Api) -> None:
    """Whatever is sent without a token: only what did something is kept, and that for an hour."""
    path, body = "/api/v2/users/first", {"email": "x@example.com", "username": "x"}
    body["password"] = "correct horse battery"
    for key in ("a", "b"):
        answer = await api.call("POST", path, body, headers=named(key))
        assert 400 <= answer.status_code < 500
        assert "Idempotency-Replayed" not in answer.headers
    assert await count(api, "idempotency_keys") == 0


async def test_one_user_has_so_many_keys(api: Api) -> None:
    """With as many as are kept a new one is 429 and does nothing; known ones are answered, others have their own."""
    template = await api.template()
    first = await create(api, template, "k")
    await api.execute(
        "insert into idempotency_keys (id, owner_id, key, operation, fingerprint, request_id, lease_expires_at,"
        " finished_at, created_at, expires_at) select gen_random_uuid(), $1, 'n' || n, 'x', sha256('x'), '', $2, $2, $2,"
        " $3 from generate_series(2, $4::int) n",
        api.owner.id,
        api.now,
        api.now + timedelta(days=1),
        idempotency.MOST_KEYS,
    )
    assert reason(await create(api, template, "new")) == (429, "too_many_keys")
    assert (await create(api, template, "k")).content == first.content
    assert (await create(api, template, "new", by=await api.person("ada"))).status_code == 201
    assert await count(api, "tasks") == 2


async def test_a_request_outlives_its_key(api: Api) -> None:
    """While a request is worked on, its key is neither used again nor removed, whatever its time says."""
    template = await api.template()
    await create(api, template, "k")
    await in_hand(api, "k")
    await api.execute("update idempotency_keys set expires_at = $1", api.now)
    await Reaper(api.services).reap(api.now)
    assert await count(api, "idempotency_keys") == 1
    async with asyncio.TaskGroup() as group:
        second = group.create_task(create(api, template, "k"))
        await waiting(1)
        await api.execute("update idempotency_keys set finished_at = $1", api.now)
    assert second.result().status_code == 201


async def test_a_key_can_be_used_for_something_else_when_its_time_is_over(api: Api) -> None:
    """After keep_idempotency the same key is a new one."""
    template = await api.template()
    await create(api, template, "k", name="one")
    await api.execute("update idempotency_keys set expires_at = $1", api.now)
    answer = await create(api, template, "k", name="two")
    assert (answer.status_code, answer.json()["name"]) == (201, "two")


async def test_topic_is_rung_when_a_request_is_over(api: Api) -> None:
    """Who waits is woken by the row's id, and need not poll."""
    template, heard = await api.template(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        bell = group.create_task(api.services.doorbell.run())
        async with api.services.doorbell.on(
            TOPIC, lambda subject: heard.set() if subject else None
        ):
            async with asyncio.timeout(DEADLINE_S):
                while not heard.is_set():
                    await create(api, template, f"k{api.now.timestamp()}")
                    await asyncio.sleep(0.05)
        bell.cancel()
