"""Both prefixes, tokens, paths and verbs, media types. What shapes.py holds of every answer is not asked here again."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import pairwise

import httpx2
import pytest

from taskyard.wire.routes import ROUTES, TASKS_ALIAS, TASKS_PREFIX
from tests.api.seed import UNKNOWN, Api, Json, Person, reason

pytestmark = pytest.mark.anyio

NINE = [
    ("GET", ""),
    ("POST", "/me"),
    ("GET", "/me/x"),
    ("DELETE", "/me/x"),
    ("PATCH", "/me/x/input"),
    ("POST", "/me/x/send"),
    ("GET", "/me/x/logs"),
    ("POST", "/me/x/pause"),
    ("POST", "/me/x/resume"),
]

PREFIXES = (TASKS_PREFIX, TASKS_ALIAS)

LIFE: list[tuple[str, str, object]] = [
    ("POST", "/me", {"input": "do it", "name": "one", "display_name": "One"}),
    ("POST", "/me", {"input": "do it", "name": "ONE"}),
    ("POST", "/me", {"name": "a_b"}),
    ("GET", "", None),
    ("GET", "?q=status:sleepy", None),
    ("GET", "/me/one", None),
    ("GET", "/me/two", None),
    ("GET", "/me/one/logs", None),
    ("PATCH", "/me/one/input", {"input": "x"}),
    ("POST", "/me/one/send", {"input": "x"}),
    ("POST", "/me/one/pause", None),
    ("POST", "start", None),
    ("GET", "/me/one", None),
    ("POST", "/me/one/send", {"input": "x"}),
    ("GET", "/me/one/logs", None),
    ("POST", "/me/one/resume", None),
    ("POST", "/me/one/pause", None),
    ("DELETE", "/me/one", None),
    ("POST", "succeed", None),
    ("GET", "/me/one/logs", None),
    ("PATCH", "/me/one/input", {"input": " y "}),
    ("PATCH", "/me/one/input", {"input": " "}),
    ("GET", "?q=owner:me status:paused", None),
    ("POST", "/me/one/resume", None),
    ("POST", "succeed", None),
    ("DELETE", "/me/one", None),
    ("POST", "succeed", None),
    ("GET", "/me/one", None),
    ("GET", "", None),
]
"""Requests of one task from its making to its end; `start` and `succeed` are what a worker does in between."""


async def test_T1_both_prefixes_serve_the_same(api: Api) -> None:
    """Two people send the same requests, one below each prefix: every route answers them alike, to the byte."""
    template = await api.template()
    people = {prefix: await api.person(f"user{i}") for i, prefix in enumerate(PREFIXES)}
    lives = {p: await lived(api, p, people[p], str(template.version_id)) for p in PREFIXES}
    for request, here, there in zip(LIFE, *lives.values(), strict=True):
        assert here == there, request
    assert {(m, re.sub(r"one|two", "x", p)) for m, p, _ in LIFE if "?" not in p} >= set(NINE)


async def lived(api: Api, prefix: str, by: Person, version_id: str) -> list[tuple[int, str, str]]:
    """Status, reason and body of each answer, with a word instead of each id, time and name of its own."""
    workspace_id, found = "", []
    for method, rest, body in LIFE:
        if rest == "start":
            await api.start(workspace_id, "ready", "healthy")
        elif rest == "succeed":
            await api.succeed(workspace_id)
        if not rest.startswith(("/", "?")) and rest:
            found.append((0, "", ""))
            continue
        sent = body | {"template_version_id": version_id} if rest == "/me" else body  # type: ignore[operator]
        response = await api.client.request(
            method, prefix + rest, json=sent, headers={"Coder-Session-Token": by.token}
        )
        if response.status_code == 201:
            workspace_id = response.json()["workspace_id"]
        word = response.headers.get("X-Taskyard-Reason", "")
        found.append((response.status_code, word, plain(response.text, by)))
    return found


def plain(text: str, by: Person) -> str:
    """A body with what differs from person to person and from moment to moment taken out."""
    text = text.replace(by.username, "<user>")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)


def test_T1_the_table_of_routes() -> None:
    """The nine routes of people, and no other, stand below both prefixes."""
    twice = {(r.method, re.sub(r"\{\w+\}", "x", r.path)) for r in ROUTES if len(r.paths) == 2}
    assert twice == {(m, TASKS_PREFIX + re.sub("/me", "/x", rest)) for m, rest in NINE}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_T2_without_a_token(api: Api, prefix: str) -> None:
    """Every route wants a token before anything else, and says so in one sentence with one detail."""
    bodies = set()
    for method, rest in NINE:
        response = await api.client.request(method, prefix + rest, content=b"{")
        assert reason(response) == (401, "key_missing")
        assert response.json()["detail"]
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="coder"')
        bodies.add(response.content)
    assert len(bodies) == 1


PLACES: dict[str, Callable[[str], tuple[str, Mapping[str, str]]]] = {
    "header": lambda token: ("", {"Coder-Session-Token": token}),
    "cookie": lambda token: ("", {"Cookie": f"coder_session_token={token}"}),
    "bearer": lambda token: ("", {"Authorization": f"Bearer {token}"}),
    "query": lambda token: (f"?coder_session_token={token}", {}),
    "access_token": lambda token: (f"?access_token={token}", {}),
}
"""The five places of a token: what it makes of a query and of the headers."""


@pytest.mark.parametrize("place", PLACES)
async def test_T3_each_place_of_a_token(api: Api, place: str) -> None:
    """Each place is enough by itself, for reading and for writing, and a wrong token there is refused."""
    query, headers = PLACES[place](api.owner.token)
    for prefix in PREFIXES:
        response = await api.client.get(f"{prefix}{query}", headers=headers)
        assert (response.status_code, response.json()) == (200, {"tasks": [], "count": 0})
    response = await api.client.post(f"/api/v2/users/me/keys{query}", headers=headers)
    assert response.status_code == 201
    query, headers = PLACES[place]("0123456789-0123456789012345678901")
    response = await api.client.get(f"/api/v2/tasks{query}", headers=headers)
    assert reason(response) == (401, "key_unknown")


ORDER = ("cookie", "query", "header", "bearer", "access_token")
"""The places in the order in which they are looked at. Source: tasks-api 2.1."""


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
async def test_T4_the_first_place_decides(api: Api, first: str, second: str) -> None:
    """A bad token in an earlier place beats a good one in a later place; an empty one is none."""
    for bad, good, status in ((first, second, 401), (second, first, 200)):
        response = await both(
            api, (bad, "0123456789-0123456789012345678901"), (good, api.owner.token)
        )
        assert response.status_code == status, (bad, good)
    if first != "bearer":  # a header cannot end in a blank
        response = await both(api, (first, ""), (second, api.owner.token))
        assert response.status_code == 200


async def both(api: Api, *tokens: tuple[str, str]) -> httpx2.Response:
    """The answer to a request with tokens in these places."""
    parts = [PLACES[place](token) for place, token in tokens]
    query = "&".join(part.removeprefix("?") for part, _ in parts if part)
    headers = {name: value for _, some in parts for name, value in some.items()}
    return await api.client.get(f"/api/v2/tasks?{query}", headers=headers)


async def test_T4_a_bad_cookie_beside_a_good_header(api: Api) -> None:
    """A cookie that is no key at all wins as well."""
    for cookie in ("stale", "a-b", "0123456789-0123456789012345678901"):
        headers = {"Cookie": f"coder_session_token={cookie}"}
        assert (await api.call("GET", "/api/v2/tasks", headers=headers)).status_code == 401


async def test_T5_each_way_to_fail_says_which(api: Api) -> None:
    """Of well-formed tokens, the unknown, the wrong and the expired one, and each malformed one, have their own detail."""
    key_id, _, secret = api.owner.token.partition("-")
    old = await api.person("old")
    await api.execute(
        "update api_keys set expires_at = $2 where user_id = $1", old.id, api.now - timedelta(1)
    )
    broken = {
        "": "key_missing",
        "one": "key_malformed",
        "one-two-three": "key_malformed",
        f"short-{secret}": "key_malformed",
        f"{key_id}-short": "key_malformed",
        f"{'x' * 10}-{secret}": "key_unknown",
        f"{key_id}-{'x' * 22}": "key_wrong",
        old.token: "key_expired",
    }
    bodies = []
    for token, word in broken.items():
        response = await api.client.get(
            "/api/v2/tasks/me/x", headers={"Coder-Session-Token": token}
        )
        assert response.status_code == 401
        assert response.headers["X-Taskyard-Reason"] == word
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        bodies.append(response.json())
    assert len({body["message"] for body in bodies}) == 1
    assert len({body["detail"] for body in bodies}) == len(broken)


async def test_T6_unknown_paths(api: Api) -> None:
    """What is not served is a 404 in JSON, with a token and without, whatever the verb."""
    for path in ("/api/v2/nothing", "/api/v2/nothing/here", "/api/experimental/nothing"):
        for method in ("GET", "POST", "DELETE"):
            assert reason(await api.call(method, path)) == (404, "no_route")
            assert reason(await api.client.request(method, path)) == (404, "no_route")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_T7_no_list_of_a_user(api: Api, prefix: str) -> None:
    """The path is known, but only for making tasks."""
    response = await api.get(f"{prefix}/me")
    assert reason(response) == (405, "no_method")
    assert "POST" in response.headers["Allow"]


Ask = Callable[[Api, Json], Awaitable[httpx2.Response]]

EVERY_KIND: dict[str, tuple[int, Ask]] = {
    "list": (200, lambda api, _: api.get("/api/v2/tasks")),
    "one": (200, lambda api, task: api.get(f"/api/v2/tasks/me/{task['id']}")),
    "log": (200, lambda api, task: api.get(f"/api/v2/tasks/me/{task['id']}/logs")),
    "no body": (400, lambda api, _: api.post("/api/v2/tasks/me")),
    "no token": (401, lambda api, _: api.client.get("/api/v2/tasks")),
    "no task": (404, lambda api, _: api.get("/api/v2/tasks/me/nothing")),
    "no path": (404, lambda api, _: api.get("/api/v2/nothing")),
    "no verb": (405, lambda api, _: api.get("/api/v2/tasks/me")),
    "not now": (409, lambda api, task: api.post(f"/api/v2/tasks/me/{task['id']}/pause")),
    "bad query": (400, lambda api, _: api.get("/api/v2/tasks?q=a:b:c")),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_T8_T9_media_type_and_empty_keys(api: Api, kind: str) -> None:
    """What is not empty is JSON, errors too, and no error has an empty detail or null validations."""
    status, ask = EVERY_KIND[kind]
    response = await ask(api, await api.task(await api.template()))
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    body = response.json()
    assert status < 400 or body["message"]
    assert body.get("detail", "x") != ""
    assert body.get("validations", [1])


async def test_order_of_checks(api: Api) -> None:
    """Session, user, task, body: whatever is wrong later is not looked at. Source: tasks-api 1."""
    task = await api.task(await api.template())
    path = f"/api/v2/tasks/me/{UNKNOWN}/send"
    stranger = Person(api.owner.id, "x", "0123456789-0123456789012345678901")
    assert (await api.post(path, {"input": ""}, by=stranger)).status_code == 401
    assert reason(await api.call("POST", path, content=b"{")) == (404, "not_found")
    for method, rest in (("POST", "/send"), ("PATCH", "/input")):
        by_nobody = f"/api/v2/tasks/nobody/{task['name']}{rest}"
        assert reason(await api.call(method, by_nobody, content=b"{")) == (404, "not_found")
        known = f"/api/v2/tasks/me/{task['id']}{rest}"
        assert reason(await api.call(method, known, content=b"{")) == (400, "invalid_json")
    assert reason(await api.call("POST", "/api/v2/tasks/nobody", content=b"{")) == (
        404,
        "not_found",
    )


async def test_head_is_a_get_without_body(api: Api) -> None:
    """HEAD is a GET without the body."""
    response = await api.call("HEAD", "/api/v2/tasks")
    assert (response.status_code, response.content) == (200, b"")
