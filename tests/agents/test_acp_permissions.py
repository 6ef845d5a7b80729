"""Permission requests: who answers them, in what order, and what nobody may be asked to allow."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from taskyard_agent.acp_permissions import (
    ModeLimit,
    PermissionOption,
    PermissionRequest,
    Policy,
    choose_option,
    permission_request,
)
from taskyard_agent.bridge.own_tool import is_own_tool
from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.tools import ToolState
from taskyard_agent.protocol import ItemKind
from tests.agents.acp_kit import Running, Wanted, acp
from tests.agents.fake_server import until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

ASK = Wanted(permissions="ask")


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def begin(running: Running, prompt: str, requests: int = 1) -> list[str]:
    """The ids of the open requests, oldest first, once there are so many."""
    await running.stable()
    await running.session.prompt(prompt, None)
    await until(lambda: len(running.session.permissions()) == requests)
    return [request.id for request in running.session.permissions()]


def outcomes(running: Running) -> list[dict[str, Any]]:
    """What the agent was answered, in the order in which it said so."""
    found: list[dict[str, Any]] = running.said()
    return [answer.get("outcome", answer) for answer in found]


async def test_N11_ask_waits_for_a_person(tmp_path: Path) -> None:
    """The state is waiting with the request's title, and working again once a person answered."""
    async with acp(tmp_path, ASK) as running:
        await running.stable()
        (request_id,) = await begin(running, "ask reject_once,allow_once execute")
        shown = running.session.permissions()[0]
        assert [option.kind for option in shown.options] == ["reject_once", "allow_once"]
        assert shown.expires_at is None
        assert running.record.state is not None
        assert running.record.state.session == "awaiting_permission"
        assert running.record.state.waiting is not None
        assert running.record.state.waiting.id == request_id
        assert running.record.state.waiting.title == shown.title == "execute"
        assert running.record.status == "running"
        running.session.answer_permission(request_id, "o1", "ann")
        await running.stable()
        assert outcomes(running) == [{"outcome": "selected", "optionId": "o1"}]
        assert running.states() == ["starting", "idle", "working", "waiting", "working", "idle"]
        assert running.data(ItemKind.PERMISSION_RESPONSE) == [
            {
                "id": request_id,
                "option_id": "o1",
                "outcome": "selected",
                "by": "person",
                "name": "ann",
            }
        ]


async def test_N11_an_answer_is_given_once(tmp_path: Path) -> None:
    """A second answer, one to nothing, and one that was not offered are refused by their codes."""
    async with acp(tmp_path, ASK) as running:
        (request_id,) = await begin(running, "ask reject_once,allow_once\nwait")
        for wrong, option, code in [
            ("nothing", "o1", "unknown"),
            (request_id, "allow", "no_such_option"),
        ]:
            with pytest.raises(Refused) as caught:
                running.session.answer_permission(wrong, option)
            assert caught.value.code == code
        running.session.answer_permission(request_id, None, "bob")
        with pytest.raises(Refused) as caught:
            running.session.answer_permission(request_id, "o1")
        assert caught.value.code == "answered"
        assert len(running.data(ItemKind.PERMISSION_RESPONSE)) == 1
        assert running.data(ItemKind.PERMISSION_RESPONSE)[0]["outcome"] == "cancelled"


async def test_N11_a_prompt_does_not_answer(tmp_path: Path) -> None:
    """While a request waits, a prompt is refused as busy."""
    async with acp(tmp_path, ASK) as running:
        await begin(running, "ask allow_once")
        with pytest.raises(Refused) as caught:
            await running.session.prompt("yes", None)
        assert caught.value.code == "busy"


async def test_N11_several_wait_at_once(tmp_path: Path) -> None:
    """Each is answered by itself; the state shows the oldest that waits."""
    async with acp(tmp_path, ASK) as running:
        ids = await begin(running, "askmany 3", 3)
        titles = [request.title for request in running.session.permissions()]
        assert titles == ["Tool q-0", "Tool q-1", "Tool q-2"]
        running.session.answer_permission(ids[1], "yes")
        assert waiting_id(running) == ids[0]
        running.session.answer_permission(ids[0], None)
        assert waiting_id(running) == ids[2]
        running.session.answer_permission(ids[2], "yes")
        await running.stable()
        said = {key: value for answer in running.said() for key, value in answer.items()}
        assert said["q-0"] == {"outcome": {"outcome": "cancelled"}}
        assert said["q-1"] == said["q-2"] == {"outcome": {"outcome": "selected", "optionId": "yes"}}


def waiting_id(running: Running) -> str:
    assert running.record.state is not None
    assert running.record.state.waiting is not None
    return running.record.state.waiting.id


@pytest.mark.parametrize(
    ("offered", "option"),
    [
        ("allow_once,reject_always,reject_once", "o2"),
        ("allow_once,reject_always", "o1"),
        ("allow_once", None),
    ],
)
async def test_N11_time_is_up(tmp_path: Path, offered: str, option: str | None) -> None:
    """A request that nobody answers in time is denied, and says until when it waited."""
    wanted = Wanted(permissions="ask", timeout_s=0.05)
    async with acp(tmp_path, wanted) as running:
        await running.stable()
        await running.turn(f"ask {offered}")
        request = running.data(ItemKind.PERMISSION_REQUEST)[0]
        answer = running.data(ItemKind.PERMISSION_RESPONSE)[0]
        assert request["expires_at"] is not None
        assert (answer["option_id"], answer["by"], answer["name"]) == (option, "timeout", None)
        assert running.session.permissions() == []


async def test_N13_a_cancelled_turn_answers_all(tmp_path: Path) -> None:
    """All open requests are answered with cancelled; cancelling twice is harmless."""
    async with acp(tmp_path, ASK) as running:
        await begin(running, "askmany 2\nstop cancelled", 2)
        await running.session.cancel()
        await running.session.cancel()
        await running.stable()
        answers = running.data(ItemKind.PERMISSION_RESPONSE)
        assert [(one["outcome"], one["by"]) for one in answers] == [("cancelled", "cancel")] * 2
        assert running.data(ItemKind.TURN_END)[0]["reason"] == "cancelled"


async def test_N12_requests_of_an_agent_that_died(tmp_path: Path) -> None:
    """What a dead agent asked for waits no longer, and the state says that it failed."""
    async with acp(tmp_path, ASK) as running:
        await begin(running, "ask allow_once\ndie 3")
        assert running.keeper._client is not None
        await running.keeper._client.end(0)
        await until(lambda: running.session.permissions() == [])
        assert running.data(ItemKind.PERMISSION_RESPONSE)[0]["by"] == "cancel"
        await running.stable()
        assert running.record.state is not None
        assert running.record.state.state == "failed"


@pytest.mark.parametrize(("permissions", "option"), [("allow", "o1"), ("deny", "o0")])
async def test_A58_a_policy_answers_by_kind(tmp_path: Path, permissions: str, option: str) -> None:
    """A policy answers at once by the kind of an option, and the transcript says that it did."""
    async with acp(tmp_path, Wanted(permissions=permissions)) as running:
        await running.stable()
        await running.turn("ask reject_once,allow_once")
        answer = running.data(ItemKind.PERMISSION_RESPONSE)[0]
        assert (answer["option_id"], answer["by"]) == (option, "policy")
        assert "waiting" not in running.states()


# which option


SETS = [
    # (policy, ids and kinds, tool kind, modes known, modes that are fine, wanted)
    ("allow", "allow:reject_once,x:allow_once", "", "", "", "x"),
    (
        "allow",
        "acceptEdits:allow_always,default:allow_once,plan:reject_once",
        "switch_mode",
        "acceptEdits,default,plan",
        "default",
        "default",
    ),
    (
        "allow",
        "bypassPermissions:allow_once,default:allow_once",
        "switch_mode",
        "bypassPermissions,default,plan",
        "default",
        "default",
    ),
    (
        "allow",
        "bypassPermissions:allow_once,plan:reject_once",
        "",
        "bypassPermissions,default,plan",
        "default",
        None,
    ),
    ("allow", "auto:allow_always,plan:reject_once", "other", "auto,default,plan", "default", None),
    ("allow", "go:allow_once,always:allow_always", "switch_mode", "", "", "go"),
    ("allow", "always:allow_always", "switch_mode", "", "", None),
    (
        "deny",
        "default:allow_once,plan:reject_once",
        "switch_mode",
        "default,plan",
        "default",
        "plan",
    ),
    ("allow", "a:,b:made_up", "", "", "", None),
    ("deny", "a:,b:made_up", "", "", "", None),
    ("ask", "a:allow_once", "", "", "", None),
]


@pytest.mark.parametrize(("policy", "offered", "tool", "known", "fine", "wanted"), SETS)
def test_D4_never_an_id_that_was_not_offered(
    policy: str, offered: str, tool: str, known: str, fine: str, wanted: str | None
) -> None:
    """The option is one that was offered, chosen by kind, and never a mode beyond the configured one."""
    pairs = [pair.partition(":") for pair in offered.split(",")]
    options = [PermissionOption(name, name, kind) for name, _, kind in pairs]
    request = PermissionRequest("1", "s", "", tool, options, msgspec.Raw(b"{}"))
    limit = ModeLimit(frozenset(known.split(",")), frozenset(fine.split(",")))
    assert choose_option(request, Policy(policy), limit) == wanted


async def test_N11_leaving_a_plan_never_raises_the_mode(tmp_path: Path) -> None:
    """An agent that asks to leave its plan gets the mode that the template configured, or nothing."""
    wanted = Wanted(
        command=[*Wanted().command, "modes"], type="codex", env={"TASKYARD_CONFINED": "0"}
    )
    more = {"optionId": "agent-full-access", "name": "All", "kind": "allow_once"}
    fine = {"optionId": "workspace-write", "name": "Ask", "kind": "allow_once"}
    call = {"toolCallId": "p", "title": "Ready?", "kind": "switch_mode"}
    async with acp(tmp_path, wanted) as running:
        await running.stable()
        for options in ([more, fine], [more]):
            params = {"sessionId": "s", "toolCall": call, "options": options}
            await running.turn(f"request session/request_permission {json.dumps(params)}")
        answers = [one["option_id"] for one in running.data(ItemKind.PERMISSION_RESPONSE)]
        assert answers == ["workspace-write", None]
        assert "cancelled" in running.sentences()[-1]


# our own tool


ARGUMENTS = {"summary": "going", "outcome": "working"}
STARTED = {"server": "taskyard", "tool": "report_task", "arguments": ARGUMENTS}
OPTIONS = [
    {"kind": "allow_always", "name": "Always", "optionId": "a"},
    {"kind": "allow_once", "name": "Allow", "optionId": "b"},
    {"kind": "reject_once", "name": "Reject", "optionId": "c"},
]
CLAUDE: dict[str, Any] = {
    "toolCallId": "t1",
    "rawInput": ARGUMENTS,
    "title": "mcp__taskyard__report_task",
    "kind": "other",
    "content": [],
}
NODE: dict[str, Any] = {"toolCallId": "t1", "kind": "execute", "status": "pending"}
RUST: dict[str, Any] = {
    "toolCallId": "t1",
    "status": "pending",
    "title": "Approve Report on the task",
    "content": [],
    "rawInput": {
        "turn_id": "u",
        "server_name": "taskyard",
        "id": "mcp_tool_call_approval_t1",
        "request": {"mode": "form", "_meta": {"codex_approval_kind": "mcp_tool_call"}},
    },
}
MARK = {"_meta": {"is_mcp_tool_approval": True}}


def asked(call: dict[str, Any], extra: dict[str, Any] | None = None) -> PermissionRequest:
    params = {"sessionId": "s", "toolCall": call, "options": OPTIONS} | (extra or {})
    request = permission_request("1", msgspec.Raw(msgspec.json.encode(params)))
    assert request is not None
    return request


def told(title: str, raw_input: object = STARTED, number: str = "t1") -> ToolState:
    return ToolState(number, title=title, raw_input=msgspec.Raw(msgspec.json.encode(raw_input)))


NODE_CALL = told("mcp.taskyard.report_task")
RUST_CALL = told("Tool: taskyard/report_task")


def test_our_tool_as_each_adapter_words_it() -> None:
    """The shapes that claude-agent-acp and both Codex adapters sent are recognised."""
    assert is_own_tool(asked(CLAUDE), None)
    assert is_own_tool(asked(CLAUDE | {"rawInput": ARGUMENTS | {"link": "https://x"}}), None)
    assert is_own_tool(asked(NODE, MARK), NODE_CALL)
    assert is_own_tool(asked(RUST), RUST_CALL)


NOT_OURS: dict[str, tuple[dict[str, Any], dict[str, Any], ToolState | None]] = {
    "a command of that name": (CLAUDE | {"kind": "execute"}, {}, None),
    "a command's input": (
        CLAUDE | {"rawInput": {"command": "mcp__taskyard__report_task"}},
        {},
        None,
    ),
    "no input": ({k: v for k, v in CLAUDE.items() if k != "rawInput"}, {}, None),
    "one more argument": (CLAUDE | {"rawInput": ARGUMENTS | {"path": "/etc"}}, {}, None),
    "a longer title": (CLAUDE | {"title": "mcp__taskyard__report_task2"}, {}, None),
    "another server": (CLAUDE | {"title": "mcp__other__report_task"}, {}, None),
    "a title within a title": (CLAUDE | {"title": "run mcp__taskyard__report_task"}, {}, None),
    "no kind": (CLAUDE | {"kind": None}, {}, None),
    "a mark alone": (NODE, MARK, None),
    "a call alone": (NODE, {}, NODE_CALL),
    "another call": (NODE | {"toolCallId": "t2"}, MARK, NODE_CALL),
    "a call of another server": (
        NODE,
        MARK,
        told("mcp.taskyard.report_task", STARTED | {"server": "x"}),
    ),
    "a call of another tool": (
        NODE,
        MARK,
        told("mcp.taskyard.report_task", STARTED | {"tool": "rm"}),
    ),
    "another title": (NODE, MARK, told("mcp.taskyard.other")),
    "a title in the request": (NODE | {"title": "rm -rf /"}, MARK, NODE_CALL),
    "a command's call": (NODE, MARK, told("mcp.taskyard.report_task", {"command": "x"})),
    "a rust request without a call": (RUST, {}, None),
    "a rust request of another call": (RUST | {"toolCallId": "t2"}, {}, RUST_CALL),
    "a rust request of another kind": (
        RUST | {"rawInput": {**RUST["rawInput"], "request": {"mode": "form"}}},
        {},
        RUST_CALL,
    ),
    "a rust request of another server": (
        RUST | {"rawInput": {**RUST["rawInput"], "server_name": "x"}},
        {},
        RUST_CALL,
    ),
    "a rust request of another id": (
        RUST | {"rawInput": {**RUST["rawInput"], "id": "mcp_tool_call_approval_t9"}},
        {},
        RUST_CALL,
    ),
    "a call without an id": (
        NODE | {"toolCallId": None},
        MARK,
        told("mcp.taskyard.report_task", number=""),
    ),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_nothing_else_is_taken_for_our_tool(what: str) -> None:
    """Whatever differs in one respect from what was recorded is asked about like anything else."""
    call, extra, state = NOT_OURS[what]
    assert not is_own_tool(asked(call, extra), state)


@pytest.mark.parametrize("permissions", ["allow", "ask", "deny"])
async def test_our_tool_is_allowed_without_asking(tmp_path: Path, permissions: str) -> None:
    """Whatever the policy, our tool is allowed once, by the policy, and nobody is asked."""
    params = {"sessionId": "s", "toolCall": CLAUDE, "options": OPTIONS}
    started = {"sessionUpdate": "tool_call", "title": "mcp.taskyard.report_task"}
    update = started | {"toolCallId": "t1", "kind": "execute", "rawInput": STARTED}
    marked = {"sessionId": "s", "toolCall": NODE, "options": OPTIONS} | MARK
    async with acp(tmp_path, Wanted(permissions=permissions)) as running:
        await running.stable()
        await running.turn(
            f"request session/request_permission {json.dumps(params)}\n"
            f"update {json.dumps(update)}\n"
            f"request session/request_permission {json.dumps(marked)}"
        )
        answers = running.data(ItemKind.PERMISSION_RESPONSE)
        assert [(one["option_id"], one["by"]) for one in answers] == [("b", "policy")] * 2
        assert "waiting" not in running.states()
        assert running.data(ItemKind.PERMISSION_REQUEST)[1]["title"] == "mcp.taskyard.report_task"


async def test_N12_what_was_not_advertised_is_refused(tmp_path: Path) -> None:
    """File and terminal methods are not found; a form is declined, and noted."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.turn(
            "request fs/read_text_file {}\nrequest terminal/create {}\nrequest elicitation/create {}"
        )
        refused, also, declined = running.said()
        assert refused["code"] == also["code"] == -32601
        assert declined == {"action": "decline"}
        raw = running.data(ItemKind.RAW)[0]["update"]
        assert raw == {"method": "elicitation/create", "params": {}}


async def test_a_request_outlives_nothing(tmp_path: Path) -> None:
    """A turn that ends while a request of it is open leaves none behind."""
    stray = {
        "jsonrpc": "2.0",
        "id": "stray",
        "method": "session/request_permission",
        "params": {"sessionId": "s", "toolCall": {"toolCallId": "z"}, "options": OPTIONS},
    }
    async with acp(tmp_path, ASK) as running:
        await running.stable()
        async with asyncio.timeout(DEADLINE_S):
            await running.session.prompt(f"raw {json.dumps(stray)}\nstop end_turn", None)
        await running.stable()
        assert running.session.permissions() == []
        assert running.data(ItemKind.PERMISSION_RESPONSE)[0]["by"] == "cancel"
