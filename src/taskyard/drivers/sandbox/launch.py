"""The process that becomes a workspace. Run as a script; imports only what starts fast.

It is started before its workspace is prepared and waits on stdin for its orders. It goes on only
when they came whole, so a server that dies before it has recorded this process leaves nothing.
As root it gathers what bubblewrap shall bind in a tmpfs that only it and its children see, because
the workspace's own user cannot reach files below /root; then it becomes that user.
"""

# pathlib would cost a third of the time that this script takes.
# ruff: noqa: PTH102, PTH103, PTH112, PTH120, PTH208

import ctypes
import os
import sys

TYPE_CHECKING = False  # typing's own would cost as much as all other imports
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READY_FD = 3
"""A pipe to the server; a byte comes through it when the agent's program is about to run."""
STATUS_FD = 4
"""bubblewrap reports here."""
ARGUMENTS_FD = 5
"""bubblewrap reads its options here, so that no secret of the environment shows in process lists."""
STAGING = "/tmp"  # noqa: S108 - covered by a tmpfs of our own mount namespace before anything is made in it
"""Where the sources are gathered: exists everywhere, and every user may walk through it."""

_CLONE_NEWNS = 0x00020000
_MS_NOSUID_NODEV = 0x2 | 0x4
_MS_BIND = 0x1000
_MS_REC_SLAVE = 0x4000 | 0x80000
_SIGPIPE = 13
_SIGXFSZ = 25
_SIG_DFL = 0
_LIBC = ctypes.CDLL(None, use_errno=True)


class Orders:
    """What to do: texts and lists of texts, each by its name; a list that was not given is empty."""

    def __init__(self, texts: list[str]) -> None:
        found = iter(texts)
        self.uid = next(found)
        self.folder = next(found)
        self._lists = {
            name: [next(found) for _ in range(int(count))] for name, count in _pairs(found)
        }

    def items(self, name: str) -> list[str]:
        """The list of that name."""
        return self._lists.get(name, [])


def _pairs(texts: "Iterator[str]") -> "Iterator[tuple[str, str]]":
    """Names of lists and how many items follow each; nothing more when a name is empty."""
    while name := next(texts):
        yield name, next(texts)


def encode(uid: int | None, folder: str, lists: "Mapping[str, list[str]]") -> bytes:
    """Orders as bytes: their total length, uid (empty: stay who you are), folder, then the lists by name.

    folder is where the program starts. `sources` are bound at `places`, `options` are bubblewrap's, `argv` has the
    program's path first, `env` are entries of the program's environment. No text may hold NUL.
    """
    texts = ["" if uid is None else str(uid), folder]
    for name, items in lists.items():
        texts += [name, str(len(items)), *items]
    body = os.fsencode("".join(f"{text}\0" for text in [*texts, ""]))
    return b"%d\0%s" % (len(body), body)


def _read_orders() -> Orders:
    with os.fdopen(0, "rb", closefd=False) as pipe:
        size, _, body = pipe.read().partition(b"\0")
    if not size or len(body) != int(size):
        sys.exit(0)
    return Orders(os.fsdecode(body).split("\0"))


def _check(result: int, doing: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        sys.exit(f"launch: {doing}: {os.strerror(code)}")


def _mount(source: str, target: str, kind: bytes | None, flags: int) -> None:
    result = _LIBC.mount(
        os.fsencode(source), os.fsencode(target), kind, flags, b"mode=0755" if kind else None
    )
    _check(result, f"mount of {target}")


def _stage(sources: list[str], places: list[str]) -> None:
    """Nothing; each source is bound at its place in a tmpfs that no process outside can see."""
    _check(_LIBC.unshare(_CLONE_NEWNS), "making a mount namespace")
    _mount("none", "/", None, _MS_REC_SLAVE)
    # Opened first: the tmpfs may hide them.
    handles = [os.open(source, os.O_PATH) for source in sources]
    _mount("tmpfs", STAGING, b"tmpfs", _MS_NOSUID_NODEV)
    for handle, place in zip(handles, places, strict=True):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        opened = f"/proc/self/fd/{handle}"
        if os.path.isdir(opened):
            os.mkdir(place)
        else:
            os.mknod(place)
        _mount(opened, place, None, _MS_BIND)


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _hand_over(options: list[str]) -> None:
    arguments = os.memfd_create("options", 0)
    os.write(arguments, os.fsencode("".join(f"{option}\0" for option in options)))
    os.lseek(arguments, 0, os.SEEK_SET)
    os.dup2(arguments, ARGUMENTS_FD)


def _close_others() -> None:
    """Nothing; what the server once inherited without close-on-exec does not reach the workspace."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > ARGUMENTS_FD:
            try:
                os.close(int(name))
            except OSError:  # it was the listing's own
                continue


def main() -> None:
    """Becomes the program that the orders name; ends with a line on stderr where that fails."""
    orders = _read_orders()
    os.umask(0o022)
    if orders.uid:
        _stage(orders.items("sources"), orders.items("places"))
        _become(int(orders.uid))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    _hand_over(orders.items("options"))
    _close_others()
    # Python ignores these two; an ignored signal would stay ignored in the workspace.
    for number in (_SIGPIPE, _SIGXFSZ):
        _LIBC.signal(number, _SIG_DFL)
    program, *argv = orders.items("argv")
    os.chdir(orders.folder)
    env = dict(entry.split("=", 1) for entry in orders.items("env"))
    os.execve(program, argv, env)  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    try:
        main()
    except OSError as failure:
        sys.exit(f"launch: {failure}")
