"""A running bridge with a scripted coding agent, and how tests talk to it."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.options import Options
from taskyard_agent.bridge.session import Place
from taskyard_agent.protocol import CodingAgent
from tests.agents.fake_server import PUPPET, free_port, until
from tests.waiting import DEADLINE_S

FORM = {"Content-Type": "multipart/form-data; boundary=B"}


@asynccontextmanager
async def bridge(
    home: Path, options: Options | None = None, permissions: str = "allow"
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running bridge with a scripted coding agent, ready for a prompt."""
    port = free_port()
    health: list[str] = []
    order = BridgeOrder(
        home=home,
        url=f"http://127.0.0.1:{port}",
        place=Place(CodingAgent("custom", "acp", PUPPET, permissions), str(home), dict(os.environ)),
        floor=0,
        ports={},
        log=lambda _level, _text: None,
        on_health=health.append,
        options=options or Options(),
    )
    serving = Bridge(order)
    await serving.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serving.run())
        await until(lambda: health == ["healthy"])
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            try:
                yield client
            finally:
                await serving.stop(0.5)
                await serving.end_agent(1)
                await serving.close()


def port_of(client: aiohttp.ClientSession) -> int:
    """The port that the bridge listens on."""
    port = client._base_url.port if client._base_url else None
    assert port is not None
    return port


async def stable(client: aiohttp.ClientSession) -> None:
    """Returns once the coding agent takes a message."""
    async with asyncio.timeout(DEADLINE_S):
        while (await (await client.get("/status")).json())["status"] != "stable":
            await asyncio.sleep(0.005)


async def say(client: aiohttp.ClientSession, text: str) -> None:
    """Sends a message, which is taken."""
    answer = await client.post("/message", json={"content": text, "type": "user"})
    assert answer.status == 200, await answer.text()


async def event(stream: aiohttp.ClientResponse) -> tuple[str, dict[str, object]]:
    """The next event of a stream."""
    async with asyncio.timeout(DEADLINE_S):
        name = (await stream.content.readline()).decode().removeprefix("event: ").strip()
        data = (await stream.content.readline()).decode().removeprefix("data: ")
        await stream.content.readline()
    return name, json.loads(data)


async def exchange(client: aiohttp.ClientSession, request: bytes) -> bytes:
    """All that the bridge answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
    try:
        writer.write(request)
        async with asyncio.timeout(DEADLINE_S):
            return await reader.read()
    finally:
        writer.close()


def form(*files: tuple[str, str, bytes]) -> io.BytesIO:
    """A body with a plain field and these files: field, file name, bytes."""
    body = b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello'
    for field, name, data in files:
        head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nX-Y: z'
        body += b"\r\n--B\r\n" + head.encode() + b"\r\n\r\n" + data
    return io.BytesIO(body + b"\r\n--B--\r\n")


async def upload(client: aiohttp.ClientSession, *files: tuple[str, str, bytes]) -> tuple[int, str]:
    """Status and path of an upload of these files."""
    answer = await client.post("/upload", data=form(*files), headers=FORM)
    return answer.status, str((await answer.json(content_type=None)).get("filePath"))
