"""How tests talk to `/v2` of a running bridge."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import aiohttp

from tests.agents.fake_server import PUPPET, free_port
from tests.waiting import DEADLINE_S

Json = dict[str, object]

RUN = """
import asyncio, json, os, sys
from pathlib import Path
from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.options import Limits, Options
from taskyard_agent.bridge.session import Place
from taskyard_agent.protocol import CodingAgent

async def main():
    home, port, options, command = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]
    bridge = Bridge(BridgeOrder(
        home=Path(home),
        url="http://127.0.0.1:" + port,
        place=Place(CodingAgent("custom", "acp", command, "allow"), home, dict(os.environ)),
        floor=0,
        ports={},
        log=lambda _level, text: print(text, file=sys.stderr, flush=True),
        on_health=lambda health: print(health, flush=True),
        options=Options(queue=True, limits=Limits(**options)),
    ))
    await bridge.open()
    await bridge.run()

asyncio.run(main())
"""
"""A bridge as a process of its own, with a queue."""


@dataclass
class Running:
    """A bridge that can be killed."""

    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession

    async def kill(self) -> None:
        """Gone, without any time to clean up."""
        self.process.send_signal(SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def process(home: Path, **limits: int) -> AsyncIterator[Running]:
    """A bridge in a process, whose coding agent is up."""
    port = free_port()
    argv = [sys.executable, "-c", RUN, str(home), str(port), json.dumps(limits), *PUPPET]
    started = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert started.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await started.stdout.readline() == b"healthy\n"
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            yield Running(started, client)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
        started._transport.close()  # type: ignore[attr-defined]  # else its pipe is left to the collector


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> Json:
    """The object of an answer that has this status."""
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        found = await answer.json(content_type=None)
    assert isinstance(found, dict)
    return found


async def post(
    client: aiohttp.ClientSession, path: str, body: Json | None = None, status: int = 200
) -> Json:
    """The object of the answer to a body, which has this status."""
    async with client.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        found = await answer.json(content_type=None)
    assert isinstance(found, dict)
    return found


async def refused(answer: aiohttp.ClientResponse, status: int, code: str) -> Json:
    """The problem of a refusal with this status and code, said in both places."""
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "application/problem+json"
    assert answer.headers["X-Agentapi-Code"] == code
    problem = json.loads(text)
    assert isinstance(problem, dict)
    assert (problem["code"], problem["status"], problem["title"]) == (code, status, answer.reason)
    assert problem.keys() <= {"title", "status", "code", "detail", "errors"}
    assert problem["detail"]
    return problem


async def prompt(client: aiohttp.ClientSession, text: str, **more: object) -> Json:
    """The answer to a prompt, which is taken."""
    return await post(client, "/v2/prompts", {"text": text} | more, 202)


async def until_state(client: aiohttp.ClientSession, name: str, state: str) -> Json:
    """The prompt of that id, once it is in that state."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await get(client, f"/v2/prompts/{name}")
            if found["state"] == state:
                return found
            await asyncio.sleep(0.005)


async def until_idle(client: aiohttp.ClientSession) -> None:
    """Returns once the session is idle."""
    async with asyncio.timeout(DEADLINE_S):
        while (await get(client, "/v2/session"))["state"] != "idle":
            await asyncio.sleep(0.005)


@dataclass
class Event:
    """One event of `/v2/events`."""

    id: int
    name: str
    data: Json


class Events:
    """A stream of `/v2/events` that is read event by event."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Event:
        """The next event; comments are passed over. EOFError at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_S):
            while True:
                line = await self.answer.content.readline()
                if not line:
                    raise EOFError
                if line == b"\n" and fields:
                    return Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                name, _, value = line.decode().rstrip("\n").partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")

    async def until(self, name: str) -> list[Event]:
        """All events up to the first one of that name."""
        found = [await self.next()]
        while found[-1].name != name:
            found.append(await self.next())
        return found


@asynccontextmanager
async def events(
    client: aiohttp.ClientSession, after: int | None = None, last_id: int | None = None
) -> AsyncIterator[Events]:
    """A stream from that number on."""
    query = {} if after is None else {"after": str(after)}
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    timeout = aiohttp.ClientTimeout(total=None)
    async with client.get("/v2/events", params=query, headers=headers, timeout=timeout) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Events(answer)


def items_on_disk(home: Path) -> list[Json]:
    """Every whole item in the files of the transcript, in order."""
    found = [
        json.loads(line)
        for path in (home / ".taskyard").glob("transcript*.jsonl")
        for line in path.read_bytes().split(b"\n")[:-1]
    ]
    return sorted(found, key=lambda item: int(item["seq"]))
