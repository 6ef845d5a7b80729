"""Agents of a crowd's tasks that hold their links as real ones do, and run nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from bench.seed import OWN, identify
from taskyard.lifecycle.template import parse_template
from taskyard_agent import __version__
from taskyard_agent.link import Link, LinkTarget
from taskyard_agent.mux import Handlers
from taskyard_agent.protocol import Welcome

WELCOME_S = 60.0
"""Seconds until an agent's welcome counts as lost."""

TEMPLATE = b"""
[task]
app = "agent"
[agent]
type = "shell"
"""


async def admit_agents(database: str) -> None:
    """The crowd's agents may connect, each with its id as its token; none of their tasks has an input to bring."""
    definition = msgspec.json.encode(parse_template({"taskyard.toml": TEMPLATE})).decode()
    conn = await asyncpg.connect(database)
    try:
        await conn.execute(
            "update template_versions set definition = $1::jsonb, has_ai_task = true", definition
        )
        await conn.execute("update workspace_agents set token_hash = sha256(id::text::bytea)")
        await conn.execute("update tasks set input = ''")
    finally:
        await conn.close()


def running(tasks: int) -> list[int]:
    """Those of a crowd's tasks which have an agent, by number."""
    users = tasks // OWN
    return [task for task in range(tasks) if (task % users + task // users) % 10 < 5]


@asynccontextmanager
async def linked(port: int, task: int) -> AsyncIterator[tuple[Link, Welcome]]:
    """The link of a task's agent, once it was welcomed."""
    welcomed: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()

    async def note(welcome: Welcome) -> None:
        if not welcomed.done():
            welcomed.set_result(welcome)

    link = Link(
        LinkTarget(f"http://127.0.0.1:{port}", str(identify(f"agent{task}"))),
        __version__,
        Handlers(),
        note,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(link.run())
        async with asyncio.timeout(WELCOME_S):
            welcome = await welcomed
        yield link, welcome
        await link.close()
