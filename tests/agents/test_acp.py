"""The ACP client against agents that are real processes, well-behaved and not."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from taskyard_agent import acp_permissions
from taskyard_agent.acp import (
    AcpClient,
    AcpError,
    AgentExited,
    AgentNotFound,
    Answer,
    AnsweredBy,
    Asked,
    Malformed,
    PermissionOption,
    PermissionRequest,
    Policy,
    ProtocolMismatch,
    StopReason,
    TurnRunning,
    Update,
    choose_option,
    text_block,
)
from taskyard_agent.acp_lines import EXCERPT_BYTES, Lines, clean
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PUPPET = str(Path(__file__).with_name("acp_puppet.py"))

PEER_AGENT = """
import asyncio, acp
from acp import schema

class Agent(acp.Agent):
    def on_connect(self, conn):
        self.client = conn
    async def initialize(self, protocol_version, **_):
        return schema.InitializeResponse(protocol_version=protocol_version)
    async def new_session(self, cwd, **_):
        return schema.NewSessionResponse(session_id="peer-session")
    async def prompt(self, session_id, prompt, **_):
        await self.client.session_update(session_id, acp.update_agent_message_text("you said " + prompt[0].text))
        options = [schema.PermissionOption(option_id="x1", name="No", kind="reject_once"),
                   schema.PermissionOption(option_id="x2", name="Yes", kind="allow_once")]
        call = schema.ToolCallUpdate(tool_call_id="t1", title="rm", kind="execute")
        answer = await self.client.request_permission(session_id=session_id, tool_call=call, options=options)
        await self.client.session_update(session_id, acp.update_agent_message_text(answer.outcome.option_id))
        return schema.PromptResponse(stop_reason="end_turn")

asyncio.run(acp.run_agent(Agent()))
"""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@dataclass
class Seen:
    """Handlers that write everything down."""

    updates: list[Update] = field(default_factory=list)
    extensions: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[PermissionRequest] = field(default_factory=list)
    answered: list[tuple[str, Answer]] = field(default_factory=list)
    open: list[Asked] = field(default_factory=list)
    policy: Policy = Policy.ALLOW
    lines: list[str] = field(default_factory=list)
    lost: list[Malformed] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, update: Update) -> None:
        self.updates.append(update)
        self.news.set()

    def extension(self, method: str, params: msgspec.Raw) -> None:
        self.extensions.append((method, bytes(params)))

    def permission_asked(self, asked: Asked) -> None:
        self.asked.append(asked.request)
        if self.policy is not Policy.ASK:
            asked.answer(Answer(choose_option(asked.request, self.policy), AnsweredBy.POLICY))
            return
        self.open.append(asked)
        self.news.set()

    def permission_answered(self, request: PermissionRequest, answer: Answer) -> None:
        self.answered.append((request.id, answer))

    def stderr(self, line: str) -> None:
        self.lines.append(line)

    def malformed(self, malformed: Malformed) -> None:
        self.lost.append(malformed)

    def texts(self) -> list[str]:
        found = [json.loads(bytes(update.update)) for update in self.updates]
        return [update["content"]["text"] for update in found if "content" in update]

    async def next(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.news.wait()
        self.news.clear()


@asynccontextmanager
async def agent(
    *argv: str, seen: Seen | None = None, policy: Policy = Policy.ALLOW
) -> AsyncIterator[tuple[AcpClient, Seen]]:
    seen = seen or Seen(policy=policy)
    command = [sys.executable, *(argv if argv[:1] == ("-c",) else ("-S", PUPPET, *argv))]
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        client = await AcpClient.start(tasks, command, env=dict(os.environ), cwd="/", handlers=seen)
        try:
            yield client, seen
        finally:
            await client.end(1)


@asynccontextmanager
async def session(
    *argv: str, policy: Policy = Policy.ALLOW
) -> AsyncIterator[tuple[AcpClient, Seen]]:
    async with agent(*argv, policy=policy) as (client, seen):
        await client.initialize()
        assert (await client.new_session("/")).session_id == "s"
        yield client, seen


async def test_a_turn() -> None:
    """A prompt's updates come in order, then its stop reason, usage and meta."""
    async with session() as (client, seen):
        end = await client.prompt("s", [text_block("updates 3\nstop max_tokens")])
        assert seen.texts() == ["0", "1", "2"]
        assert end.stop_reason is StopReason.MAX_TOKENS
        assert end.usage is not None
        assert json.loads(bytes(end.usage))["totalTokens"] == 3
        assert end.meta is not None
        assert bytes(end.meta) == b'{"m": 1}'
        assert end.agent_error is None


async def test_an_unknown_stop_reason_ends_the_turn() -> None:
    """A word from the future still ends the turn."""
    async with session() as (client, _):
        end = await client.prompt("s", [text_block("stop tired")])
        assert end.stop_reason is StopReason.UNKNOWN


async def test_the_package_as_agent() -> None:
    """An agent built with the reference package is driven through a turn with a permission."""
    async with agent("-c", PEER_AGENT) as (client, seen):
        info = await client.initialize()
        assert (info.protocol_version, info.can_load, info.can_resume) == (1, False, False)
        opened = await client.new_session("/")
        end = await client.prompt(opened.session_id, [text_block("hello")])
        assert end.stop_reason is StopReason.END_TURN
        assert seen.texts() == ["you said hello", "x2"]
        assert seen.asked[0].title == "rm"


async def test_twenty_thousand_updates_stay_in_order() -> None:
    """Nothing is lost or swapped in a flood; a handler that is slow makes the agent wait."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("updates 20000")])
        assert seen.texts() == [str(number) for number in range(20_000)]


async def test_a_large_update_arrives() -> None:
    """One update of 5 MB arrives whole."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("big 5000000")])
        assert [len(text) for text in seen.texts()] == [5_000_000]


async def test_a_large_prompt_arrives() -> None:
    """A prompt of 1 MB is taken while the agent talks."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("updates 100"), text_block("call " + "x" * 1_000_000)])
        assert len(seen.updates) == 101


async def test_a_megabyte_of_stderr_does_not_hang() -> None:
    """A chatty agent is drained: the turn ends and its lines are heard."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("stderr 1000000")])
        await client.end(1)
        assert len(seen.lines) == 10_000


async def test_unknown_kinds_and_extensions_are_kept() -> None:
    """What version 1 does not know is handed on as it came."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("unknown")])
        assert seen.updates[0].kind == "from_the_future"
        assert json.loads(bytes(seen.updates[0].update))["data"] == {"x": [1, 2]}
        assert seen.extensions == [("_vendor/thing", b'{"y": 1}')]


@pytest.mark.parametrize(
    "line",
    [
        "npm warn hello",
        "[1]",
        "{",
        '{"id": 99, "result": 1}',
        '{"method": 5}',
        "[" * 100_000,
        '{"method":"session/update","params":{"sessionId":4}}',
    ],
)
async def test_malformed_lines_are_reported(line: str) -> None:
    """A line that is no message is reported and does no harm."""
    async with session() as (client, seen):
        end = await client.prompt("s", [text_block(f"raw {line}\nupdates 1")])
        assert end.stop_reason is StopReason.END_TURN
        assert [lost.excerpt[:1] for lost in seen.lost] == [line[:1]]
        assert seen.texts() == ["0"]


async def test_broken_text_is_repaired() -> None:
    """Broken UTF-8 and halves of surrogate pairs become U+FFFD; whole pairs stay."""
    line = rb'{"t":"\xff a\ud83d b\ud83d\ude00 ' + "ä".encode() + rb'"}'
    line = line.replace(rb"\xff", b"\xff")
    assert json.loads(clean(line)) == {"t": "� a� b😀 ä"}
    raw = r'raw {"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"x","t":"\\ud83d"}}}'
    async with session() as (client, seen):
        await client.prompt("s", [text_block(raw)])
        assert json.loads(bytes(seen.updates[0].update))["t"] == "�"


def test_lines_over_the_limit_are_lost_alone() -> None:
    """A line over the limit is reported with its length; the next one is whole, however cut."""
    stream = b"short\n" + b"x" * 5000 + b"\nnext\n"
    for size in (1, 7, 4096, 9999):
        lines = Lines(limit=1000)
        found = [
            line
            for start in range(0, len(stream), size)
            for line in lines.feed(stream[start : start + size])
        ]
        assert found[0] == b"short"
        assert found[2] == b"next"
        assert isinstance(found[1], Malformed)
        assert (found[1].size_bytes, len(found[1].excerpt)) == (5000, EXCERPT_BYTES)


async def test_unadvertised_methods_are_refused() -> None:
    """A client method that was not offered is answered with -32601, not with made-up data."""
    async with session() as (client, seen):
        await client.prompt("s", [text_block("call fs/read_text_file")])
        assert json.loads(seen.texts()[0])["code"] == -32601


SETS = [
    ("allow", "reject_once,allow_always,allow_once", "o2"),
    ("allow", "reject_once,allow_always", "o1"),
    ("allow", "reject_once,reject_always", None),
    ("allow", "made_up", None),
    ("allow", "allow_always,allow_once switch_mode", "o1"),
    ("allow", "allow_always,reject_once switch_mode", None),
    ("deny", "allow_once,reject_always,reject_once", "o2"),
    ("deny", "allow_once,reject_always", "o1"),
    ("deny", "allow_once", None),
]


@pytest.mark.parametrize(("policy", "offered", "wanted"), SETS)
def test_options_are_chosen_by_kind(policy: str, offered: str, wanted: str | None) -> None:
    """A policy picks by kind, whatever the ids; without a suitable one the answer is cancelled."""
    kinds, _, tool_kind = offered.partition(" ")
    options = [PermissionOption(f"o{n}", kind, kind) for n, kind in enumerate(kinds.split(","))]
    request = PermissionRequest("1", "s", "", tool_kind, options, msgspec.Raw(b"{}"))
    assert choose_option(request, Policy(policy)) == wanted


async def test_a_policy_answers() -> None:
    """With a policy the request is shown, answered and reported, title or not."""
    async with session() as (client, seen):
        await client.prompt(
            "s", [text_block("ask reject_once,allow_always\nask reject_once,reject_once")]
        )
        first, second = (json.loads(text)["outcome"] for text in seen.texts())
        assert first == {"outcome": "selected", "optionId": "o1"}
        assert second == {"outcome": "cancelled"}
        by = AnsweredBy.POLICY
        assert seen.answered == [
            (seen.asked[0].id, Answer("o1", by)),
            (seen.asked[1].id, Answer(None, by)),
        ]


async def test_a_person_answers() -> None:
    """With policy ask the request waits for its answer, and other updates are not held up."""
    async with session(policy=Policy.ASK) as (client, seen):
        turn = await client.send_prompt("s", [text_block("updates 1\nask allow_once")])
        await seen.next()
        while not seen.open:
            await seen.next()
        answer = Answer("o0", AnsweredBy.PERSON, "ann")
        assert seen.open[0].answer(answer)
        assert not seen.open[0].answer(Answer(None, AnsweredBy.TIMEOUT))
        await turn.wait()
        assert json.loads(seen.texts()[1])["outcome"]["optionId"] == "o0"
        assert seen.answered == [(seen.asked[0].id, answer)]


async def test_cancel_with_an_open_permission() -> None:
    """A cancelled turn answers what is open, and what is asked after that, with cancelled."""
    async with session(policy=Policy.ASK) as (client, seen):
        turn = await client.send_prompt(
            "s", [text_block("ask allow_once\nask allow_once\nstop cancelled")]
        )
        await seen.next()
        await client.cancel("s")
        await client.cancel("s")
        assert (await turn.wait()).stop_reason is StopReason.CANCELLED
        assert [answer for _, answer in seen.answered] == [Answer(None, AnsweredBy.CANCEL)] * 2
        assert [json.loads(text)["outcome"]["outcome"] for text in seen.texts()] == [
            "cancelled"
        ] * 2


async def test_cancel_ends_a_turn() -> None:
    """A cancel reaches the agent; without a turn it is harmless."""
    async with session() as (client, _):
        await client.cancel("s")
        turn = await client.send_prompt("s", [text_block("wait")])
        await client.cancel("s")
        assert (await turn.wait()).stop_reason is StopReason.CANCELLED
        assert (await client.prompt("s", [text_block("updates 1")])).stop_reason == "end_turn"


async def test_one_prompt_at_a_time() -> None:
    """A second prompt is refused while one runs, also when its sender no longer waits."""
    async with session() as (client, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.prompt("s", [text_block("wait")])
        with pytest.raises(TurnRunning):
            await client.send_prompt("s", [text_block("updates 1")])
        await client.cancel("s")
        while True:
            try:
                await client.prompt("s", [text_block("updates 1")])
                break
            except TurnRunning:
                await asyncio.sleep(0.001)


async def test_an_error_ends_the_turn() -> None:
    """A JSON-RPC error ends the turn with what the agent said."""
    async with session() as (client, seen):
        with pytest.raises(AcpError) as caught:
            await client.prompt("s", [text_block("updates 2\nerror")])
        assert (caught.value.code, caught.value.message) == (-32603, "the model said no")
        assert seen.texts() == ["0", "1"]


async def test_a_hidden_error_is_shown() -> None:
    """`end_turn` after a status of systemError is exposed; one that was got over is not."""
    async with session() as (client, _):
        bad = await client.prompt("s", [text_block("status systemError\nstatus idle")])
        assert bad.stop_reason is StopReason.END_TURN
        assert bad.agent_error is not None
        good = await client.prompt("s", [text_block("status systemError\nstatus active")])
        assert good.agent_error is None


async def test_an_agent_that_dies_in_a_turn() -> None:
    """The turn, and all that is asked later, fails with exit code and last words; updates stay."""
    async with session() as (client, seen):
        with pytest.raises(AgentExited) as caught:
            await client.prompt("s", [text_block("updates 2\ndie 7")])
        assert caught.value.exit.code == 7
        assert caught.value.stderr == ("about to die",)
        assert seen.texts() == ["0", "1"]
        assert (await client.wait()).code == 7
        with pytest.raises(AgentExited):
            await client.send_prompt("s", [text_block("updates 1")])


async def test_an_agent_that_is_killed_in_a_turn() -> None:
    """SIGKILL fails the turn at once; an open permission is closed as cancelled."""
    async with session(policy=Policy.ASK) as (client, seen):
        turn = await client.send_prompt("s", [text_block("ask allow_once")])
        await seen.next()
        os.kill(client.pid, 9)
        with pytest.raises(AgentExited) as caught:
            await turn.wait()
        assert caught.value.exit.signal == 9
        await client.wait()
        assert [answer.option_id for _, answer in seen.answered] == [None]


async def test_an_agent_that_exits_at_once() -> None:
    """A program that is no agent is reported with its exit code."""
    async with agent("deaf") as (client, _):
        with pytest.raises(AgentExited) as caught:
            await client.initialize()
        assert caught.value.exit.code == 3


async def test_a_missing_agent() -> None:
    """A program that is not there is named."""
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as tasks:
            await AcpClient.start(tasks, ["no-such"], env={}, cwd="/", handlers=Seen())
    assert caught.group_contains(AgentNotFound)


async def test_another_version_is_refused() -> None:
    """An agent that speaks only another version is refused by number."""
    async with agent("v7") as (client, _):
        with pytest.raises(ProtocolMismatch) as caught:
            await client.initialize()
        assert caught.value.version == 7


async def test_load_swallows_the_replay() -> None:
    """What a load replays is counted, not delivered; what comes behind the answer is news."""
    async with agent("resume") as (client, seen):
        info = await client.initialize()
        assert (info.can_load, info.can_resume) == (True, True)
        loaded = await client.load_session("s", "/")
        assert (loaded.replayed, loaded.replayed_prompts) == (7, 3)
        while not seen.updates:
            await seen.next()
        assert seen.texts() == ["new"]
        assert (await client.resume_session("s", "/")).replayed == 0
        await client.set_mode("s", "ask")


async def test_modes_are_told() -> None:
    """A new session tells its modes."""
    async with agent() as (client, _):
        await client.initialize()
        info = await client.new_session("/")
        assert (info.mode, info.modes) == ("ask", ["ask"])


async def test_a_handler_that_fails_ends_the_group() -> None:
    """What cannot be stored is not lost silently: the error comes out of the task group."""

    class Full(Seen):
        def update(self, update: Update) -> None:
            raise OSError(28, "disk full")

    async def use() -> None:
        async with agent(seen=Full()) as (client, _):
            await client.initialize()
            await client.new_session("/")
            await client.prompt("s", [text_block("updates 1")])

    with pytest.raises(ExceptionGroup) as caught:
        await use()
    assert caught.group_contains(OSError)


async def test_a_flood_leaves_room_for_others() -> None:
    """While a flood is handled, others get their turn again and again, and not only after most of it."""
    async with session() as (client, seen):
        turn = await client.send_prompt("s", [text_block("updates 20000")])
        most = 0
        while not turn.done:
            before = len(seen.updates)
            await asyncio.sleep(0)
            most = max(most, len(seen.updates) - before)
        assert len(seen.updates) == 20_000
        assert most < 20_000 / 4


def test_permission_requests_may_lack_title_and_kind() -> None:
    """Null and missing titles and kinds are tolerated; a request without options is none."""
    params = b'{"sessionId":"s","toolCall":{"title":null},"options":[{"optionId":"a","kind":null}]}'
    request = acp_permissions.permission_request("1", msgspec.Raw(params))
    assert request is not None
    assert (request.title, request.tool_kind, request.options[0].name) == ("", "", "a")
    assert acp_permissions.permission_request("1", msgspec.Raw(b'{"sessionId":"s"}')) is None
