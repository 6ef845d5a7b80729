"""What the shell agent keeps of a session and of a command, and how it starts one."""

import codecs
import contextlib
import json
import os
import signal
from collections.abc import Iterator

ARG_BYTES = 100 * 1024
"""Bytes of a command given as an argument; the kernel takes 128 KiB, and longer ones go by a file."""

FOLDER_FD = 198
"""Where bash says in which folder it ended: a number that no script uses by accident."""

EXIT_TRAP = b"trap 'pwd >&%d' EXIT; " % FOLDER_FD

PIPE_BYTES = 64 * 1024
"""Bytes a pipe holds, so that one read of as many empties it."""

Json = dict[str, object]


def encode(value: Json) -> bytes:
    """One line of JSON. Halves of surrogate pairs, which JSON can hold and UTF-8 cannot, become `?`."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace") + b"\n"


def text_of(value: object, key: str) -> str:
    """The text at a key of a JSON object; empty when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def chunk(text: str, kind: str = "agent_message_chunk") -> Json:
    """An update that is a piece of a message."""
    return {"sessionUpdate": kind, "content": {"type": "text", "text": text}}


def started_at(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when there is none of that number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs 1 MB
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def spawn(command: bytes, folder: str, output: int, ended_in: int) -> int:
    """The number of a bash in a group of its own, its output and errors going to one pipe."""
    script = -1
    if len(command) > ARG_BYTES:
        script = os.memfd_create("prompt", 0)
        os.write(script, command)
        command = b". /dev/fd/%d" % script
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for target, source in ((1, output), (2, output), (FOLDER_FD, ended_in)):
                os.dup2(source, target)
            os.chdir(folder)
            os.execvp("bash", [b"bash", b"-c", EXIT_TRAP + command])  # noqa: S606 - text of a person who asked for a shell
        except OSError as error:
            os.write(2, f"bash cannot be started: {error}\n".encode())
        finally:
            os._exit(127)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)  # both do it, so that neither can be too late
    if script >= 0:
        os.close(script)
    return pid


class Session:
    """A conversation: its folder, its file, and the turn that runs in it."""

    def __init__(self, name: str, base: str, path: str) -> None:
        self.name = name
        self.base = base
        self.folder = base
        self.turn: Turn | None = None
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def keep(self, record: Json) -> None:
        """Adds a record to the file. It survives the end of this process, not a power cut."""
        os.write(self._fd, encode(record))

    def records(self) -> Iterator[Json]:
        """All records, without what a crash tore."""
        with open(self._path, "rb") as file:  # noqa: PTH123 - pathlib costs 1 MB
            line = b"\n"
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record
        if not line.endswith(b"\n"):
            os.write(self._fd, b"\n")


class Turn:
    """A prompt at work."""

    def __init__(self, session: Session, request: object, command: str) -> None:
        self.session = session
        self.request = request
        self.command = command
        self.tool = "sh_" + os.urandom(6).hex()
        self.pid = 0
        self.cancelled = False
        self.fds: list[int] = []
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pending = ""
        self.kept = 0
        self.at_line_start = True
        self.flush_at: float | None = None
        self.kill_at: float | None = None

    def kill(self, number: int) -> None:
        """Signals the whole group. Its leader is not reaped yet, so the number is still its own."""
        if self.pid:
            os.killpg(self.pid, number)


def read_now(fd: int) -> bytes:
    """What is in a pipe at this moment; nothing when it is empty."""
    try:
        return os.read(fd, PIPE_BYTES)
    except BlockingIOError:
        return b""
