"""A network that leads nowhere but back: what the launcher makes for a workspace whose template lists egress.

Every address is the workspace itself, so the agent can listen in the name of whatever the template lists, and
see what else programs try to reach; there is no other interface. Imports only what starts fast.
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
_IPV4, _IPV6 = 2, 10
_ALL_IS_HERE = struct.Struct("=BBBBBBBBIHHI")
"""An rtmsg, `local default dev lo`: the family, table local, by us, scope host, type local; then the device."""
_TO_LOOPBACK = (0, 0, 0, 255, 3, 254, 2, 0, 8, 4, _LOOPBACK_INDEX)
_ANSWER_BYTES = 4096

_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

_SOL_SOCKET, _SOL_PACKET = 1, 263
_SO_RCVBUF, _SO_ATTACH_FILTER, _SO_LOCK_FILTER = 8, 26, 44
_PACKET_IGNORE_OUTGOING = 23
"""On the loopback each packet goes out and comes in: once is enough."""
_ALL_PROTOCOLS = 3
_QUEUE_BYTES = 32 * 1024
"""What is not read yet, of which the kernel keeps twice as much: some fifty packets. A flood is lost, not kept."""
_KEPT_BYTES = 64
"""Of a packet: the longest header of IPv4 and the ports after it. What programs send is not for us."""
_LD_W, _LD_H, _LD_B, _LD_B_AFTER, _LDX_HEADER = 0x20, 0x28, 0x30, 0x50, 0xB1
_IF_EQUAL, _IF_ANY_BIT, _AND, _RETURN = 0x15, 0x45, 0x54, 0x06
_KIND = 0xFFFFF000
_SYN_ACK, _SYN = 0x12, 0x02
_PASS, _DROP = 30, 31
_FILTER = (
    (_LD_W, _KIND),
    (_IF_EQUAL, 0x86DD, 15, 2),  # IPv6
    (_IF_EQUAL, 0x0800, 3, _DROP),  # IPv4
    (_LD_H, 6),
    (_IF_ANY_BIT, 0x1FFF, _DROP, 5),  # a later fragment has no ports
    (_LD_B, 16),
    (_IF_EQUAL, 127, _DROP, 7),  # the first number of where it goes
    (_LD_B, 9),
    (_IF_EQUAL, 1, _DROP, 9),  # ICMP and IGMP are the kernel's own words
    (_IF_EQUAL, 2, _DROP, 10),
    (_LDX_HEADER, 0),
    (_IF_EQUAL, 6, 12, _PASS),  # TCP
    (_LD_B_AFTER, 13),
    (_AND, _SYN_ACK),
    (_IF_EQUAL, _SYN, _PASS, _DROP),
    (_LD_W, 24),  # where it goes, in four parts: 0, 0, 0, 1 is the loopback
    (_IF_EQUAL, 0, 17, 23),
    (_LD_W, 28),
    (_IF_EQUAL, 0, 19, 23),
    (_LD_W, 32),
    (_IF_EQUAL, 0, 21, 23),
    (_LD_W, 36),
    (_IF_EQUAL, 1, _DROP, 23),
    (_LD_B, 6),
    (_IF_EQUAL, 58, _DROP, 25),  # ICMP's successor, also with a header before it
    (_IF_EQUAL, 0, _DROP, 26),
    (_IF_EQUAL, 6, 27, _PASS),
    (_LD_B, 53),
    (_AND, _SYN_ACK),
    (_IF_EQUAL, _SYN, _PASS, _DROP),
    (_RETURN, _KEPT_BYTES),
    (_RETURN, 0),
)
"""Classic BPF with places to go on at, true and false: the first packet of TCP, and any of what is neither TCP nor ICMP, to
anywhere but the loopback. An instruction that reads beyond the packet's end drops it."""
_CODE = b"".join(
    struct.pack("=HBBI", code, *([place - at - 1 for place in places] or (0, 0)), value)
    for at, (code, value, *places) in enumerate(_FILTER)
)


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


def watch() -> int:
    """A descriptor from which the beginnings of packets can be read that go to anywhere but the loopback.

    For this process' network as prepare() made it; later the right to it is lost. Raises OSError.
    """
    made = _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM, _socket.htons(_ALL_PROTOCOLS))
    made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    made.setsockopt(_SOL_SOCKET, _SO_RCVBUF, _QUEUE_BYTES)
    code = ctypes.create_string_buffer(_CODE)
    program = struct.pack("@HP", len(_FILTER), ctypes.addressof(code))
    made.setsockopt(_SOL_SOCKET, _SO_ATTACH_FILTER, program)
    made.setsockopt(_SOL_SOCKET, _SO_LOCK_FILTER, 1)
    return made.detach()


def _configure() -> None:
    netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _NETLINK_ROUTE)
    try:
        _ask(netlink, _RTM_NEWLINK, 0, _LINK_UP)
        _ask(netlink, _RTM_NEWROUTE, _CREATE, _ALL_IS_HERE.pack(_IPV4, *_TO_LOOPBACK))
        try:
            _ask(netlink, _RTM_NEWROUTE, _CREATE, _ALL_IS_HERE.pack(_IPV6, *_TO_LOOPBACK))
        except OSError:
            return  # a machine without IPv6
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
