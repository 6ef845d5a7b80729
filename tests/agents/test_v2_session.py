"""What `/v2` shows: session, transcript, screen, snapshot, probes, documents."""

import asyncio
import json
from pathlib import Path

import pytest

from taskyard_agent.bridge.options import Limits, Options
from taskyard_agent.bridge.v2 import openapi
from taskyard_agent.bridge.v2.docs_page import HEADERS
from tests.agents.bridge_kit import bridge, say, stable
from tests.agents.v2_kit import Json, get, items_on_disk, post, prompt, refused, until_idle
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PLAN: Json = {"sessionUpdate": "plan", "entries": [{"content": "think"}]}
TITLE: Json = {"sessionUpdate": "session_info_update", "title": "A title"}
USAGE: Json = {"sessionUpdate": "usage_update", "used": 7, "size": 100}


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def update(body: Json) -> str:
    """A step of the scripted agent: sends this update."""
    message = {"jsonrpc": "2.0", "method": "session/update"}
    return "raw " + json.dumps(message | {"params": {"sessionId": "s", "update": body}})


async def test_N41_session(tmp_path: Path) -> None:
    """The session tells state, agent, protocol, limits and the newest number; no turn runs."""
    limits = Limits(streams=7, queued_prompts=3)
    async with bridge(tmp_path, Options(limits=limits)) as client:
        found = await get(client, "/v2/session")
        assert (found["state"], found["transport"], found["turn"]) == ("idle", "acp", None)
        agent, acp = found["agent"], found["acp"]
        assert isinstance(agent, dict)
        assert isinstance(acp, dict)
        assert agent["type"] == "custom"
        assert Path(f"/proc/{agent['pid']}").exists()
        assert (acp["protocol"], acp["session_id"]) == (1, "s")
        assert (found["plan"], found["title"], found["queue_length"]) == (None, None, 0)
        assert found["last_seq"] == items_on_disk(tmp_path)[-1]["seq"]
        assert found["limits"] == {
            "body_bytes": 2**20,
            "v2_body_bytes": 2**23,
            "upload_bytes": 10 * 2**20,
            "uploads_bytes": 2**30,
            "streams": 7,
            "queued_prompts": 3,
            "tool_bytes": 2**18,
            "transcript_bytes": 2**30,
        }


async def test_N38_session_in_a_turn(tmp_path: Path) -> None:
    """A running turn is told with its prompt; plan, title and usage are the newest ones, also afterwards."""
    async with bridge(tmp_path) as client:
        steps = [update(PLAN), update(TITLE), update(USAGE), "wait"]
        sent = await prompt(client, "\n".join(steps), id="p1")
        async with asyncio.timeout(DEADLINE_S):
            while (found := await get(client, "/v2/session"))["usage"] is None:
                await asyncio.sleep(0.005)
        turn = found["turn"]
        assert isinstance(turn, dict)
        assert (found["state"], turn["id"], turn["prompt_id"]) == ("running", 1, "p1")
        assert found["plan"] == [{"content": "think"}]
        assert found["title"] == "A title"
        assert isinstance(found["last_seq"], int)
        assert found["last_seq"] > int(str(sent["seq"]))
        await post(client, "/v2/cancel", status=202)
        await until_idle(client)
        found = await get(client, "/v2/session")
        assert (found["turn"], found["title"]) == (None, "A title")
    async with bridge(tmp_path) as client:
        assert (await get(client, "/v2/session"))["title"] == "A title"


async def test_N13_cancelling_nothing(tmp_path: Path) -> None:
    """A cancel without a turn, and a second one, are taken and do nothing."""
    async with bridge(tmp_path) as client:
        for _ in range(2):
            await post(client, "/v2/cancel", status=202)
        assert (await get(client, "/v2/session"))["state"] == "idle"


async def test_N13_cancelling_one_turn_and_no_other(tmp_path: Path) -> None:
    """A cancel that names a turn ends that one alone; of one that is over, or to come, it says so."""
    async with bridge(tmp_path) as client:
        told = await post(client, "/v2/cancel?turn=1", status=409)
        assert told["code"] == "nothing_runs"
        await prompt(client, "wait")
        for other in (2, 10**18):
            await post(client, f"/v2/cancel?turn={other}", status=409)
        assert (await get(client, "/v2/session"))["state"] == "running"
        await post(client, "/v2/cancel?turn=1", status=202)
        await until_idle(client)
        await prompt(client, "wait")
        await post(client, "/v2/cancel?turn=1", status=409)
        assert (await get(client, "/v2/session"))["state"] == "running"
        await post(client, "/v2/cancel?turn=x", status=422)
        await post(client, "/v2/cancel", status=202)
        await until_idle(client)


async def test_N38_transcript(tmp_path: Path) -> None:
    """Items are numbered from 1 without a hole, are those on disk, and can be read in pieces and by kind."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 3")
        await stable(client)
        whole = await get(client, "/v2/transcript")
        items = whole["items"]
        assert isinstance(items, list)
        assert items == items_on_disk(tmp_path)
        numbers = [item["seq"] for item in items]
        assert numbers == list(range(1, len(items) + 1))
        assert (whole["first_seq"], whole["last_seq"]) == (1, numbers[-1])
        part = await get(client, "/v2/transcript?after=2&limit=2")
        assert part["items"] == items[2:4]
        kinds = await get(client, "/v2/transcript?kinds=user_message,turn_end")
        assert isinstance(kinds["items"], list)
        assert [item["kind"] for item in kinds["items"]] == ["user_message", "turn_end"]
        assert (await get(client, f"/v2/transcript?after={numbers[-1]}"))["items"] == []
        assert (await get(client, "/v2/transcript?after=9223372036854775807"))["items"] == []


async def test_N38_a_long_transcript_in_pieces(tmp_path: Path) -> None:
    """An answer ends after about 1 MiB; asked again with the last number, every item comes once."""
    async with bridge(tmp_path) as client:
        await say(client, "big 3000000\nupdates 2")
        await stable(client)
        seen: list[int] = []
        rounds = 0
        while True:
            after = seen[-1] if seen else 0
            async with client.get(f"/v2/transcript?after={after}") as answer:
                raw = await answer.read()
            assert len(raw) < 1_500_000
            items = json.loads(raw)["items"]
            if not items:
                break
            rounds += 1
            seen += [item["seq"] for item in items]
        assert seen == list(range(1, seen[-1] + 1))
        assert rounds > 2


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("after=-1", "query.after"),
        ("after=x", "query.after"),
        ("after=1e3", "query.after"),
        ("after=99999999999999999999", "query.after"),
        ("after=" + "9" * 5000, "query.after"),
        ("limit=1001", "query.limit"),
        ("kinds=nothing", "query.kinds"),
    ],
)
async def test_N37_bad_queries(tmp_path: Path, query: str, location: str) -> None:
    """A query that makes no sense is refused, and the place of what is wrong is named."""
    async with bridge(tmp_path) as client, client.get(f"/v2/transcript?{query}") as answer:
        problem = await refused(answer, 422, "invalid")
        errors = problem["errors"]
        assert isinstance(errors, list)
        assert errors[0]["location"] == location


async def test_A7_A59_screen(tmp_path: Path) -> None:
    """Without a terminal the screen is the newest message; its ETag changes with it, and saves the text."""
    async with bridge(tmp_path) as client:
        async with client.get("/v2/screen") as answer:
            assert (answer.status, await answer.text()) == (200, "")
            empty = answer.headers["ETag"]
        await say(client, "updates 3")
        await stable(client)
        async with client.get("/v2/screen", headers={"If-None-Match": empty}) as answer:
            assert (answer.status, await answer.text()) == (200, "012")
            assert answer.content_type == "text/plain"
            tag = answer.headers["ETag"]
        for known in (tag, f'"x", W/{tag}'):
            async with client.get("/v2/screen", headers={"If-None-Match": known}) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
                assert answer.headers["ETag"] == tag


async def test_N21_snapshot(tmp_path: Path) -> None:
    """A snapshot holds the newest messages that fit, whole ones, or the end of the newest one."""
    async with bridge(tmp_path) as client:
        for size in (30_000, 2_000, 500):
            await say(client, f"big {size}")
            await stable(client)
        whole = (await get(client, "/messages"))["messages"]
        assert isinstance(whole, list)
        for most, count in ((65536, 6), (4_096, 4), (1_024, 2)):
            async with client.get(f"/v2/snapshot?max_bytes={most}") as answer:
                raw = await answer.read()
            assert len(raw) <= most
            kept = json.loads(raw)["messages"]
            assert [message["id"] for message in kept] == [
                message["id"] for message in whole[-count:]
            ]
        assert (await get(client, "/v2/snapshot"))["messages"]
        await say(client, "big 5000")
        await stable(client)
        async with client.get("/v2/snapshot?max_bytes=2000") as answer:
            [last] = json.loads(await answer.read())["messages"]
        assert last["content"].endswith("xxx")
        assert 1_500 < len(last["content"]) < 2_000
        async with client.get("/v2/snapshot?max_bytes=10") as answer:
            await refused(answer, 422, "invalid")


async def test_N20_checkpoint(tmp_path: Path) -> None:
    """A checkpoint answers once everything so far is on stable storage."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 3")
        await stable(client)
        found = await post(client, "/v2/checkpoint")
        assert found == {"last_seq": items_on_disk(tmp_path)[-1]["seq"]}


async def test_N37_unknown_paths_and_verbs(tmp_path: Path) -> None:
    """Below `/v2` an unknown path is a problem with a code; a wrong verb is a 405 without a body."""
    async with bridge(tmp_path) as client:
        for path in ("/v2/nothing", "/v2/session/", "/v2/", "/v2/terminal"):
            async with client.get(path) as answer:
                await refused(answer, 404, "not_found")
        for path, verb in (
            ("/v2/session", "POST"),
            ("/v2/session", "HEAD"),
            ("/v2/events", "HEAD"),
            ("/v2/prompts", "GET"),
            ("/v2/prompts/x", "PUT"),
            ("/docs", "HEAD"),
            ("/metrics", "POST"),
        ):
            async with client.request(verb, path) as answer:
                assert (answer.status, await answer.read()) == (405, b""), path


async def test_N37_terminal_routes_without_a_terminal(tmp_path: Path) -> None:
    """What needs a terminal is a 409 that says so."""
    async with bridge(tmp_path) as client:
        for verb, path, body in (
            ("POST", "/v2/terminal/input", {"data": "x"}),
            ("POST", "/v2/terminal/resize", {"cols": 80, "rows": 24}),
            ("GET", "/v2/terminal/log", None),
        ):
            async with client.request(verb, path, json=body) as answer:
                await refused(answer, 409, "no_terminal")


async def test_probes(tmp_path: Path) -> None:
    """The bridge is healthy and ready, and its figures can be read line by line."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 3")
        await stable(client)
        for path, text in (("/healthz", "ok\n"), ("/readyz", "idle\n")):
            async with client.get(path) as answer:
                assert (answer.status, await answer.text()) == (200, text)
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            lines = (await answer.text()).splitlines()
        figures = dict(line.split(" ") for line in lines if not line.startswith("#"))
        assert figures['taskyard_bridge_state{state="idle"}'] == "1"
        assert figures['taskyard_bridge_state{state="running"}'] == "0"
        assert figures["taskyard_bridge_messages"] == "2"
        assert float(figures["taskyard_bridge_resident_bytes"]) > 1e6


async def test_not_ready(tmp_path: Path) -> None:
    """With a coding agent that stays down the bridge is healthy and not ready."""
    async with bridge(tmp_path) as client:
        for _ in range(4):
            await stable(client)
            await client.post("/message", json={"content": "die 3", "type": "user"})
        async with asyncio.timeout(DEADLINE_S):
            while (await client.get("/readyz")).status != 503:
                await asyncio.sleep(0.01)
        assert (await client.get("/healthz")).status == 200


async def test_the_documents(tmp_path: Path) -> None:
    """The document of `/v2` names each route that is served, and only those; its references all lead somewhere."""
    async with bridge(tmp_path) as client:
        document = await get(client, "/v2/openapi.json")
        paths, components = document["paths"], document["components"]
        assert isinstance(paths, dict)
        assert isinstance(components, dict)
        for path, methods in paths.items():
            for verb in methods:
                answer = await client.request(verb, path.replace("{id}", "x"))
                found = (answer.status, answer.headers.get("X-Agentapi-Code"))
                assert found not in {(404, "not_found"), (405, None), (500, "internal")}, path
                answer.close()
    text = json.dumps(document)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in components["schemas"]
    assert openapi.document() == document


async def test_docs_page(tmp_path: Path) -> None:
    """The page of the API names every route of both documents, and neither runs nor fetches anything."""
    async with bridge(tmp_path) as client, client.get("/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        page = await answer.text()
        document = await get(client, "/v2/openapi.json")
        compat = await get(client, "/openapi.json")
    for found in (document, compat):
        paths = found["paths"]
        assert isinstance(paths, dict)
        assert all(f" {path}</h3>" in page for path in paths)
    for banned in ("<script", "http://", "https://", "@import", "url("):
        assert banned not in page


async def test_chat_base_path(tmp_path: Path) -> None:
    """The root leads to the chat page wherever that is."""
    async with bridge(tmp_path, Options(chat_base="/x/@me/chat")) as client:
        answer = await client.get("/", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (307, "/x/@me/chat/embed")
