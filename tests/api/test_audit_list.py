"""The audit over the API: who reads what of it, how it is searched, and that nothing changes it."""

import json
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from tests.api.seed import UNKNOWN, Api, Json, reason

pytestmark = pytest.mark.anyio

PATH = "/api/v2/audit"


async def found(api: Api, q: str = "", **query: str | int) -> Json:
    """The rows that a search of the owner finds."""
    answer = await api.client.get(
        PATH, params={"q": q, **query}, headers={"Coder-Session-Token": api.owner.token}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_deed_is_told_with_who_what_when_and_from_where(api: Api) -> None:
    """A token that was made is in the audit with its maker, the key in use, the request's id and address."""
    made = await api.call(
        "POST",
        "/api/v2/users/me/keys/tokens",
        {"token_name": "bot"},
        headers={"User-Agent": "curl/8"},
    )
    [log] = (await found(api))["audit_logs"]
    assert (log["username"], log["user_id"]) == ("boss", str(api.owner.id))
    assert log["key_id"] == api.owner.token.partition("-")[0]
    assert (log["action"], log["resource_type"], log["resource_name"]) == (
        "create",
        "api_key",
        "boss/bot",
    )
    assert (log["ip"], log["user_agent"]) == ("127.0.0.1", "curl/8")
    assert log["request_id"] == made.headers["X-Taskyard-Request-Id"]
    assert made.json()["key"] not in json.dumps(log)


async def test_a_search_narrows_to_each_of_its_words(api: Api) -> None:
    """User, action, kind, thing, organization, times, request, address and success; what is wrong is named."""
    template = await api.template()
    task = await api.task(template, name="words")
    await api.post("/api/v2/users", {"username": "ada", "email": "ada@example.com"})
    await api.post("/api/v2/users/login", {"email": "nobody@example.com", "password": "x"})
    every = (await found(api))["audit_logs"]
    assert len(every) == 3
    [of_task] = (await found(api, "resource_type:task"))["audit_logs"]
    day = of_task["at"][:10]
    for q, names in {
        "user:boss": {"words", "ada"},
        f"user:{api.owner.id}": {"words", "ada"},
        "user:me": {"words", "ada"},
        "user:nobody@example.com": {"nobody@example.com"},
        "action:create": {"words", "ada"},
        "action:delete": set(),
        "wor": {"words"},
        f"resource:{task['id']}": {"words"},
        "organization:default": {"words"},
        f"from:{day}": {"words", "ada", "nobody@example.com"},
        f"to:{day}": {"words", "ada", "nobody@example.com"},
        'to:"2020-01-01T00:00:00Z"': set(),
        "from:2099-01-01": set(),
        f"request_id:{of_task['request_id']}": {"words"},
        "ip:127.0.0.1 succeeded:false": {"nobody@example.com"},
    }.items():
        page = await found(api, q)
        assert {log["resource_name"] for log in page["audit_logs"]} == names, q
        assert page["count"] == len(page["audit_logs"])
    for q in ("action:steal", "from:yesterday", "nothing:x", "succeeded:perhaps", "to:2026-13-45"):
        answer = await api.get(f"{PATH}?q={q}")
        assert reason(answer) == (400, "invalid_query"), q


async def test_pages_follow_each_other_without_gaps(api: Api) -> None:
    """By limit and after, rows of the same moment included; offset skips; the count is that of all."""
    now = api.now
    for number in range(7):
        await insert(api, f"n{number}", at=now - timedelta(seconds=number // 3))
    whole = [log["id"] for log in (await found(api))["audit_logs"]]
    pages: list[str] = []
    while True:
        after = {"after": pages[-1]} if pages else {}
        page = await found(api, limit=2, **after)
        assert page["count"] == 7
        if not page["audit_logs"]:
            break
        pages += [log["id"] for log in page["audit_logs"]]
    assert pages == whole
    assert [log["id"] for log in (await found(api, offset=5))["audit_logs"]] == whole[5:]
    assert reason(await api.get(f"{PATH}?after={UNKNOWN}")) == (400, "invalid_query")


async def test_owners_and_auditors_read_all_and_admins_what_is_theirs(api: Api) -> None:
    """An organization's admin sees deeds at its things and no other; members, template and user admins see none."""
    elsewhere = await api.organization("elsewhere")
    admin = await api.person(
        "ann", organization=elsewhere, organization_roles=("organization-admin",)
    )
    await insert(api, "theirs", organization_id=elsewhere)
    await insert(api, "others", organization_id=api.organization_id)
    await insert(api, "site")
    for person, names in {
        api.owner: {"theirs", "others", "site"},
        await api.person("aud", "auditor"): {"theirs", "others", "site"},
        admin: {"theirs"},
    }.items():
        answer = await api.get(PATH, by=person)
        assert {log["resource_name"] for log in answer.json()["audit_logs"]} == names
        lines = (await api.get(f"{PATH}/export", by=person)).text.splitlines()
        assert {json.loads(line)["resource_name"] for line in lines} == names
    other = (await found(api, "others"))["audit_logs"][0]["id"]
    assert reason(await api.get(f"{PATH}?after={other}", by=admin)) == (400, "invalid_query")
    for roles in ((), ("template-admin",), ("user-admin",)):
        person = await api.person(f"p{len(roles)}{''.join(roles)[:4]}", *roles)
        for path in (PATH, f"{PATH}/export"):
            assert reason(await api.get(path, by=person)) == (403, "forbidden")


async def test_an_export_is_everything_line_by_line(api: Api) -> None:
    """More rows than a batch, each once and newest first, as application/x-ndjson; an empty one is empty."""
    assert (await api.get(f"{PATH}/export")).content == b""
    await api.execute(
        "insert into audit_logs (id, at, username, action, resource_type, resource_id, resource_name, succeeded,"
        " changes) select gen_random_uuid(), now() - n * interval '1 ms', 'ada', 'write', 'task', '', 'n' || n, true,"
        " '{}' from generate_series(1, 2500) n"
    )
    answer = await api.get(f"{PATH}/export")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    names = [json.loads(line)["resource_name"] for line in answer.text.splitlines()]
    assert names == [f"n{n}" for n in range(1, 2501)]
    assert reason(await api.get(f"{PATH}/export?format=xml")) == (400, "unsupported_format")


async def test_nothing_changes_what_is_in_the_audit(api: Api) -> None:
    """Update, delete, truncate, also with the setting of another word: refused by the database itself."""
    await insert(api, "kept")
    for statement in (
        "update audit_logs set username = 'somebody else'",
        "delete from audit_logs",
        "truncate audit_logs",
        "with s as (select set_config('taskyard.reaping', 'on', true)) delete from audit_logs using s",
        "insert into audit_logs select * from audit_logs on conflict (id) do update set username = ''",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await api.execute(statement)
    assert [log["resource_name"] for log in (await found(api))["audit_logs"]] == ["kept"]


async def insert(api: Api, name: str, **values: object) -> None:
    """A row of the audit."""
    row = {
        "id": uuid4(),
        "at": api.now,
        "username": "ada",
        "action": "write",
        "resource_type": "task",
        "resource_id": "",
        "resource_name": name,
        "succeeded": True,
        "changes": b"{}",
        **values,
    }
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await api.execute(
        f"insert into audit_logs ({', '.join(row)}) values ({places})",
        *row.values(),
    )
