"""Reading a transcript: by pages, whole, by kinds, in every status, and after the task was deleted."""

import asyncio
import json
import tracemalloc
from uuid import UUID

import msgspec
import pytest

from taskyard.control import task_transcript
from taskyard.db import events as db
from taskyard.db.statements import BOUND
from taskyard.wire.link import ItemKind
from taskyard.wire.transcript import TranscriptQuery
from tests.api.agent_seat import AgentSeat, started
from tests.api.seed import Api, Json, fields, reason
from tests.api.stream_kit import Writer, transcript_of

pytestmark = pytest.mark.anyio

LIFE: list[tuple[ItemKind, object]] = [
    (ItemKind.USER_MESSAGE, {"text": "Rank the words", "prompt_id": None}),
    (ItemKind.THOUGHT, {"text": "hm"}),
    (ItemKind.PLAN, {"entries": [{"content": "count", "status": "completed", "priority": "high"}]}),
    (ItemKind.AGENT_TEXT, {"text": "I ", "message_id": 1}),
    (ItemKind.AGENT_TEXT, {"text": "count", "message_id": 1}),
    (ItemKind.AGENT_MESSAGE, {"text": "I count", "message_id": 1}),
    (
        ItemKind.TOOL_CALL,
        {
            "tool_call_id": "t1",
            "title": "Edit a.txt",
            "kind": "edit",
            "status": "completed",
            "content": [
                {"type": "diff", "path": "a.txt", "oldText": "a\nb\n", "newText": "a\nc\n"}
            ],
            "locations": [],
            "raw_input": {"path": "a.txt"},
            "raw_output": None,
        },
    ),
    (
        ItemKind.PERMISSION_REQUEST,
        {
            "id": "p",
            "title": "rm -rf x",
            "options": [{"option_id": "yes", "name": "Yes", "kind": "allow_once"}],
            "expires_at": None,
        },
    ),
    (
        ItemKind.PERMISSION_RESPONSE,
        {"id": "p", "option_id": "yes", "outcome": "selected", "by": "person", "name": "ada"},
    ),
    (ItemKind.REPORT, {"summary": "Done", "link": "https://example.com/1", "outcome": "complete"}),
    (ItemKind.ERROR, {"level": "warning", "message": "slow"}),
    (ItemKind.TURN_END, {"reason": "end_turn", "error": None}),
]
"""A turn with everything in it."""


async def lived(api: Api) -> AgentSeat:
    """A task that went through it."""
    seat = await started(api)
    await (await Writer.of(seat)).send(*LIFE)
    return seat


async def page(api: Api, task: Json, query: str = "") -> Json:
    """A page of a transcript."""
    answer = await api.get(transcript_of(task, query))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_page_holds_the_items(api: Api) -> None:
    """Numbers without gaps from 1, data as they were sent, the last number, and no next page."""
    seat = await lived(api)
    found = await page(api, seat.task)
    assert [item["number"] for item in found["items"]] == list(range(1, len(LIFE) + 1))
    assert [(i["kind"], i["data"]) for i in found["items"]] == [(k.value, d) for k, d in LIFE]
    assert (found["last_number"], found["next_after"]) == (len(LIFE), None)


async def test_pages(api: Api) -> None:
    """after and before bound a page, before alone gives the end of what is before it, and kinds narrow."""
    seat = await started(api)
    await (await Writer.of(seat)).thoughts([str(n) for n in range(1, 11)])

    async def numbers(query: str) -> tuple[list[int], object]:
        found = await page(api, seat.task, query)
        return [item["number"] for item in found["items"]], found["next_after"]

    assert await numbers("?limit=3") == ([1, 2, 3], 3)
    assert await numbers("?limit=3&after=3") == ([4, 5, 6], 6)
    assert await numbers("?limit=3&after=7") == ([8, 9, 10], None)
    assert await numbers("?after=10") == ([], None)
    assert await numbers("?before=3") == ([1, 2], None)
    assert await numbers("?before=8&limit=2") == ([6, 7], None)
    assert await numbers("?after=2&before=6&limit=2") == ([3, 4], 4)
    assert await numbers("?after=4&before=6&limit=2") == ([5], None)
    assert await numbers("?kinds=plan") == ([], None)
    assert await numbers("?kinds=plan,%20thought&limit=1&after=8") == ([9], 9)


async def test_what_is_wrong_with_a_query(api: Api) -> None:
    """Each key is named; of a kind that there is not, the nearest, whatever the format."""
    task = await api.task(await api.template())
    for query, field in (
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("after=x", "after"),
        ("before=-1", "before"),
        ("format=xml", "format"),
        ("kinds=tool_cal", "kinds"),
        ("kinds=nothing&format=jsonl", "kinds"),
        ("kinds=nothing&format=markdown", "kinds"),
    ):
        answer = await api.get(transcript_of(task, f"?{query}"))
        assert answer.status_code == 400, query
        assert fields(answer) == {field}
    answer = await api.get(transcript_of(task, "?kinds=tool_cal"))
    assert '"tool_call"' in answer.json()["validations"][0]["detail"]


async def test_a_long_page_is_shorter(api: Api) -> None:
    """A page ends where its items have 1 MiB, holds one at least, and the next goes on behind it."""
    seat = await started(api)
    await (await Writer.of(seat)).thoughts(["x" * 2**19 if n < 5 else "y" for n in range(7)])
    seen: list[list[int]] = []
    after: int | None = 0
    while after is not None:
        found = await page(api, seat.task, f"?after={after}")
        seen += [[item["number"] for item in found["items"]]]
        after = found["next_after"]
    assert seen == [[1, 2], [3, 4], [5, 6, 7]]


@pytest.mark.parametrize("of_end", [False, True])
async def test_big_items_are_read_one_by_one(api: Api, *, of_end: bool) -> None:
    """A page that two big items fill costs the reading of two, however many more it might have."""
    seat = await started(api)
    task_id = UUID(seat.task["id"])
    await api.execute(
        "insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
        " select $1, n, 'thought', 1, json_build_object('text', x.text), now(), now()"
        " from generate_series(1, 40) n,"
        " (select string_agg(md5(i::text), '') from generate_series(1, 10000) i) x (text)",
        task_id,
    )
    async with api.services.db.connection() as conn:
        read = db.list_end_of_transcript_as_system if of_end else db.list_transcript_as_system
        span = db.Span(after=0, before=41)
        rows = await read(conn, task_id, span, limit=30, limit_bytes=400_000)
        assert [row.number for row in rows] == ([39, 40] if of_end else [1, 2])
        assert [row.found for row in rows] == [30, 30]
        bound = next(s for s in BOUND if s.name == f"events.{read.__name__}")
        given = {"task_id": task_id, "limit": 30, "bytes": 400_000, **msgspec.structs.asdict(span)}
        values = [given[name] for name in bound.parameters]
        plan = await conn.fetchval(f"explain (analyze, buffers, format json) {bound.sql}", *values)
    costs = json.loads(plan)[0]["Plan"]
    pages = costs["Shared Hit Blocks"] + costs["Shared Read Blocks"]
    assert pages * 8192 < 10 * 320_000, plan


@pytest.mark.parametrize("status", ["pending", "active", "paused", "error", "gone", "deleted"])
async def test_every_status(api: Api, status: str) -> None:
    """A transcript is read whatever became of the task, by its id also after it was deleted; others get 404."""
    seat = await lived(api)
    place = UUID(seat.task["workspace_id"])
    match status:
        case "pending" | "paused" | "error":
            await api.post(f"/api/v2/tasks/me/{seat.task['id']}/pause")
            held = await api.claim(str(place))
            await api.finish(held, "broken" if status == "error" else None)
            if status == "pending":
                await api.post(f"/api/v2/tasks/me/{seat.task['id']}/resume")
            assert (await api.fresh(seat.task))["status"] == status
        case "gone":
            await api.execute("update workspaces set deleted = true where id = $1", place)
        case "deleted":
            await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")
            by_name = transcript_of({"id": seat.task["name"]})
            assert reason(await api.get(by_name)) == (404, "not_found")
            of_nobody = transcript_of(seat.task).replace("/me/", "/nobody-at-all/")
            assert reason(await api.get(of_nobody)) == (404, "not_found")
    assert len((await page(api, seat.task))["items"]) == len(LIFE)
    bob = await api.person("bob")
    refused = await api.get(transcript_of(seat.task), by=bob)
    assert reason(refused) == (404, "not_found")


async def test_lines_are_the_stored_rows(api: Api) -> None:
    """As JSONL each item is one line and holds what is stored, strange texts readable, none missing."""
    seat = await lived(api)
    strange = [
        b'{ "text":\n "a\\u0000b \\\\ud800" }',
        rb'{"text":"\ud83d\ude00 \ud83d \ude00","n":1%b}' % (b"0" * 5000),
    ]
    async with api.services.db.transaction() as conn:
        for n, data in enumerate(strange, len(LIFE) + 1):
            await conn.execute(
                "insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
                " values ($1, $2, 'thought', 1, $3, now(), now())",
                UUID(seat.task["id"]),
                n,
                data,
            )
    answer = await api.get(transcript_of(seat.task, "?format=jsonl"))
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line, parse_int=str) for line in answer.content.splitlines()]
    assert [int(line["number"]) for line in lines] == list(range(1, len(LIFE) + 3))
    assert lines[-2]["data"] == {"text": "a\0b \\ud800"}
    assert lines[-1]["data"] == {"text": "\U0001f600 \ufffd \ufffd", "n": "1" + "0" * 5000}
    async with api.services.db.connection() as conn:
        stored = await conn.fetch(
            "select number, kind, turn, time, stored_at, data from task_items where task_id = $1"
            " order by number limit $2",
            UUID(seat.task["id"]),
            len(LIFE),
        )
    plain = [json.loads(line) for line in answer.content.splitlines()[: len(LIFE)]]
    assert [(p["number"], p["kind"], p["turn"], p["data"]) for p in plain] == [
        (r["number"], r["kind"], r["turn"], json.loads(r["data"])) for r in stored
    ]


async def test_as_markdown(api: Api) -> None:
    """Prompts are quoted, what was said stands as it is, tools are folded with their differences."""
    seat = await lived(api)
    for number, state in enumerate(("began", "failed"), 900):
        await api.execute(
            "insert into task_items (task_id, number, kind, turn, data, time, stored_at) values"
            " ($1, $2, 'phase', 0, json_build_object('phase', 'scripts', 'state', $3::text), now(), now())",
            UUID(seat.task["id"]),
            number,
            state,
        )
    answer = await api.get(transcript_of(seat.task, "?format=markdown"))
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    text = answer.text
    for part in (
        "## Turn 1",
        "> Rank the words",
        "<summary>Thoughts</summary>",
        "- [x] count",
        "\nI count\n",
        "<summary>edit: Edit a.txt (completed)</summary>",
        "--- a/a.txt\n+++ b/a.txt\n",
        "-b\n+c\n",
        "rm \\-rf x",
        "**Answer:** yes (ada)",
        "**Report (complete):** Done",
        "**Warning:** slow",
        "*scripts failed*",
    ):
        assert part in text, part
    assert "scripts began" not in text
    assert text.count("I count") == 1


async def test_a_long_transcript_takes_no_memory(api: Api) -> None:
    """20,000 items of 40 MB are given one after another; a hundredth of that is in memory at once."""
    seat = await started(api)
    task_id = UUID(seat.task["id"])
    await api.execute(
        "insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
        " select $1, n, 'agent_message', n / 100,"
        " json_build_object('message_id', n, 'text', repeat('word ', 400)), now(), now()"
        " from generate_series(1, 20000) n",
        task_id,
    )
    for parts in (
        task_transcript.lines(api.services, task_id, TranscriptQuery()),
        task_transcript.markdown(api.services, task_id, "x", TranscriptQuery()),
    ):
        size = 0
        async for part in parts:
            if not size:
                tracemalloc.start()
            size += len(part)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 40_000_000
        assert peak < 8_000_000
        await asyncio.sleep(0)
