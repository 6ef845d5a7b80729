"""What real coding agents do here, as it is seen by running them: the rows of docs/reference/agents.md."""

import os
import signal
from pathlib import Path

import msgspec

from scripts.write_agents import SEEN, Seen, seen
from taskyard_agent.protocol import ItemKind
from tests.agents.model.server import Model
from tests.agents.programs.program import Program
from tests.agents.programs.program_kit import Running, running

SLEEP = "sleep 79.5"
"""A command that lasts longer than any test."""


def write(row: Seen) -> None:
    """Puts a row in the place of the one of the same program."""
    rows = {each.name: each for each in seen()} | {row.name: row}
    SEEN.write_bytes(
        msgspec.json.format(msgspec.json.encode(list(rows.values())), indent=2) + b"\n"
    )


async def look(home: Path, program: Program, model: Model) -> Seen:
    """Runs a program through a turn, a refusal, an error, a cancel and a kill."""
    async with running(home, program, model) as bridge:
        idle_mb = bridge.memory_mb()
        turn, tools = await _turn(bridge)
        used_mb = bridge.memory_mb()
        state = await _state(bridge, program)
        cancel = await _cancel(bridge)
        resume = await _resume(bridge)
    async with running(home, program, model, permissions="deny") as bridge:
        permission = await _permission(bridge, program)
    return Seen(
        name=program.title,
        package=program.package,
        version=program.version(),
        transport="ACP",
        turn=turn,
        tools=tools,
        permission=permission,
        cancel=cancel,
        resume=resume,
        state=state,
        memory_mb=[idle_mb, used_mb],
    )


async def look_at_screen(home: Path, program: Program, model: Model) -> Seen:
    """The same through the program's screen, where a dialog is what a request is."""
    async with running(home, program, model) as bridge:
        idle_mb = bridge.memory_mb()
        end = await bridge.turn("shell: echo $((7 * 11))", "shell: echo $((7 * 13))", "say: seen")
        shown = (await bridge.messages())[-1]
        assert all(word in shown for word in ("77", "91", "seen")), shown
        used_mb = bridge.memory_mb()
        assert bridge.tools() == []
        permission = await _dialog(bridge)
        failed = await bridge.turn("error: 400", f"say: {program.name}, seen")
        cancel = await _cancel(bridge)
        resume = await _resume(bridge)
    return Seen(
        name=program.title,
        package=program.package,
        version=program.version(),
        transport="screen",
        turn=f"`{end['reason']}`",
        tools="as text in the answer",
        permission=permission,
        cancel=cancel,
        resume=resume,
        state=f"its screen and its hooks; a turn in which the model failed ends as `{failed['reason']}`",
        memory_mb=[idle_mb, used_mb],
    )


async def _dialog(bridge: Running) -> str:
    """What shows while it asks on its screen, and what Escape does to the turn."""
    before = len(bridge.items(ItemKind.TURN_END))
    await bridge.say("shell: touch asked.txt", "say: so it is")
    await bridge.until("a dialog", lambda: bridge.states()[-1] == "waiting")
    kind = bridge.data(ItemKind.STATE)[-1]["waiting"]["kind"]
    await bridge.cancel()
    end = await bridge.ended(before)
    assert not (bridge.home / "asked.txt").exists()
    return f"a {kind} on its screen; a refusal ends the turn as `{end['reason']}`"


async def _turn(bridge: Running) -> tuple[str, str]:
    """How a turn with two calls ended, and what the transcript has of the calls."""
    file = bridge.home / "seen.txt"
    end = await bridge.turn(f"shell: echo > {file.name}", f"shell: ls {file.name}", "say: seen")
    assert "seen" in (await bridge.messages())[-1]
    calls = [call["status"] for call in bridge.tools()]
    return f"`{end['reason']}`", f"{len(calls)} calls, {' and '.join(sorted(set(calls)))}"


async def _state(bridge: Running, program: Program) -> str:
    """What tells of a failure of the model, which no program hides from all of this."""
    end = await bridge.turn("error: 400", f"say: {program.name}, seen")
    assert end["reason"] == "error", end
    own = any(b"systemError" in bytes(item.data) for item in bridge.items(ItemKind.SESSION_INFO))
    return "ACP, and the program's own status when its model fails" if own else "ACP"


async def _cancel(bridge: Running) -> str:
    """How a turn ended that was cancelled in a command, which is gone then."""
    before = len(bridge.items(ItemKind.TURN_END))
    await bridge.say(f"shell: {SLEEP}")
    await bridge.until("a running command", lambda: bridge.pids(SLEEP))
    await bridge.cancel()
    end = await bridge.ended(before)
    await bridge.until("no command", lambda: not bridge.pids(SLEEP))
    return f"`{end['reason']}`, command gone"


async def _resume(bridge: Running) -> str:
    """How a process after one that was killed came to the conversation."""
    (group,) = bridge.groups()
    os.killpg(group, signal.SIGKILL)
    await bridge.until("its end", lambda: bridge.data(ItemKind.AGENT_EXIT))
    await bridge.until("a second one", lambda: bridge.session() == "idle")
    opened = [info["opened"] for info in bridge.data(ItemKind.SESSION_INFO) if "opened" in info]
    return f"`{opened[-1]}`"


async def _permission(bridge: Running, program: Program) -> str:
    """What it offers when it asks, and what a refusal does to the turn."""
    before = len(bridge.items(ItemKind.TURN_END))
    await bridge.say(program.asking("touch asked.txt"), "say: so it is")
    end = await bridge.ended(before)
    assert not (bridge.home / "asked.txt").exists()
    asked = bridge.data(ItemKind.PERMISSION_REQUEST)[-1]
    kinds = ", ".join(sorted({f"`{option['kind']}`" for option in asked["options"]}))
    return f"{kinds}; a refusal ends the turn as `{end['reason']}`"
