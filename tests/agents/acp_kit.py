"""A session over ACP without anything around it: its record, its keeper, and an agent that is a real process."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from taskyard_agent.bridge.acp_keeper import AcpKeeper
from taskyard_agent.bridge.acp_made import make_acp
from taskyard_agent.bridge.acp_session import AcpSession
from taskyard_agent.bridge.launch import launch
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.recover import rebuild, settle_prompts
from taskyard_agent.bridge.session import Place
from taskyard_agent.bridge.tools import TOOL_BYTES
from taskyard_agent.journal import Journal, SessionFile
from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.fake_server import until

FAST_PUPPET = [sys.executable, "-S", str(Path(__file__).with_name("acp_puppet.py"))]
"""The scripted agent, without what only makes its start slow."""


@dataclass(frozen=True)
class Wanted:
    """What is run; everything else is as in a template that says nothing."""

    command: Sequence[str] = tuple(FAST_PUPPET)
    type: str = "custom"
    transport: str = "acp"
    permissions: str = "allow"
    timeout_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    mcp_config: str | None = None
    on_interrupted: str = "wait"
    url: str = "http://127.0.0.1:1"
    token: str | None = None
    cancel_s: float = 10.0
    tool_bytes: int = TOOL_BYTES
    inline_tools: bool = True


@dataclass
class Running:
    """A session and what it said so far."""

    session: AcpSession
    keeper: AcpKeeper
    record: Record
    file: SessionFile
    logs: list[str]
    health: list[str]

    def data(self, kind: ItemKind) -> list[dict[str, object]]:
        """The data of all items of a kind."""
        found = []
        after = self.record.journal.first_seq - 1
        while items := self.record.journal.read(after, 1_000):
            found += [msgspec.json.decode(item.data) for item in items if item.kind is kind]
            after = items[-1].seq
        return found

    def kinds(self) -> list[str]:
        """The kinds of all items but those about the state."""
        items = self.record.journal.read(self.record.journal.first_seq - 1, 1_000)
        return [item.kind.value for item in items if item.kind is not ItemKind.STATE]

    def states(self) -> list[str]:
        """Every state so far."""
        return [str(state["state"]) for state in self.data(ItemKind.STATE)]

    def sentences(self) -> list[str]:
        """All errors and warnings."""
        return [str(error["message"]) for error in self.data(ItemKind.ERROR)]

    @property
    def text(self) -> str:
        """The newest message."""
        return self.record.conversation.messages[-1].content

    async def stable(self) -> None:
        """Returns once the agent takes a prompt."""
        await until(lambda: self.record.status == "stable")

    async def turn(self, text: str) -> str:
        """The agent's message after a whole turn."""
        await self.session.prompt(text, None)
        await self.stable()
        return self.text

    def said(self) -> list[dict[str, object]]:
        """What the newest message is made of, when its lines are JSON."""
        lines = [line[line.find("{") :] for line in self.text.splitlines() if "{" in line]
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def acp(
    home: Path, wanted: Wanted | None = None, *, on_start: Callable[[Running], None] | None = None
) -> AsyncIterator[Running]:
    """A session whose keeper runs; at the end everything is stopped in order."""
    wanted = wanted or Wanted()
    env = {**os.environ, **wanted.env}
    agent = CodingAgent(
        wanted.type,
        wanted.transport,
        list(wanted.command),
        wanted.permissions,
        wanted.timeout_s,
    )
    place = Place(agent, wanted.cwd or str(home), env, wanted.mcp_config, wanted.on_interrupted)
    journal = Journal(home / "transcript.jsonl")
    record = Record(journal, lambda: datetime.now(UTC))
    rebuilt = rebuild(record)
    file = SessionFile(home / "session.json")
    logs: list[str] = []
    health: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        session, keeper = make_acp(
            Parts(
                place=place,
                launch=launch(agent, env),
                url=wanted.url,
                token=wanted.token,
                record=record,
                file=file,
                tasks=tasks,
                log=lambda _level, text: logs.append(text),
                on_health=health.append,
                cut_off=rebuilt.cut_off,
                tool_bytes=wanted.tool_bytes,
                inline_tools=wanted.inline_tools,
            ),
            cancel_s=wanted.cancel_s,
        )
        await settle_prompts(record, file, rebuilt.prompts)
        running = Running(session, keeper, record, file, logs, health)
        if on_start is not None:
            on_start(running)
        keeping = tasks.create_task(keeper.run())
        try:
            yield running
        finally:
            await session.stop(0.5)
            await keeper.stop(1)
            keeping.cancel()
    await journal.close()
