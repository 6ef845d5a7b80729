"""Which system calls no program in a workspace may make, and the filter that the kernel reads.

A list of what is refused, as a workspace runs whatever people work with: compilers, databases, browsers, debuggers.
What stands here is what could undo another wall, reach the machine itself, or is there for administrators and drivers.
The kernel keeps most of it from a process without capabilities as well; here it is refused before the kernel's own code
for it runs. Calls that this list's authors could not know answer as if the kernel did not have them.
"""

import errno
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from taskyard.errors import DriverUnavailable

LAST_KNOWN = 466
"""removexattrat(2). Numbers above came later, for example open_tree_attr, which makes mounts; since Linux 5.1 a new call has
the same number on every architecture that we run on."""


@dataclass(frozen=True, slots=True)
class Match:
    """An argument, counted from 0, of which the bits in mask are those of value."""

    argument: int
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class Rule:
    """System calls that fail with an error: always, or when one of the matches holds."""

    names: tuple[str, ...]
    error: int = errno.EPERM
    matches: tuple[Match, ...] = ()


_MOUNTS = (
    *("mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree"),
    *("fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr"),
)
_NAMESPACES = ("unshare", "setns")
_KERNEL = (
    *("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key"),
    *(
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "open_by_handle_at",
        "fanotify_init",
    ),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("create_module", "get_kernel_syms", "query_module", "uselib", "lookup_dcookie", "nfsservctl"),
)
_MACHINE = (
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "vhangup"),
    *(
        "settimeofday",
        "stime",
        "clock_settime",
        "clock_settime64",
        "clock_adjtime",
        "clock_adjtime64",
    ),
    *(
        "adjtimex",
        "sethostname",
        "setdomainname",
        "iopl",
        "ioperm",
        "vm86",
        "vm86old",
        "sysfs",
        "_sysctl",
    ),
)

_LOW = 0xFFFF_FFFF
"""The kernel takes 32 bits of these arguments; whoever sets a higher one means the same call."""
_NEW_NAMESPACES = (
    *(0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000),  # mount, cgroup, uts, ipc
    *(0x1000_0000, 0x2000_0000, 0x4000_0000),  # user, pid, net
)
"""CLONE_NEW*, from linux/sched.h. The one for time cannot be given to clone(2): its bit is a signal number's."""
_TERMINALS = (0x5412, 0x541C, 0x5423)
"""TIOCSTI and TIOCLINUX, which type into a terminal; TIOCSETD, which has the kernel load line disciplines."""
_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6 and netlink, which asks for the box's own interfaces. Others, such as vsock, which leads to the
machine below a virtual one, know nothing of network namespaces, or load modules."""
_FAMILY_BITS = 6
"""Linux has 46 families; numbers beyond 6 bits are refused as a whole."""
_PERSONALITIES = (0x8, 0x2_0000, 0x4_0000)
"""PER_LINUX32 and UNAME26, which change what uname says, and ADDR_NO_RANDOMIZE, which debuggers set."""


def _one_of(argument: int, values: tuple[int, ...]) -> tuple[Match, ...]:
    return tuple(Match(argument, _LOW, value) for value in values)


def _has(argument: int, bits: tuple[int, ...]) -> tuple[Match, ...]:
    return tuple(Match(argument, bit, bit) for bit in bits)


def _other_families() -> tuple[Match, ...]:
    beyond = tuple(1 << bit for bit in range(_FAMILY_BITS, 32))
    known = range(1 << _FAMILY_BITS)
    return _one_of(0, tuple(n for n in known if n not in _FAMILIES)) + _has(0, beyond)


def _other_personalities() -> Iterator[Match]:
    """Every number with a bit that is not listed, but the one with all bits, which only asks."""
    top, lower = 1 << 31, [1 << bit for bit in range(31)]
    for bit in lower:
        yield Match(0, top | bit, top)
        if bit not in _PERSONALITIES:
            yield Match(0, top | bit, bit)


_UNKNOWN = -1
"""What libseccomp answers for a name that it does not know."""
_RETURN_ERROR = 0x0005_0000
"""SECCOMP_RET_ERRNO, from linux/seccomp.h."""

RULES = (
    Rule((*_MOUNTS, *_NAMESPACES, *_KERNEL, *_MACHINE)),
    # Its flags are in memory, where a filter cannot look; the C library then takes clone.
    Rule(("clone3",), errno.ENOSYS),
    # What waits there counts against one number for the whole machine; programs that know it go on without.
    Rule(("io_setup",), errno.ENOSYS),
    Rule(("clone",), matches=_has(0, _NEW_NAMESPACES)),
    Rule(("ioctl",), matches=_one_of(1, _TERMINALS)),
    Rule(("socket", "socketpair"), errno.EAFNOSUPPORT, _other_families()),
    Rule(("personality",), matches=tuple(_other_personalities())),
)
"""All that is refused. ptrace is not: programs in a workspace may debug each other, and the agent hides itself."""


def build_filter(architecture: int = 0) -> bytes:
    """The rules as a program for the kernel's filter; another architecture's calls end the process.

    architecture: one of `pyseccomp.Arch`, 0 is this machine's. Raises DriverUnavailable with cause and fix.
    """
    try:
        # Imported here: it looks for its library by running programs, and fails where there is none.
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise DriverUnavailable(
            f"Workspaces cannot be confined: the library that writes system call filters is missing ({error}). "
            "Install it with: sudo apt-get install libseccomp2"
        ) from error
    found = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    found.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    if architecture not in {0, pyseccomp.system_arch()}:
        found.add_arch(architecture)
        found.remove_arch(pyseccomp.Arch.NATIVE)
    for rule in RULES:
        for name in rule.names:
            if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) == _UNKNOWN:
                continue  # a library so old that it knows no such call
            for arguments in _arguments(rule):
                found.add_rule(pyseccomp.ERRNO(rule.error), name, *arguments)
    with tempfile.TemporaryFile() as file:
        found.export_bpf(file)
        file.seek(0)
        return _nothing_later() + file.read()


def _arguments(rule: Rule) -> Iterator[tuple[object, ...]]:
    """What pyseccomp compares, for each rule that it gets."""
    # Imported here, as above; it is there by now.
    from pyseccomp import MASKED_EQ, Arg

    if not rule.matches:
        yield ()
    for match in rule.matches:
        yield (Arg(match.argument, MASKED_EQ, match.mask, match.value),)


def _nothing_later() -> bytes:
    """Three instructions in front: a call beyond LAST_KNOWN does not exist."""
    load, above, answer = (
        0x20,
        0x25,
        0x06,
    )  # BPF_LD | BPF_ABS, BPF_JMP | BPF_JGT, BPF_RET, from linux/bpf_common.h
    return b"".join(
        struct.pack("=HBBI", code, if_so, if_not, operand)
        for code, if_so, if_not, operand in (
            (load, 0, 0, 0),  # the call's number is the first word of what a filter sees
            (above, 0, 1, LAST_KNOWN),
            (answer, 0, 0, _RETURN_ERROR | errno.ENOSYS),
        )
    )
