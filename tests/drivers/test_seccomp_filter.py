"""The filter of system calls, run as the kernel would, for this architecture and for others."""

import errno
import struct

import pyseccomp
import pytest

from taskyard.drivers.sandbox.seccomp import LAST_KNOWN, RULES, build_filter

ARCHITECTURES = {"x86_64": pyseccomp.Arch.X86_64, "aarch64": pyseccomp.Arch.AARCH64}
ALLOW, KILL = pyseccomp.ALLOW, pyseccomp.KILL_PROCESS
X32 = 0x4000_0000
"""The bit that x32 sets in the numbers of its calls."""


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter answers for a call: an interpreter of as much of BPF as libseccomp writes."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        kind, if_so, if_not, operand = code[at]
        at += 1
        match kind:
            case 0x20:  # load a word
                (value,) = struct.unpack_from("<I", data, operand)
            case 0x54:  # and
                value &= operand
            case 0x05:  # jump
                at += operand
            case 0x15:
                at += if_so if value == operand else if_not
            case 0x25:
                at += if_so if value > operand else if_not
            case 0x35:
                at += if_so if value >= operand else if_not
            case 0x45:
                at += if_so if value & operand else if_not
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"an instruction that is not known here: {kind:#x}")


def refused(number: int) -> int:
    """The filter's answer for this error."""
    return int(pyseccomp.ERRNO(number))


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> tuple[int, bytes]:
    """An architecture and its filter."""
    architecture = ARCHITECTURES[request.param]
    return architecture, build_filter(architecture)


def number_of(architecture: int, name: str) -> int:
    """The call's number, below 0 where the architecture has none."""
    return int(pyseccomp.resolve_syscall(architecture, name))


def test_each_rule_holds(machine: tuple[int, bytes]) -> None:
    """Every call of every rule fails with its error in each of its cases, whatever the upper half of the argument is."""
    architecture, program = machine
    for rule in RULES:
        for name in rule.names:
            if (number := number_of(architecture, name)) < 0:
                continue
            if not rule.matches:
                assert verdict(program, architecture, number) == refused(rule.error), name
            for match in rule.matches:
                arguments = [0] * 6
                for upper in (0, 0xFFFF_FFFF << 32):
                    arguments[match.argument] = match.value | upper
                    answer = verdict(program, architecture, number, *arguments)
                    assert answer == refused(rule.error), (name, match)


def test_what_people_work_with_is_allowed(machine: tuple[int, bytes]) -> None:
    """Files, processes, threads, sockets, debuggers and sandboxes of programs themselves."""
    architecture, program = machine
    names = (
        "read",
        "openat",
        "execve",
        "ptrace",
        "process_vm_readv",
        "landlock_restrict_self",
        "seccomp",
    )
    for name in (
        *names,
        "futex",
        "memfd_create",
        "inotify_init1",
        "prlimit64",
        "personality",
        "clone",
    ):
        assert verdict(program, architecture, number_of(architecture, name)) == ALLOW, name
    threads = 0x3D0F00  # what the C library starts threads with
    assert verdict(program, architecture, number_of(architecture, "clone"), threads) == ALLOW
    for family in (1, 2, 10, 16):
        assert verdict(program, architecture, number_of(architecture, "socket"), family, 1) == ALLOW
    size = 0x5413
    assert verdict(program, architecture, number_of(architecture, "ioctl"), 0, size) == ALLOW


def test_other_ways_into_the_kernel_are_closed(machine: tuple[int, bytes]) -> None:
    """Another architecture's call ends the process; later numbers, and those of x32, do not exist."""
    architecture, program = machine
    others = {*ARCHITECTURES.values(), pyseccomp.Arch.X86, pyseccomp.Arch.ARM} - {architecture}
    assert {verdict(program, other, 39) for other in others} == {KILL}
    beyond = (LAST_KNOWN + 1, X32 | 39, 0xFFFF_FFFF)
    assert {verdict(program, architecture, n) for n in beyond} == {refused(errno.ENOSYS)}
    assert verdict(program, architecture, LAST_KNOWN) == ALLOW


def test_every_name_is_known_somewhere() -> None:
    """A name that is misspelt would be refused nowhere."""
    everywhere = (*ARCHITECTURES.values(), pyseccomp.Arch.X86)
    for name in {name for rule in RULES for name in rule.names}:
        assert any(number_of(a, name) >= 0 for a in everywhere), name
