"""Where programs tried to go, as their packets say: to places for which nobody listens, and which so end in the workspace's kernel.

They are read from a socket that the driver opened before the workspace was; nobody in it could. It passes the first packet
of a TCP connection and all of other protocols, so what is read here was written by whoever runs in the workspace: it is
taken for no more than a claim, a few at a time, and what comes faster is lost in the kernel.
"""

import asyncio
import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

PACKET_BYTES = 128
"""More than the socket gives of a packet."""

BATCH = 64
"""Packets that are read at once."""

PAUSE_S = 0.05
"""Seconds between two batches: a flood costs a few thousandths of a processor."""

_TCP = 6
_WITH_PORTS = (_TCP, 17, 33, 132, 136)
"""TCP, UDP, DCCP, SCTP, UDP-Lite: the number of the port there is the second of two bytes each."""
_V6_HEADER_BYTES = 40


class Attempt(NamedTuple):
    """A packet's address as text, and the port there, 0 where the protocol has none or it cannot be read."""

    host: str
    port: int
    is_tcp: bool


def read_attempt(packet: bytes) -> Attempt | None:
    """What the beginning of an IP packet says; None for what is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        protocol, ports_at = packet[9], (packet[0] & 0xF) * 4
        host = str(IPv4Address(packet[16:20]))
    elif version == 6 and len(packet) >= _V6_HEADER_BYTES:
        protocol, ports_at = packet[6], _V6_HEADER_BYTES
        host = str(IPv6Address(packet[24:40]))
    else:
        return None
    port = packet[ports_at + 2 : ports_at + 4] if protocol in _WITH_PORTS else b""
    return Attempt(host, int.from_bytes(port) if len(port) == 2 else 0, protocol == _TCP)


class Attempts:
    """The socket's reader, from start() to close(). on_attempt is told of each packet, also of the same ones again."""

    def __init__(self, descriptor: int, on_attempt: Callable[[Attempt], None]) -> None:
        self._descriptor = descriptor
        self._on_attempt = on_attempt
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Reads from now on. Raises OSError where the descriptor is not open, or nothing will ever come."""
        os.set_blocking(self._descriptor, False)
        self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Reads no more."""
        self._loop.remove_reader(self._descriptor)
        if self._pause is not None:
            self._pause.cancel()

    def _read(self) -> None:
        self._loop.remove_reader(self._descriptor)
        for _ in range(BATCH):
            try:
                packet = os.read(self._descriptor, PACKET_BYTES)
            except BlockingIOError:
                break
            except OSError:
                return  # the network is gone, and we with it
            if (attempt := read_attempt(packet)) is not None:
                self._on_attempt(attempt)
        self._pause = self._loop.call_later(PAUSE_S, self.start)
