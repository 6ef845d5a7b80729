"""Named points of the code at which a test can hold this process, to strike it or its neighbours there.

They cost a comparison. A process stops at them only when it was told a socket at its start: a server by the
variable TASKYARD_POINTS, if the socket belongs to its own user; an agent by a socket of that name beside the
server's own, in a folder that nobody but the server's user can write. It then tells the socket each point that it
comes to, and goes on when the other end hangs up, whether or not it said a word: a test that is gone holds nobody.
"""

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

VARIABLE = "TASKYARD_POINTS"
"""Names the socket to a server; nothing else reads it, and no workspace gets it."""

SOCKET = "points.sock"
"""What the socket is called beside the server's, where agents look for it."""

_PREFIX = "unix:"


class _Told:
    """What this process was told at its start. path null: nothing, so it never stops."""

    path: str | None = None
    subject: str = ""


async def reached(name: str, subject: str = "") -> None:
    """Returns at once, or when the test lets go. subject: whose step it is, empty for this process's own."""
    if _Told.path is not None:
        await _wait(_Told.path, _line(name, subject))


def passed(name: str, subject: str = "") -> None:
    """As reached(), for threads: it blocks."""
    if _Told.path is not None:
        _block(_Told.path, _line(name, subject))


def about(subject: str) -> None:
    """From now on the steps of this process are those of that workspace, where they name no other."""
    _Told.subject = subject


def listen_to_own(path: str | None) -> None:
    """From now on the socket is told, if it is one of our own user that no other user can replace."""
    if path is not None and _is_socket(path) and _is_own(path):
        _Told.path = path


def listen_beside(url: str) -> None:
    """From now on the socket beside the one of that URL is told, if there is one."""
    if url.startswith(_PREFIX):
        path = f"{os.path.dirname(url.removeprefix(_PREFIX))}/{SOCKET}"  # noqa: PTH120 - agents start without pathlib's cost
        if _is_socket(path):
            _Told.path = path


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_own(path: str) -> bool:
    folder = Path(path).absolute().parent
    others = stat.S_IWGRP | stat.S_IWOTH
    return os.lstat(path).st_uid == os.geteuid() and not folder.stat().st_mode & others


def _line(name: str, subject: str) -> bytes:
    told = {"point": name, "subject": subject or _Told.subject}
    return json.dumps(told).encode() + b"\n"


async def _wait(path: str, line: bytes) -> None:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return  # the test is gone
    try:
        writer.write(line)
        await reader.read()
    except OSError:
        return
    finally:
        writer.close()


def _block(path: str, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect(path)
            end.sendall(line)
            while end.recv(64):
                pass
        except OSError:
            return
