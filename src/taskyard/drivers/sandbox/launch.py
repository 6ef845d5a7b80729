"""The process that becomes a workspace: forked by launch_fork.py, so it imports only what is cheap to copy.

It waits on stdin for its orders. The first say where it belongs, and it goes there while its workspace is prepared; the
second make it the workspace. It goes on only when they came whole, so a server that dies before it has recorded this process
leaves nothing.
As root it gathers what bubblewrap shall bind in a tmpfs that only it and its children see, because
the workspace's own user cannot reach files below /root; then it becomes that user.
"""

# pathlib would be half of what each fork copies.
# ruff: noqa: PTH123, PTH102, PTH103, PTH112, PTH120, PTH208

import ctypes
import os
import resource
import sys

from taskyard.drivers.sandbox.launch_bundle import lay_out
from taskyard.drivers.sandbox.launch_disk import mount_home
from taskyard.drivers.sandbox.launch_network import prepare, watch

TYPE_CHECKING = False  # typing's own would cost as much as all other imports
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READY_FD = 3
"""A pipe to the server; a byte comes through it when the agent's program is about to run."""
STATUS_FD = 4
"""bubblewrap reports here."""
ARGUMENTS_FD = 5
"""bubblewrap reads its options here, so that no secret of the environment shows in process lists."""
FILTER_FD = 6
"""bubblewrap reads the filter of system calls here."""
TOKEN_FD = 7
"""A pipe with the agent's token, which the agent empties before it starts anything; bubblewrap's own processes close it."""
_TERMINALS = "/dev/pts"
STAGING = "/tmp"  # noqa: S108 - covered by a tmpfs of our own mount namespace before anything is made in it
"""Where the sources are gathered: exists everywhere, and every user may walk through it."""

HANDOVER_FD = 8
"""A pipe from which the agent of a workspace that may be frozen reads another generation's token."""
ATTEMPTS_FD = 9
"""A socket on which the agent sees where programs tried to go, in a workspace with a network of the launcher's."""

FILES_SOFT, FILES_HARD = 4096, 65536
"""Open files a process may have, and may give itself: builds and watchers need thousands; a million would only fill the
kernel's memory."""
_OOM_ADJ = 100
"""When memory runs out the kernel adds a tenth of all memory to what a workspace's agent uses, and so takes it before the
server and its database; the agent gives half of it to what it starts (taskyard_agent/memory_score.py)."""
_CLONE_NEWNS = 0x00020000
_MS_NOSUID_NODEV = 0x2 | 0x4
_MS_NOSUID_NOEXEC = 0x2 | 0x8
_MS_BIND = 0x1000
_MS_REC_SLAVE = 0x4000 | 0x80000
_SIGPIPE = 13
_SIGXFSZ = 25
_SIG_DFL = 0
_LIBC = ctypes.CDLL(None, use_errno=True)
_LOCK_EX = 2
_KEEPER = """
exec 3>&1
while :; do
    case $(dd bs=65536 count=16 2>&1 >&3) in
        0+0*) exit ;;
        *records*) [ "$(wc -c </proc/self/fd/3)" -le 8388608 ] || : >/proc/self/fd/3 ;;
        *) exit ;;
    esac
done
"""
"""Copies what comes to the log until nobody is left who could write, and begins the file anew beyond 8 MiB, twice of what the
server trims to. A program that takes more memory than these two would cost more than all walls together."""


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
    program's path first, `env` are entries of the program's environment. `filter` is bubblewrap's, in hexadecimal
    digits; `token` can be read from TOKEN_FD, once; `handover` is a pipe's name. `cgroups` are files by which a process
    joins a control group. `terminals` is how many pseudo-terminals it may have. `log` is there for a log whose writers are not trusted: its owner, or nothing. `disk` is the image of the home, which source that is, and its owner. No text may hold NUL.
    """
    texts = ["" if uid is None else str(uid), folder]
    for name, items in lists.items():
        texts += [name, str(len(items)), *items]
    body = os.fsencode("".join(f"{text}\0" for text in [*texts, ""]))
    return b"%d\0%s" % (len(body), body)


def _read_orders() -> Orders:
    """The next orders. Where they do not come whole this process ends."""
    size = b""
    while (digit := os.read(0, 1)) not in (b"", b"\0"):
        size += digit
    missing, parts = int(size or b"0"), []
    while missing and (part := os.read(0, missing)):
        parts.append(part)
        missing -= len(part)
    if missing or not parts:
        sys.exit(0)
    return Orders(os.fsdecode(b"".join(parts)).split("\0"))


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
        opened = f"/proc/self/fd/{handle}"
        if not os.path.lexists(place):  # as it does where it lies on one before it
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if os.path.isdir(opened):
                os.mkdir(place)
            else:
                os.mknod(place)
        _mount(opened, place, None, _MS_BIND)


def _bound_terminals(orders: Orders) -> list[str]:
    """Options by which bubblewrap shows a file system that holds no more terminals than that.

    None for an ordinary user who made no network, and so has no user namespace in which they may mount: then it is bubblewrap's
    own, and only the kernel's number for the machine bounds it.
    """
    if not orders.items("terminals"):
        return []
    if not orders.items("sources"):  # which root's are staged by now
        if _LIBC.unshare(_CLONE_NEWNS) != 0:
            return []
        _mount("none", "/", None, _MS_REC_SLAVE)
    data = f"newinstance,ptmxmode=0666,mode=0620,max={orders.items('terminals')[0]}".encode()
    if _LIBC.mount(b"devpts", _TERMINALS.encode(), b"devpts", _MS_NOSUID_NOEXEC, data) != 0:
        why = os.strerror(ctypes.get_errno())
        print(f"launch: terminals are not bounded: {why}", file=sys.stderr, flush=True)  # noqa: T201 - the workspace's own log
        return []
    return ["--dev-bind", _TERMINALS, _TERMINALS]


def _bound() -> None:
    """Nothing; no process to come leaves core dumps, which a program of the machine may be handed, or has no end of files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_HARD if hard == resource.RLIM_INFINITY else min(hard, FILES_HARD)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_SOFT, most), most))
    with open("/proc/self/oom_score_adj", "r+") as file:
        if int(file.read()) < _OOM_ADJ:
            file.write(str(_OOM_ADJ))


def _join(files: list[str]) -> None:
    """Nothing; this process, and so all that come of it, is in the control groups whose files these are."""
    for file in files:
        handle = os.open(file, os.O_WRONLY)
        os.write(handle, b"0")
        os.close(handle)


def _keep_log(owner: str) -> int:
    """A child to reap; what this process and the workspace write goes through a pipe to one outside, which keeps the log small.

    A program that had the file itself could allocate all of the disk to it. The lock on it is held until all is written.
    """
    reader, writer = os.pipe()
    _check(_LIBC.flock(1, _LOCK_EX), "locking the log")
    if owner:
        for number in (1, writer):  # so that /dev/stderr can be opened inside
            os.fchown(number, int(owner), int(owner))
    child = os.fork()
    if child == 0:
        # Forked once more: bubblewrap's first child has to be the workspace.
        if os.fork() == 0:
            _become_keeper(owner, reader)
        os._exit(0)
    for number in (1, 2):
        os.dup2(writer, number)
    os.close(reader)
    os.close(writer)
    return child


def _become_keeper(owner: str, reader: int) -> None:
    try:
        os.dup2(reader, 0)
        close_others(2)
        if owner:
            _become(int(owner))
        os.execve("/bin/sh", ["sh", "-c", _KEEPER], {})  # noqa: S606 - becoming that program is the purpose
    finally:
        os._exit(1)


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _hand_over(number: int, content: bytes) -> None:
    """Nothing; the content can be read from that descriptor."""
    file = os.memfd_create("orders", 0)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, number)


def _hand_over_once(number: int, content: bytes) -> None:
    """The same, but what was read is gone for everybody, as in a file it would not be."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    os.dup2(reader, number)
    os.set_inheritable(number, True)  # where it was that number already


def close_others(highest: int) -> None:
    """Nothing; what the server once inherited without close-on-exec does not reach the workspace."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > highest:
            try:
                os.close(int(name))
            except OSError:  # it was the listing's own
                continue


def _mount_disk(orders: Orders, image: int) -> None:
    """Nothing; the home's own file system lies over the place of the home."""
    place = orders.items("places")[orders.items("sources").index(orders.items("disk")[1])]
    mount_home(image, place, int(orders.items("disk")[2]))


def _lay_out(orders: Orders) -> None:
    """Nothing; in the tmpfs lies all that runc reads."""
    lay_out("".join(orders.items("bundle")), orders.items("points"), orders.items("links"))


def _network(orders: Orders) -> list[str]:
    """Options by which bubblewrap makes the network, where this process could not; a line on stderr says why.

    ATTEMPTS_FD is open then, and all numbers before it, which runc wants: where there is nothing to see, on nothing.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, ATTEMPTS_FD)
    if not orders.items("handover"):
        os.dup2(nothing, HANDOVER_FD)
    if why := prepare():
        print(f"launch: {why}", file=sys.stderr, flush=True)  # noqa: T201 - the workspace's own log
        if orders.items("bundle"):
            sys.exit("launch: this workspace cannot have the network that its template asks for")
        return ["--unshare-net"]
    try:
        os.dup2(watch(), ATTEMPTS_FD)
    except OSError as error:
        print(f"launch: attempts to leave are not seen: {error}", file=sys.stderr, flush=True)  # noqa: T201 - as above
    return []


def _settle(orders: Orders) -> list[int]:
    """Children to reap; this process is where the first orders want it, with its bounds and its log."""
    os.umask(0o022)
    _join(orders.items("cgroups"))
    _bound()
    return [_keep_log(owner) for owner in orders.items("log")]


def main() -> None:
    """Becomes the program that the orders name. Raises OSError, or ends with a line on stderr, where that fails."""
    children = _settle(_read_orders())
    orders = _read_orders()
    options = orders.items("options")
    highest = TOKEN_FD
    for path in orders.items("handover"):
        # Both ends, so that it is never at its end; before this process loses the right to.
        os.dup2(os.open(path, os.O_RDWR), HANDOVER_FD)
        highest = HANDOVER_FD
    if orders.items("network"):
        options = [*_network(orders), *options]
        highest = ATTEMPTS_FD
    # Opened first, as with the sources: the tmpfs may hide it.
    images = [os.open(path, os.O_RDWR) for path in orders.items("disk")[:1]]
    if orders.items("sources"):
        _stage(orders.items("sources"), orders.items("places"))
    options = [*options, *_bound_terminals(orders)]
    for image in images:
        _mount_disk(orders, image)
    if orders.items("bundle"):
        _lay_out(orders)
    if orders.uid:
        _become(int(orders.uid))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    _hand_over(ARGUMENTS_FD, os.fsencode("".join(f"{option}\0" for option in options)))
    _hand_over(FILTER_FD, bytes.fromhex("".join(orders.items("filter"))))
    _hand_over_once(TOKEN_FD, os.fsencode("".join(orders.items("token"))))
    close_others(highest)
    # Python ignores these two; an ignored signal would stay ignored in the workspace.
    for number in (_SIGPIPE, _SIGXFSZ):
        _LIBC.signal(number, _SIG_DFL)
    for child in children:
        os.waitpid(child, 0)
    program, *argv = orders.items("argv")
    os.chdir(orders.folder)
    env = dict(entry.split("=", 1) for entry in orders.items("env"))
    os.execve(program, argv, env)  # noqa: S606 - becoming that program is the purpose
