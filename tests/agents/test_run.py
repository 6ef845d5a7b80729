"""A workspace agent's whole life as a process, against a server on a Unix socket."""

import asyncio
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.protocol import App, HealthCheck, ItemKind
from tests.agents.fake_server import PUPPET, TASK, Kit, free_port, kit, manifest, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def healthy(made: Kit) -> None:
    await until(lambda: ("agent", "healthy") in made.server.health)
    await made.server.until_stable()


async def test_start_to_end(tmp_path: Path) -> None:
    """Ready, healthy, a prompt with its items pushed, an orderly end with a snapshot."""
    async with kit(tmp_path, manifest()) as made, made.agent() as agent:
        server = made.server
        await until(lambda: ("agent", "healthy") in server.health)
        await until(lambda: server.lifecycles == ["starting", "ready"])
        await server.until_stable()
        assert (await server.say("echo hello", "p1")).status == 200
        await until(lambda: "turn_end" in server.kinds())
        expected = [("user", "echo hello"), ("agent", "[Tool: execute] echo hello\n\nhello\n")]
        assert await server.messages() == expected
        assert [item.seq for item in server.items] == list(range(1, len(server.items) + 1))
        assert server.data(ItemKind.USER_MESSAGE) == [{"prompt_id": "p1", "text": "echo hello"}]
        assert await agent.stop() == 0
        assert server.lifecycles == ["starting", "ready", "shutting_down", "off"]
        [(target, body)] = server.snapshots
        assert target.endswith(f"/{TASK}/log-snapshot?format=agentapi")
        messages = msgspec.json.decode(body)["messages"]
        assert [(m["role"], m["content"]) for m in messages] == expected
        assert server.tokens == {"secret-token"}


async def test_same_prompt_id_is_worked_on_once(tmp_path: Path) -> None:
    """A prompt that is sent again under its id is answered as taken, also after a restart."""
    async with kit(tmp_path, manifest()) as made:
        async with made.agent() as agent:
            await healthy(made)
            for _ in range(2):
                assert (await made.server.say("echo once", "p1")).status == 200
                await made.server.until_stable()
            await agent.kill_all()
        async with made.agent():
            await until(lambda: len(made.server.health) == 2)
            assert (await made.server.say("echo once", "p1")).status == 200
            assert len(await made.server.messages()) == 2


async def test_scripts(tmp_path: Path) -> None:
    """Scripts run at home with the template's environment and without the token; their output is logged."""
    made_manifest = manifest(start_script="up.sh", stop_script="down.sh", env={"COLOR": "red"})
    async with kit(tmp_path, made_manifest) as made:
        (made.template / "up.sh").write_text(
            'echo "$PWD $COLOR $TASKYARD_TASK_ID"; echo oops >&2\n'
            'env | grep -c AGENT_TOKEN; touch started; sleep 1000 & echo "left $!"'
        )
        (made.template / "down.sh").write_text('echo "stopping in $PWD"')
        async with made.agent() as agent:
            await healthy(made)
            await until(lambda: len(made.server.logs) == 4)
            lines = [text for source, text in made.server.logs if source == "start"]
            assert f"{made.home} red {TASK}" in lines
            assert {"oops", "0"} <= set(lines)
            left = next(int(line.split()[1]) for line in lines if line.startswith("left"))
            assert is_alive(left)
            assert await agent.stop() == 0
            assert ("stop", f"stopping in {made.home}") in made.server.logs
            assert not is_alive(left)


async def test_failed_start_script(tmp_path: Path) -> None:
    """A start script that fails is reported, and the coding agent is started all the same."""
    async with kit(tmp_path, manifest(start_script="up.sh")) as made:
        (made.template / "up.sh").write_text("exit 7")
        async with made.agent():
            await healthy(made)
            await until(lambda: made.server.lifecycles == ["starting", "start_error"])
            await until(
                lambda: (
                    ("start", "The start script up.sh ended with exit code 7.") in made.server.logs
                )
            )


async def test_start_script_over_time(tmp_path: Path) -> None:
    """A start script that hangs is killed with what it started, and the coding agent is started all the same."""
    async with kit(tmp_path, manifest(start_script="up.sh")) as made:
        (made.template / "up.sh").write_text("sleep 1000 & echo $!; wait")
        async with replace(made, start_script_s=2.0).agent():
            await healthy(made)
            await until(lambda: made.server.lifecycles == ["starting", "start_timeout"])
            told = ("start", "The start script up.sh was killed after 2 s.")
            await until(lambda: told in made.server.logs)
            left = int(next(text for source, text in made.server.logs if source == "start"))
            await until(lambda: not is_alive(left))


async def test_stop_script_over_time(tmp_path: Path) -> None:
    """A stop script that hangs is killed, and the end is in time."""
    async with kit(tmp_path, manifest(stop_script="down.sh")) as made:
        (made.template / "down.sh").write_text("sleep 1000")
        grace_s = 5.0  # a third of it is left for telling
        async with made.with_grace(grace_s).agent() as agent:
            await healthy(made)
            assert await agent.stop() == 0
            assert made.server.lifecycles[-1] == "shutdown_timeout"
        [told] = [text for source, text in made.server.logs if source == "stop"]
        had = re.search(r"killed after ([0-9.]+) s", told)
        assert had is not None
        assert float(had[1]) < grace_s


async def test_foreign_app(tmp_path: Path) -> None:
    """Somebody else's server is started, watched, and asked for its messages at the end."""
    port = free_port()
    url = f"http://localhost:{port}"
    script = (
        "import http.server, json, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "  def do_GET(self):\n"
        "    body = json.dumps({'messages': [{'id': 0, 'role': 'agent', 'content': 'x' * 70000,"
        " 'time': '2026-01-01T00:00:00Z', 'more': 1}]}).encode()\n"
        "    self.send_response(200); self.send_header('Content-Length', str(len(body)))\n"
        "    self.end_headers(); self.wfile.write(body)\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    )
    app = App("web", url, 'echo up; exec "$TASKYARD_PYTHON" s.py', HealthCheck(url, 1, 3))
    made_manifest = manifest(apps=[app], bridge_slug=None, task_slug="web", coding_agent=None)
    async with kit(tmp_path, made_manifest) as made:
        (made.home / "s.py").write_text(script)
        async with made.agent() as agent:
            await until(lambda: ("web", "healthy") in made.server.health)
            assert ("web", "up") in made.server.logs
            [app_pid] = agent.children()
            assert await agent.stop() == 0
            [(_, body)] = made.server.snapshots
            [message] = msgspec.json.decode(body)["messages"]
            assert len(body) <= 65536
            assert message["content"].startswith("[cut] xxx")
            assert not is_alive(app_pid)


async def test_app_that_ends(tmp_path: Path) -> None:
    """An app that ends is reported in its log, and unhealthy after `threshold` intervals."""
    url = f"http://127.0.0.1:{free_port()}"
    app = App("web", url, "exit 3", HealthCheck(url, 1, 1))
    made_manifest = manifest(apps=[app], bridge_slug=None, task_slug=None, coding_agent=None)
    async with kit(tmp_path, made_manifest) as made, made.agent():
        await until(lambda: ("web", "unhealthy") in made.server.health)
        await until(lambda: made.server.logs)
        [(source, text)] = made.server.logs
        assert source == "web"
        assert "exit code 3" in text


async def test_stop_in_a_turn(tmp_path: Path) -> None:
    """SIGTERM in a turn: it ends as interrupted, the command is gone, the snapshot has what was said."""
    async with kit(tmp_path, manifest()) as made, made.agent() as agent:
        await healthy(made)
        await made.server.say("echo begun; sleep 1000")
        await until(lambda: "agent_text" in made.server.kinds())
        assert await made.server.status() == "running"
        assert await agent.stop() == 0
        assert made.server.data(ItemKind.TURN_END) == [{"reason": "interrupted", "error": None}]
        assert made.server.data(ItemKind.TOOL_CALL)[-1]["status"] == "failed"
        assert b"begun" in made.server.snapshots[0][1]


async def test_everything_killed_in_a_turn(tmp_path: Path) -> None:
    """After a crash in a turn the conversation is there, the turn interrupted, the numbers go on."""
    async with kit(tmp_path, manifest()) as made:
        server = made.server
        async with made.agent() as agent:
            await healthy(made)
            await server.say("cd /; echo one", "p1")
            await server.until_stable()
            await server.say("echo begun; sleep 1000", "p2")
            await until(lambda: len(server.data(ItemKind.AGENT_TEXT)) == 2)
            await agent.kill_all()
        before = server.acked
        async with made.agent():
            await until(lambda: len(server.health) == 2)
            await server.until_stable()
            messages = await server.messages()
            assert [role for role, _ in messages] == ["user", "agent", "user", "agent"]
            assert messages[3][1].endswith("begun\n")
            await until(lambda: len(server.data(ItemKind.TURN_END)) == 2)
            assert server.data(ItemKind.TURN_END)[1]["reason"] == "interrupted"
            tools = server.data(ItemKind.TOOL_CALL)
            assert tools[-1]["status"] == "failed"
            await until(lambda: server.data(ItemKind.SESSION_INFO)[-1]["opened"] == "loaded")
            assert server.items[before].seq == before + 1
            assert (await server.say("pwd")).status == 200
            await server.until_stable()
            assert (await server.messages())[-1][1] == "[Tool: execute] pwd\n\n/\n"
        assert server.repeated == 0


async def test_coding_agent_killed_in_a_turn(tmp_path: Path) -> None:
    """The coding agent's death ends the turn with an error; another one goes on with the same context."""
    async with kit(tmp_path, manifest()) as made, made.agent() as agent:
        server = made.server
        await healthy(made)
        await server.say("cd /usr; sleep 1000")
        await until(lambda: "tool_call" in server.kinds())
        [pid] = agent.children()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "turn_end" in server.kinds())
        await server.until_stable()
        assert [*server.kinds()[:3], *server.kinds()[3:6]] == [
            *("session_info", "user_message", "tool_call"),
            *("tool_call", "agent_exit", "error"),
        ]
        assert server.data(ItemKind.AGENT_EXIT) == [{"exit_code": None, "signal": 9}]
        [end] = server.data(ItemKind.TURN_END)
        assert end["reason"] == "agent_exit"
        assert "signal 9" in str(end["error"])
        await until(lambda: server.data(ItemKind.SESSION_INFO)[-1]["opened"] == "loaded")
        assert (await server.say("echo again")).status == 200
        await server.until_stable()
        assert (await server.messages())[-1][1].endswith("again\n")
        await until(lambda: server.health == [("agent", "healthy")] * 2)


async def test_server_restart(tmp_path: Path) -> None:
    """While the server is away the turn goes on; what it missed arrives once, in order."""
    async with kit(tmp_path, manifest()) as made, made.agent():
        server = made.server
        await healthy(made)
        await server.say("echo a; while [ ! -e go ]; do sleep 0.01; done; echo b")
        await until(lambda: "agent_text" in server.kinds())
        await server.stop()
        (made.home / "go").touch()
        journal = made.home / ".taskyard/transcript.jsonl"
        await until(lambda: b'"turn_end"' in journal.read_bytes())
        await server.start()
        await until(lambda: "turn_end" in server.kinds())
        assert server.welcomes == 2
        assert server.repeated == 0
        assert (await server.messages())[-1][1].endswith("a\nb\n")


async def test_items_under_way_are_sent_again(tmp_path: Path) -> None:
    """Items that the server did not confirm before it went away are sent to the next one."""
    async with kit(tmp_path, manifest()) as made, made.agent():
        server = made.server
        await healthy(made)
        held = server.acked
        server.mute_items = True
        await server.say("echo x")
        await server.until_stable()
        assert server.acked == held
        await server.stop()
        server.mute_items = False
        await server.start()
        await until(lambda: "turn_end" in server.kinds())
        assert len(server.data(ItemKind.USER_MESSAGE)) == 1


@pytest.mark.parametrize("cause", ["stale", "lapse"])
async def test_the_run_is_over(tmp_path: Path, cause: str) -> None:
    """A replaced generation, or a lapsed lease, ends the workspace with exit code 3 and no report."""
    async with kit(tmp_path, manifest()) as made:
        server = made.server
        async with made.agent() as agent:
            await healthy(made)
            [child] = agent.children()
            if cause == "stale":
                server.stale = True
                os.kill(child, signal.SIGKILL)  # there is something to report
            else:
                server.lease_s = (
                    0.5  # from the next connection on: so short a lease is none for a start
                )
                await server.stop()
                await server.start()
                # Whoever beats has read how long the lease is.
                await until(lambda: server.welcomes == 2 and server.beats > 0)
                await server.stop()
            async with asyncio.timeout(DEADLINE_S):
                assert await agent.process.wait() == 3
            assert not is_alive(child)
            assert server.snapshots == []
            assert "shutting_down" not in server.lifecycles


async def test_port_taken(tmp_path: Path) -> None:
    """With its port taken the bridge listens on another one, and the server reaches it all the same."""
    made_manifest = manifest()
    port = int(made_manifest.apps[0].url.rpartition(":")[2])
    occupant = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with occupant, kit(tmp_path, made_manifest) as made, made.agent():
        await healthy(made)
        assert await made.server.status() == "stable"


async def test_start_script_that_never_ends(tmp_path: Path) -> None:
    """A stop while the start script runs ends it, in time."""
    async with kit(tmp_path, manifest(start_script="up.sh")) as made:
        (made.template / "up.sh").write_text("echo on; sleep 1000")
        async with made.agent() as agent:
            await until(lambda: ("start", "on") in made.server.logs)
            assert await agent.stop() == 0
            assert made.server.lifecycles[-1] == "off"


async def test_stop_without_a_server(tmp_path: Path) -> None:
    """A stop ends in time although nobody is there to hear of it."""
    async with kit(tmp_path, manifest()) as made, made.with_grace(1.0).agent() as agent:
        await healthy(made)
        await made.server.stop()
        assert await agent.stop() == 0


async def test_stop_before_the_first_welcome(tmp_path: Path) -> None:
    """An agent that never reached its server ends at once when it is told to."""
    async with kit(tmp_path, manifest()) as made:
        await made.server.stop()
        async with made.agent() as agent:
            status = Path(f"/proc/{agent.process.pid}/status")
            await until(lambda: catches_sigterm(status))
            assert await agent.stop() == 0


def catches_sigterm(status: Path) -> bool:
    """Whether a process has set up its handler."""
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


async def test_lost_prompt(tmp_path: Path) -> None:
    """A prompt that was taken just before a crash, and of which nothing is known, is reported, not repeated."""
    async with kit(tmp_path, manifest()) as made:
        folder = made.home / ".taskyard"
        folder.mkdir()
        (folder / "session.json").write_text('{"prompts": {"p7": "taken"}}')
        async with made.agent():
            await healthy(made)
            await until(lambda: made.server.data(ItemKind.ERROR))
            assert "p7" in str(made.server.data(ItemKind.ERROR)[0]["message"])
            assert (await made.server.say("echo x", "p7")).code == "lost"
            assert await made.server.messages() == []


async def test_full_disk(tmp_path: Path) -> None:
    """When nothing can be written any more, prompts are refused, and what is there can be read."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent(file_limit_kb=64) as agent:
        server = made.server
        await healthy(made)
        await server.say("big 3000000")
        await server.until_stable()
        assert (await server.messages())[0] == ("user", "big 3000000")
        refused = await server.say("updates 1\n" + "x" * 40_000)
        assert refused.status == 500
        assert "cannot be stored" in refused.body.decode()
        assert await agent.stop() in (0, 1)
