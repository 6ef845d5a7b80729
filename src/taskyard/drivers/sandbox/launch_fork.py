"""The process that launchers are forked from: an interpreter made anew for each would cost as much as all walls.

Begun with a socket as stdin. It never sees any orders: what it forks reads them itself. It ends with the server.
"""

# Not `socket`, whose enumerations would double what each fork copies.
import _socket
import ctypes
import os
import sys

from taskyard.drivers.sandbox import launch

_LAST_FD = 4
"""What a launcher begins with: orders, two outputs, then launch.READY_FD and launch.STATUS_FD."""
_SIGCHLD = 17
_SIG_DFL, _SIG_IGN = 0, 1
_FD_BYTES = 4
_EAGAIN = 11
_LIBC = ctypes.CDLL(None)


def wait_for_turn() -> None:
    """Returns in each new launcher; what waits for the next request ends when nobody is left to make one."""
    channel = _socket.socket(fileno=0)
    _LIBC.signal(_SIGCHLD, _SIG_IGN)  # so that launchers that ended do not stay
    while True:
        files = _received(channel)
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or _EAGAIN)
        if pid == 0:
            channel.detach()
            _take(files)
            return
        for file in files:
            os.close(file)
        channel.send(b"%d" % pid)


def _received(channel: _socket.socket) -> list[int]:
    """The descriptors that a launcher is to have, none of them a number that it gives away."""
    room = _socket.CMSG_SPACE(_LAST_FD * _FD_BYTES)
    message, extra, _, _ = channel.recvmsg(1, room, _socket.MSG_CMSG_CLOEXEC)
    if not message:
        sys.exit(0)
    raw = b"".join(data for _, _, data in extra)
    starts = range(0, len(raw), _FD_BYTES)
    return [int.from_bytes(raw[at : at + _FD_BYTES], sys.byteorder) for at in starts]


def _take(files: list[int]) -> None:
    """Nothing; this process is in a session of its own and has the descriptors where launch.py expects them."""
    os.setsid()
    _LIBC.signal(_SIGCHLD, _SIG_DFL)
    for file, number in zip(files, (0, 1, launch.READY_FD, launch.STATUS_FD), strict=True):
        os.dup2(file, number)
        os.close(file)
    os.dup2(1, 2)


def main() -> None:
    """Forks launchers, and is one in the end."""
    launch.close_others(2)
    while os.open(os.devnull, os.O_RDWR) < _LAST_FD:
        pass  # so that no descriptor comes by one of these numbers
    wait_for_turn()
    try:
        launch.main()
    except OSError as failure:
        sys.exit(f"launch: {failure}")
