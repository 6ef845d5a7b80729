"""Packets that a workspace sent to where nobody listens, read one by one from a socket like the driver's."""

import asyncio
import os
import socket
import struct
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskyard_agent.attempts import BATCH, PAUSE_S, Attempt, Attempts, read_attempt
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PORTS = struct.pack("!HH", 40000, 443)


def v4(protocol: int, after: bytes = PORTS, words: int = 5) -> bytes:
    """The beginning of a packet to 192.0.2.7, with options where its header has more than five words."""
    head = bytes([0x40 | words, *bytes(8), protocol, 0, 0])
    return head + socket.inet_aton("10.0.0.1") + socket.inet_aton("192.0.2.7") + bytes(words * 4 - 20) + after  # fmt: skip


def v6(protocol: int, after: bytes = PORTS) -> bytes:
    """The beginning of a packet to 2001:db8::7."""
    ends = [socket.inet_pton(socket.AF_INET6, text) for text in ("::1", "2001:db8::7")]
    return bytes([0x60, *bytes(5), protocol, 64]) + b"".join(ends) + after


@pytest.mark.parametrize(
    ("packet", "attempt"),
    [
        (v4(6), Attempt("192.0.2.7", 443, is_tcp=True)),
        (v4(6, words=15), Attempt("192.0.2.7", 443, is_tcp=True)),
        (v4(17), Attempt("192.0.2.7", 443, is_tcp=False)),
        (v4(47), Attempt("192.0.2.7", 0, is_tcp=False)),
        (v4(17, PORTS[:3]), Attempt("192.0.2.7", 0, is_tcp=False)),
        (v6(6), Attempt("2001:db8::7", 443, is_tcp=True)),
        (v6(44), Attempt("2001:db8::7", 0, is_tcp=False)),
        (v4(6)[:19], None),
        (v6(6)[:39], None),
        (b"", None),
        (bytes(64), None),
    ],
)
async def test_what_a_packet_says(packet: bytes, attempt: Attempt | None) -> None:
    """Address, port and whether it is TCP; without a port where the protocol has none or it was cut off."""
    assert read_attempt(packet) == attempt


@settings(max_examples=500, database=None, derandomize=True, deadline=None)
@given(st.binary(max_size=128) | st.builds(bytes.__add__, st.sampled_from([v4(6), v6(17)]).map(lambda p: p[:9]), st.binary(max_size=64)))  # fmt: skip
def test_any_bytes(packet: bytes) -> None:
    """Nothing is raised, and what comes back is an address and a port."""
    found = read_attempt(packet)
    assert found is None or (str(ip_address(found.host)) == found.host and 0 <= found.port < 65536)


async def test_a_flood_is_read_in_batches() -> None:
    """After a batch there is a pause, whatever waits; nonsense is passed over; after the end nothing is read."""
    inside, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    came: list[float] = []
    clock = asyncio.get_running_loop().time
    with inside, ours:
        inside.setblocking(False)
        attempts = Attempts(ours.fileno(), lambda _: came.append(clock()))
        attempts.start()
        async with asyncio.timeout(DEADLINE_S):
            while len(came) <= BATCH:
                for packet in (v4(6), b"\xff" * 60):
                    try:
                        inside.send(packet)
                    except BlockingIOError:
                        break
                await asyncio.sleep(0)
        attempts.close()
        seen = len(came)
        assert max(later - sooner for sooner, later in pairwise(came)) >= PAUSE_S * 0.9  # fmt: skip
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(came) == seen


async def test_what_nothing_can_come_from(tmp_path: Path) -> None:
    """Neither a number that is not open nor the empty device is taken for the socket."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for number in (-1, nothing):
            with pytest.raises(OSError, match=r"\w"):
                Attempts(number, print).start()
    finally:
        os.close(nothing)
