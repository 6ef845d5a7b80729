"""`taskyard-agent bridge` as a process of its own, and how tests talk to it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.agents.fake_server import PUPPET, free_port
from tests.agents.terminal_kit import FAKE, Script
from tests.waiting import DEADLINE_S

ACP = ("--transport", "acp", "--", *PUPPET)
"""A scripted coding agent that speaks ACP."""

SHELL = ("--transport", "acp", "--", sys.executable, "-m", "taskyard_agent.shell")
"""One that restores its sessions and says nothing by itself."""

STARTED = b"listening"


@dataclass
class Alone:
    """The process, a client of it, and what it wrote."""

    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    log: list[str] = field(default_factory=list)
    errors: str = ""

    async def status(self) -> str:
        return str((await (await self.client.get("/status")).json())["status"])

    async def stable(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while await self.status() != "stable":
                await asyncio.sleep(0.01)

    async def messages(self) -> list[tuple[str, str]]:
        body = await (await self.client.get("/messages")).json()
        return [(message["role"], message["content"]) for message in body["messages"]]

    async def until_messages(self, count: int) -> list[tuple[str, str]]:
        """The conversation, once it has so many messages and nobody is busy."""
        async with asyncio.timeout(DEADLINE_S):
            while len(await self.messages()) < count or await self.status() != "stable":
                await asyncio.sleep(0.01)
        return await self.messages()

    async def say(self, text: str) -> None:
        assert await self.post(text) == 200

    async def post(self, text: str) -> int:
        """The status of a message."""
        message = {"content": text, "type": "user"}
        async with self.client.post("/message", json=message) as answer:
            await answer.read()
            return answer.status

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        async with asyncio.timeout(DEADLINE_S):
            code = await self.process.wait()
        assert self.process.stderr is not None
        self.errors = (await self.process.stderr.read()).decode()
        return code


def played(home: Path, script: Script, *flags: str) -> tuple[str, ...]:
    """Arguments for a coding agent with a screen that plays the script."""
    path = home / "script.json"
    path.write_text(json.dumps(script))
    quick = ("--transport", "pty", "--stable-after", "0.15", "--term-height", "60")
    return (*quick, *flags, "--", sys.executable, FAKE, str(path))


@asynccontextmanager
async def alone(
    home: Path, *arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None
) -> AsyncIterator[Alone]:
    """A bridge with these arguments, listening; ended at the end if it is still there."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard_agent", "bridge", "-p", str(port), *arguments),
        cwd=home,
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while STARTED not in await process.stdout.readline():
                assert not process.stdout.at_eof()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            made = Alone(process, client)
            await _answers(made)
            yield made
    finally:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(DEADLINE_S):
                await process.communicate()


async def _answers(made: Alone) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while made.process.returncode is None:
            try:
                await made.status()
            except aiohttp.ClientError:
                await asyncio.sleep(0.01)
            else:
                return


async def command(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of `taskyard-agent` with these arguments."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard_agent", *arguments),
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
