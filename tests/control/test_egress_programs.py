"""The hellos of real programs, read as they come: each asks for the name that it was given, and no other passes."""

import asyncio
import os
import shutil

import pytest

from taskyard.lifecycle.egress import Reason
from taskyard.lifecycle.tls_name import NameWatch
from tests.waiting import DEADLINE_S

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier]

NODE = "require('tls').connect({host:'127.0.0.1',port:+process.argv[1],servername:process.argv[2]}).on('error',()=>{})"

PROGRAMS = {
    "curl": ["curl", "-sk", "--connect-to", "::127.0.0.1:{port}", "https://{name}:{port}/"],
    "openssl": ["openssl", "s_client", "-connect", "127.0.0.1:{port}", "-servername", "{name}"],
    "node": ["node", "-e", NODE, "{port}", "{name}"],
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_real_hellos(program: str) -> None:
    """It goes on for that name, whole, and is refused for any other."""
    if shutil.which(PROGRAMS[program][0]) is None and "CI" not in os.environ:
        pytest.skip(f"needs {program}; in Debian: apt-get install curl openssl nodejs")
    said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watch, data = NameWatch("api.example.org"), b""
        while not watch.take(piece := await reader.read(65536)) and piece:
            data += piece
        if not said.done():
            said.set_result(data + piece)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    words = [
        word.format(port=port, name="api.example.org") if word is not NODE else word
        for word in PROGRAMS[program]
    ]
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(DEADLINE_S):
        data = await said
        await process.wait()
    server.close()
    assert NameWatch("api.example.org").take(data) == data
    other = NameWatch("other.example")
    assert other.take(data) == b""
    assert other.problem is Reason.SNI_DIFFERS
