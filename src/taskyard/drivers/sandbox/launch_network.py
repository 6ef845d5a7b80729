"""A network that leads nowhere but back: what the launcher makes for a workspace whose template lists egress.

Every IPv4 address is the workspace itself, so the agent can listen in the name of whatever the template
lists; there is no other interface, and no IPv6 but loopback. Imports only what starts fast.
"""

# Not `socket`, whose enumerations would cost three milliseconds and are not read here.
import _socket
import ctypes
import os
import struct

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

_NETLINK_ROUTE = 0
_LOOPBACK_INDEX = 1
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
_NLMSG_ERROR = 2
_REQUEST_ACKNOWLEDGED = 0x1 | 0x4
_CREATE = 0x400
_RTM_NEWLINK = 16
_RTM_NEWROUTE = 24
_LINK_UP = struct.pack("=BxHiII", 0, 0, _LOOPBACK_INDEX, 1, 1)
"""An ifinfomsg: any family, the loopback, flag IFF_UP and nothing but that flag to change."""
_ALL_IS_HERE = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 255, 3, 254, 2, 0) + struct.pack(
    "=HHI", 8, 4, _LOOPBACK_INDEX
)
"""An rtmsg, `local default dev lo`: IPv4, table local, by us, scope host, type local; then the device."""
_ANSWER_BYTES = 4096

_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


def prepare() -> str:
    """Empty when this process has a new network whose ports everybody inside may take; else why it has not.

    For root the network belongs to the machine's own user namespace: nobody inside has rights over it.
    Anybody else needs a user namespace around it, in which they are who they were.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWNET | (_CLONE_NEWUSER if uid else 0)) != 0:
        return f"making a network: {os.strerror(ctypes.get_errno())}"
    if uid:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    try:
        _configure()
        _write(_PORTS, "0")
    except OSError as error:
        return f"preparing a network: {error}"
    return ""


def _configure() -> None:
    netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _NETLINK_ROUTE)
    try:
        _ask(netlink, _RTM_NEWLINK, 0, _LINK_UP)
        _ask(netlink, _RTM_NEWROUTE, _CREATE, _ALL_IS_HERE)
    finally:
        netlink.close()


def _ask(netlink: "_socket.socket", kind: int, flags: int, body: bytes) -> None:
    """Nothing, once the kernel has done it. Raises OSError."""
    size = _HEADER.size + len(body)
    netlink.send(_HEADER.pack(size, kind, flags | _REQUEST_ACKNOWLEDGED, 0, 0) + body)
    answer = netlink.recv(_ANSWER_BYTES)
    if _HEADER.unpack_from(answer)[1] != _NLMSG_ERROR:
        raise OSError(0, "the kernel answered something else")
    code = -_ERROR.unpack_from(answer, _HEADER.size)[0]
    if code:
        raise OSError(code, os.strerror(code))


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
