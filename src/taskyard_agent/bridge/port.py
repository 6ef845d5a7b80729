"""The port of a bridge. Light to import: it is taken before the coding agent starts, who is told of it."""

import socket

LOOPBACK = "127.0.0.1"

BACKLOG = 128
"""Connections that may wait to be accepted: more than there are callers."""


def bind(port: int) -> socket.socket:
    """A listening socket on that port of the loopback; on a free one when it is taken."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=BACKLOG)
    except OSError:
        return socket.create_server((LOOPBACK, 0), backlog=BACKLOG)


def port_of(listening: socket.socket) -> int:
    """The port that a socket listens on."""
    port = listening.getsockname()[1]
    assert isinstance(port, int)
    return port
