"""A bridge with a real coding agent behind it, and how tests talk to it."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from taskyard_agent.bridge.bridge import FOLDER, Bridge, BridgeOrder
from taskyard_agent.bridge.session import Place
from taskyard_agent.protocol import CodingAgent, Item, ItemKind
from tests.agents.fake_server import free_port
from tests.agents.model.server import Model
from tests.agents.programs.program import Program, environment
from tests.system.kit import processes_of
from tests.waiting import LOOK_S

DEADLINE_S = 60.0
"""Seconds within which a real program does anything on a busy machine; it takes 2 on an idle one."""

LEFT_S = 30.0
"""Seconds that a killed process may take to vanish on a busy machine."""

PLACE = "/var/tmp"
"""Codex makes no commands run when its folder is below /tmp."""


@contextmanager
def open_home() -> Iterator[Path]:
    """A home directory; no process that has to do with it may be left at the end."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-agents-", dir=PLACE))
    try:
        yield home
        left = _left(home)
        assert left == {}, f"left running: {left}"
    finally:
        for pid in processes_of(home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


def _left(home: Path) -> dict[int, str]:
    """What still runs there after a moment in which a killed process ends, with the beginning of its command."""
    deadline = time.monotonic() + LEFT_S
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return {pid: line[:200] for pid, line in left.items()}


class Running:
    """A running bridge: its routes, and the transcript as it is on disk."""

    def __init__(self, home: Path, client: aiohttp.ClientSession, bridge: Bridge) -> None:
        self.home = home
        self.client = client
        self.bridge = bridge

    def items(self, kind: ItemKind | None = None) -> list[Item]:
        """The transcript, or what is of one kind in it."""
        text = (self.home / FOLDER / "transcript.jsonl").read_bytes()
        whole = [line for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
        items = [msgspec.json.decode(line, type=Item) for line in whole]
        return [item for item in items if kind in (None, item.kind)]

    def data(self, kind: ItemKind) -> list[Any]:
        """What the items of a kind say."""
        return [msgspec.json.decode(item.data) for item in self.items(kind)]

    def states(self, since: int = 0) -> list[str]:
        """The states after so many, in order."""
        return [str(news["state"]) for news in self.data(ItemKind.STATE)][since:]

    def session(self) -> str:
        """The bridge's own word for what the session does now."""
        return str(self.data(ItemKind.STATE)[-1]["session"])

    def tools(self) -> list[Any]:
        """The last state of each tool call."""
        calls = {call["tool_call_id"]: call for call in self.data(ItemKind.TOOL_CALL)}
        return list(calls.values())

    async def until(self, what: str, look: Callable[[], object]) -> None:
        """Returns once the look finds something."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not look():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            shown = "\n".join(f"{i.kind} {bytes(i.data).decode()[:300]}" for i in self.items())
            raise AssertionError(f"waited in vain for {what}:\n{shown}") from None

    async def say(self, *script: str) -> None:
        """A prompt is taken."""
        refusal = await self._refusal(*script)
        assert refusal is None, refusal

    async def _refusal(self, *script: str) -> str | None:
        """Why a prompt is refused, null when it is not."""
        body = {"type": "user", "content": "\n".join(script)}
        answer = await self.client.post("/message", json=body)
        return None if answer.status == HTTPStatus.OK else await answer.text()

    async def turn(self, *script: str) -> Any:
        """How the turn of a prompt ended.

        An error that comes at once is the answer to the prompt too: which it is depends on the machine. Source: N8.
        """
        before = len(self.items(ItemKind.TURN_END))
        refusal = await self._refusal(*script)
        end = await self.ended(before)
        assert refusal is None or end["reason"] == "error", (end, refusal)
        return end

    async def ended(self, before: int) -> Any:
        """How the turn ended that came after so many."""
        await self.until("the turn's end", lambda: len(self.items(ItemKind.TURN_END)) > before)
        return self.data(ItemKind.TURN_END)[before]

    async def status(self) -> str:
        """running or stable."""
        answer = await self.client.get("/status")
        return str((await answer.json())["status"])

    async def messages(self) -> list[str]:
        """What the coding agent said, message by message."""
        answer = await (await self.client.get("/messages")).json()
        return [m["content"] for m in answer["messages"] if m["role"] == "agent"]

    async def keys(self, keys: str) -> None:
        """The program got these keys."""
        answer = await self.client.post("/message", json={"type": "raw", "content": keys})
        assert answer.status == 200, await answer.text()

    async def cancel(self) -> None:
        """The turn is asked to end."""
        await self.keys("\x1b")

    def pids(self, word: str = "") -> dict[int, str]:
        """The processes of the program and of what it runs, by their command lines, those with this word."""
        return {pid: line for pid, line in processes_of(self.home).items() if word in line}

    def groups(self) -> list[int]:
        """The process groups of the program itself: children of this process."""
        return [pid for pid in self.pids() if _parent(pid) == os.getpid()]

    def memory_mb(self) -> int:
        """What they take of the machine's memory, pages that they share counted once."""
        return memory_mb(self.pids())


@asynccontextmanager
async def running(
    home: Path,
    program: Program,
    model: Model,
    *,
    permissions: str = "allow",
    confined: bool = True,
) -> AsyncIterator[Running]:
    """A bridge with this program, which takes prompts; both are gone at the end."""
    port, health, said = free_port(), list[str](), list[str]()
    env = environment(program, home, model, confined=confined)
    agent = CodingAgent(program.type, program.transport, program.command(), permissions)
    bridge = Bridge(
        BridgeOrder(
            home=home,
            url=f"http://127.0.0.1:{port}",
            place=Place(agent, str(home), env),
            floor=0,
            ports={},
            log=lambda level, text: said.append(f"{level}: {text}"),
            on_health=health.append,
        )
    )
    await bridge.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bridge.run())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            found = Running(home, client, bridge)
            try:
                await found.until("a coding agent that is up", lambda: health)
                assert health == ["healthy"], said
                await found.until("a free coding agent", lambda: found.session() == "idle")
                yield found
            finally:
                await bridge.stop(0.5)
                await bridge.end_agent(3)
                await bridge.close()


def memory_mb(pids: Iterable[int]) -> int:
    """What processes take of the machine's memory, pages that they share counted once."""
    return round(sum(map(_pss_kb, pids)) / 1024)


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _pss_kb(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
