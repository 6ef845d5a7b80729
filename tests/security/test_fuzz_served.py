"""Servers of ours that answer programs of a workspace, given bytes that nobody would send."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from taskyard.control.services import Services
from taskyard_agent import protocol
from tests.agents.bridge_kit import bridge, port_of
from tests.api.agent_seat import AgentSeat, started
from tests.api.conftest import serving
from tests.api.seed import connected
from tests.security.fuzzing import fuzz_served
from tests.security.test_fuzz_readers import FRAMES, edited

pytestmark = pytest.mark.anyio

DEADLINE_S = 60.0

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["\0", "\ud7ff", "x" * 5000, "shell", "ready", "healthy", "info"]
)
NUMBERS = st.integers(-2, 3) | st.sampled_from([2**31, 2**63 - 1, -(2**63)])
TIMES = st.sampled_from(
    ["2026-11-22T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "now"]
)
DATA = st.sampled_from(
    [
        b"{}",
        b"[]",
        b"{",
        b'{"text":"\\u0000"}',
        b'{"text":"\xff"}',
        b"[" * 2000,
        b'{"message_id":1e99}',
    ]
)
ITEM = st.fixed_dictionaries(
    {
        "seq": NUMBERS,
        "time": TIMES,
        "turn": NUMBERS,
        "kind": st.sampled_from([*protocol.ItemKind]) | TEXTS,
        "data": DATA | TEXTS,
    }
)
LINE = st.fixed_dictionaries({"at": TIMES, "level": TEXTS, "text": TEXTS})
PARAMS = {
    "items": st.fixed_dictionaries({"items": st.lists(ITEM, max_size=4)}),
    "logs": st.fixed_dictionaries({"source": TEXTS, "lines": st.lists(LINE, max_size=3)}),
    "lifecycle": st.fixed_dictionaries({"state": TEXTS, "at": TIMES}),
    "app_health": st.fixed_dictionaries({"slug": TEXTS, "health": TEXTS}),
    "hello": st.fixed_dictionaries({"protocol": NUMBERS, "agent_version": TEXTS}),
}
CALLS = st.sampled_from(sorted(PARAMS)).flatmap(
    lambda method: st.tuples(st.just(method), PARAMS[method].map(msgspec.msgpack.encode))
)
HELLO = msgspec.msgpack.encode(protocol.Hello(protocol.PROTOCOL, "1"))


def called(number: int, method: str, params: bytes) -> bytes:
    """A frame with a call."""
    return msgspec.msgpack.encode(protocol.Call(number, method, params))


async def heard(seat: AgentSeat, url: str, frames: list[bytes]) -> None:
    """Sends all frames behind a hello on a connection of their own, until they were answered or it ended."""
    headers = {protocol.AUTH_HEADER: seat.token}
    address = url.replace("http:", "ws:") + protocol.LINK_PATH
    async with asyncio.timeout(DEADLINE_S):
        async with connect(address, additional_headers=headers, proxy=None) as socket:
            try:
                for frame in frames:
                    await socket.send(frame)
                await socket.send(
                    called(999, "heartbeat", msgspec.msgpack.encode(protocol.Nothing()))
                )
                while (
                    b"reply" not in (answer := await socket.recv(decode=False))
                    or b"\xcd\x03\xe7" not in answer
                ):
                    pass
            except ConnectionClosed:
                pass


@pytest.mark.attack(
    "A workspace's agent says senseless things to the real server: items, logs, states, times, numbers",
    wall="each call is checked before it is stored; what breaks a rule ends that link only",
)
async def test_the_server_s_end_of_the_link(
    services: Services, database_url: str, figure: Callable[[str], None]
) -> None:
    """Nothing crashes, nothing hangs, and a good agent is heard as before."""
    async with serving(services) as url, connected(services, url) as api:
        seat = await started(api)

        async def check(calls: list[tuple[str, bytes]]) -> None:
            frames = [
                called(0, "hello", HELLO),
                *(called(n + 1, *call) for n, call in enumerate(calls)),
            ]
            with capture_logs() as logs:
                await heard(seat, url, frames)
            assert not [
                entry
                for entry in logs
                if entry["log_level"] in ("error", "critical") or entry["event"] == "link.failed"
            ]

        figure(
            f"fuzz of the link's server: {await fuzz_served(st.lists(CALLS, max_size=6), check, examples=60)}"
        )
        await heard(seat, url, [called(0, "hello", HELLO)])

        async def garble(frames: list[bytes]) -> None:
            await heard(seat, url, [called(0, "hello", HELLO), *frames])

        figure(
            f"fuzz of its frames: {await fuzz_served(st.lists(FRAMES, max_size=5), garble, examples=30)}"
        )


HOST = b"Host: localhost\r\n"
JSON = b'{"content": "hello", "type": "user"}'
FORM = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nX-Y: z\r\n\r\nhello\r\n--B--\r\n'
REQUESTS = [
    b"GET /status HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /messages?limit=1 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /message HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(JSON) + JSON,
    b"POST /message HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n24\r\n"
    + JSON
    + b"\r\n0\r\n\r\n",
    b"POST /upload HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n" % len(FORM)
    + FORM,
]
PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\0",
            b"\xff",
            b"\r\n\r\n",
            b"--B",
            b"--B--",
            b"boundary=",
            b'"',
            b";",
            b"../",
            b"%00",
            b"HTTP/1.0",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 99\r\n",
            b"Expect: 100-continue\r\n",
            b"Upgrade: websocket\r\n",
        ),
        *(
            b'filename="../../x"',
            b"filename*=utf-8''%2e%2e%2fx",
            b"[" * 500,
            b'{"type":"raw"}',
            b"\\ud800",
            b"1e999",
            b"?limit=-1",
            b"&x=%ff",
        ),
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 12), PIECES | st.binary(max_size=3)), max_size=5
)


@pytest.mark.attack(
    "A program of the workspace sends anything to the AgentAPI port: HTTP, JSON, forms with files",
    wall="one HTTP parser, bounded bodies, checked shapes; file names never leave their folder",
)
async def test_the_bridge(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Each answer blames the sender or does what was asked; none is a 500, and none is missing for long."""
    home = tmp_path / "home"
    home.mkdir()
    async with bridge(home) as client:
        port = port_of(client)

        async def check(raw: bytes) -> None:
            async with asyncio.timeout(DEADLINE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(raw)
                    writer.write_eof()
                    answer = await reader.read(4096)
                except ConnectionError:
                    answer = b""
                finally:
                    writer.close()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer
            # What it refuses for a while is a 500 with a word for it. Source: N37.
            refused = b"\r\nx-agentapi-code: " in answer
            assert refused or not answer.startswith(b"HTTP/1.1 500"), answer

        requests = st.builds(edited, st.sampled_from(REQUESTS), EDITS)
        figure(f"fuzz of the bridge: {await fuzz_served(requests, check, examples=150)}")
        assert (await client.get("/status")).status == 200
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
