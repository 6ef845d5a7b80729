"""A running bridge with a scripted coding agent behind a terminal, and how tests talk to it."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.life import Life
from taskyard_agent.bridge.session import Place
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_session import TerminalSession
from taskyard_agent.protocol import CodingAgent, Item, ItemKind
from tests.agents.fake_server import free_port, until
from tests.waiting import DEADLINE_S

FAKE = str(Path(__file__).with_name("fake_terminal.py"))

QUICK = TerminalOptions(
    cols=80,
    rows=60,
    stable_after_s=0.15,
    reaction_s=15.0,
    repeat_s=DEADLINE_S,
    ready_pattern=re.compile(r"\S"),
    echo_s=DEADLINE_S / 10,
    quiet_s=0.03,
)
"""Short waits that end a turn, and long ones for what the program is sure to do, however busy the machine is: a
test of one that does not echo, does not react or wants Enter once more shortens that. stable_after_s decides a
test while a spinner turns: such tests set it to STEADY_S."""

SHORT_S = 0.15
"""Seconds to wait for what this program never does."""

STEADY_S = 0.5
"""Seconds for which a spinner never stands still, however busy the machine is."""

Script = Mapping[str, Any]


def step(expect: str, reply: str, **more: object) -> dict[str, object]:
    return {"expect": expect, "reply": reply, **more}


GREETING = step("", "Hello! I am ready.")


def script(*steps: dict[str, object], **more: object) -> Script:
    return {"steps": [GREETING, *steps], "paste": True, **more}


class Made:
    """The bridge, a client of it, and its transcript."""

    def __init__(
        self,
        bridge: Bridge,
        client: aiohttp.ClientSession,
        health: list[str],
        logs: list[str],
    ) -> None:
        self.bridge = bridge
        self.logs = logs
        self.client = client
        self.health = health

    @property
    def session(self) -> TerminalSession:
        session = self.bridge._session
        assert isinstance(session, TerminalSession)
        return session

    def items(self) -> list[Item]:
        assert self.bridge._journal is not None
        return self.bridge._journal.read(0, 10_000)

    def data(self, kind: ItemKind) -> list[dict[str, Any]]:
        return [msgspec.json.decode(item.data) for item in self.items() if item.kind is kind]

    @property
    def states(self) -> list[str]:
        """Every state so far, in words."""
        return [state["session"] for state in self.data(ItemKind.STATE)]

    @property
    def faults(self) -> list[str]:
        return [error["message"] for error in self.data(ItemKind.ERROR)]

    async def status(self) -> str:
        return str((await (await self.client.get("/status")).json())["status"])

    async def stable(self) -> None:
        await until(lambda: self.session.record.status == "stable")

    async def state(self, word: str) -> None:
        await until(lambda: self.session.record.state is not None and self.session.record.state.session == word)  # fmt: skip

    async def messages(self) -> list[tuple[str, str]]:
        body = await (await self.client.get("/messages")).json()
        assert [message["id"] for message in body["messages"]] == list(range(len(body["messages"])))
        return [(message["role"], message["content"]) for message in body["messages"]]

    async def post(self, content: str, kind: str = "user") -> tuple[int, str]:
        """Status and the code of a refusal."""
        answer = await self.client.post("/message", json={"content": content, "type": kind})
        return answer.status, answer.headers.get("X-Agentapi-Code", "")

    async def say(self, text: str) -> None:
        assert await self.post(text) == (200, "")

    async def turn(self, text: str) -> str:
        """The answer to a message, once the turn is over."""
        await self.stable()
        await self.say(text)
        await self.stable()
        return (await self.messages())[-1][1]


@asynccontextmanager
async def terminal(
    home: Path,
    played: Script | None,
    *,
    options: TerminalOptions = QUICK,
    cwd: str | None = None,
    kind: str = "custom",
    command: list[str] | None = None,
    life: Life | None = None,
    on_interrupted: str = "wait",
    **changes: Any,
) -> AsyncIterator[Made]:
    """A bridge whose coding agent plays the script, or runs the command."""
    if played is not None:
        path = home / "script.json"
        path.write_text(json.dumps(played))
        command = [sys.executable, FAKE, str(path)]
    health: list[str] = []
    logs: list[str] = []
    port = free_port()
    order = BridgeOrder(
        home=home,
        url=f"http://127.0.0.1:{port}",
        place=Place(
            CodingAgent(kind, "pty", command or [], "allow"),
            cwd or str(home),
            dict(os.environ),
            on_interrupted=on_interrupted,
        ),
        floor=0,
        ports={},
        log=lambda _level, text: logs.append(text),
        on_health=health.append,
        terminal=replace(options, **changes),
        life=life or Life(),
    )
    bridge = Bridge(order)
    await bridge.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bridge.run())
        await until(lambda: bool(health))
        timeout = aiohttp.ClientTimeout(DEADLINE_S)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as client:
            try:
                yield Made(bridge, client, health, logs)
            finally:
                await bridge.stop(0.5)
                await bridge.end_agent(0.5)
                await bridge.close()


def written(path: Path) -> str:
    """What is in a file that a program makes; empty before it has."""
    return path.read_text() if path.exists() else ""
