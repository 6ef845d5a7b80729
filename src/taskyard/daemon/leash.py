"""Becomes another program, as another user if asked, that is signalled when the server ends.

Run as a script by a bare interpreter (`python -I -S leash.py PARENT SIGNAL AS PROGRAM ARGUMENT…`),
so that the server never runs Python between fork and exec: with threads around, that can hang.

PARENT is the pid of the server, SIGNAL the number sent to the program when it ends. AS is one of
`same`; `UID:GID`, where all other groups are dropped; or `namespace:UID`, a user namespace in which we
show as that user: no capability is left, while files are still opened as ours, root's too.

Only the standard library and nothing of this package is imported: the folder it lies in may be
closed to everybody but us.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
CLONE_NEWUSER = 0x10000000  # from linux/sched.h


def become(identity: str) -> None:
    """Change this process to the identity of that name; OSError where the system forbids it."""
    if identity == "same":
        return
    kind, _, inside = identity.partition(":")
    if kind == "namespace":
        uid, gid = os.geteuid(), os.getegid()  # asked first: inside they have no name yet
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare of the user namespace")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{inside} {uid} 1")
        _write("/proc/self/gid_map", f"{inside} {gid} 1")
        return
    uid, gid = map(int, identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with(parent: int, signal: int) -> None:
    """Have the kernel send us the signal when the parent ends; leave now if it already has.

    Changing user clears the request, so it comes after `become`. The kernel watches the *thread*
    that forked us: the server starts its children from its main thread only.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"process {parent} is gone")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 pathlib costs 10 ms to import
        file.write(text)


def main() -> None:
    """Become the program that the arguments name."""
    parent, signal, identity, *program = sys.argv[1:]
    try:
        become(identity)
        die_with(int(parent), int(signal))
        os.execv(program[0], program)  # noqa: S606 there is no shell text to get wrong
    except OSError as error:
        sys.exit(f"{program[0]} as {identity}: {error}")


if __name__ == "__main__":
    main()
