"""Bridges as people start them, one process each, with a coding agent that does only what is measured."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]

OURS = ""

PROGRAMS = {OURS: ""} | {name: "AgentAPI: " for name in [os.environ.get("AGENTAPI_BIN")] if name}
"""What is measured, ours and, where the environment names it, the one it stands in for; and what its figures' names begin with."""

PEER = (sys.executable, "-m", "bench.bridge_peers")

ANSWER_S = 60.0
"""Seconds until an answer counts as lost."""

END_S = 10.0
"""Seconds that a process has to end by itself."""

LOOK_S = 0.02
"""Seconds between two looks: others need the core more while it starts."""

READ_BYTES = 1 << 16

_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))
"""Below those that the kernel gives to whoever connects somewhere: they stay free until a bridge listens."""

Kind = Literal["acp", "terminal"]


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    name: str
    data: bytes


class Stream:
    """An answer of server-sent events, read as it comes."""

    def __init__(self, port: int, path: str) -> None:
        self._line = HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
        self._line.request("GET", path)
        self._response = self._line.getresponse()
        if self._response.status != 200:
            raise RuntimeError(f"{path} answered {self._response.status}")
        self._events = self._read()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def _read(self) -> Iterator[Event]:
        rest = b""
        while piece := self._response.read1(READ_BYTES):
            *frames, rest = (rest + piece).split(b"\n\n") if b"\n\n" in piece else [rest + piece]
            for frame in frames:
                fields = dict(line.partition(b": ")[::2] for line in frame.split(b"\n"))
                yield Event(fields.get(b"event", b"").decode(), fields.get(b"data", b""))
        raise RuntimeError("the stream has ended")

    def close(self) -> None:
        """Hangs up."""
        self._response.close()
        self._line.close()


@dataclass(slots=True)
class Bridge:
    """A bridge that runs, and one kept-alive connection to it."""

    process: subprocess.Popen[bytes]
    port: int
    line: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.line = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)

    def get(self, path: str) -> bytes:
        """The body of the answer to a GET."""
        self.line.request("GET", path)
        return self._answer()

    def post(self, content: str, kind: str = "user") -> None:
        """Sends a message, but does not read the answer to it."""
        body = json.dumps({"type": kind, "content": content})
        self.line.request("POST", "/message", body, {"Content-Type": "application/json"})

    def posted(self) -> None:
        """The message was taken. Raises RuntimeError."""
        self._answer()

    def _answer(self) -> bytes:
        response = self.line.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"the bridge answered {response.status}: {body!r}")
        return body

    def wait_stable(self) -> None:
        """It takes a message."""
        self._wait_for({"stable"})

    def wait_up(self) -> None:
        """It answers."""
        self._wait_for({"stable", "running"})

    def _wait_for(self, words: Container[str]) -> None:
        """Its status is one of these. Raises TimeoutError, or RuntimeError when it has ended."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the bridge has ended with {self.process.returncode}")
            try:
                if json.loads(self.get("/status"))["status"] in words:
                    return
            except ConnectionRefusedError:
                self.line.close()
            time.sleep(LOOK_S)
        raise TimeoutError(f"the bridge did not get there in {ANSWER_S:.0f} s")


@contextmanager
def bridge(kind: Kind, program: str = OURS) -> Iterator[Bridge]:
    """A bridge that was just started: that program, ours without one. It ends with the context."""
    with tempfile.TemporaryDirectory(prefix="taskyard-bench-") as folder:
        port = _free_port()
        words = [*_words(kind, program, folder), "-p", str(port), "--", *PEER, kind]
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends it by way of this context, with its coding agent
        )
        made = Bridge(process, port)
        with ended(process):
            try:
                yield made
            finally:
                made.line.close()


@contextmanager
def bridges(kind: Kind, count: int, program: str = OURS) -> Iterator[list[Bridge]]:
    """So many at once, each of them stable."""
    with ExitStack() as stack:
        made = [stack.enter_context(bridge(kind, program)) for _ in range(count)]
        stack.callback(_ask_to_end, made)
        for one in made:
            one.wait_stable()
        yield made


def _ask_to_end(made: list[Bridge]) -> None:
    """All at once; each is waited for by its own context."""
    for one in made:
        one.process.terminate()


@contextmanager
def ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """The process is gone after the context, by its own doing if it can be."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def piped() -> Iterator[tuple[int, int]]:
    """The coding agent for ACP with nothing between; what to write to, and what to read from."""
    with subprocess.Popen(
        [*PEER, "acp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=_env()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with ended(process):
            yield process.stdin.fileno(), process.stdout.fileno()


@contextmanager
def in_terminal() -> Iterator[int]:
    """The coding agent in a terminal that nobody looks at; its master."""
    master, slave = os.openpty()
    try:
        process = subprocess.Popen(
            [*PEER, "terminal"], stdin=slave, stdout=slave, env=_env(), start_new_session=True
        )
        os.close(slave)
        with ended(process):
            yield master
    finally:
        os.close(master)


@contextmanager
def loop() -> Iterator[int]:
    """A Python with an event loop in which nothing happens; its number."""
    words = "import asyncio; asyncio.run(asyncio.Event().wait())"
    process = subprocess.Popen([sys.executable, "-c", words], start_new_session=True)
    with ended(process):
        yield process.pid


def cpu_s(pid: int) -> float:
    """Seconds that a process has run on any core, to the nanosecond; utime and stime count 10 ms at a time."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9


def pss_mb(pid: int) -> float:
    """Memory of a process alone, what it shares with others divided among them; in MB of 2**20 bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except ProcessLookupError:
        return 0.0  # it has ended, and only its number is kept
    for line in lines:
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel does not tell how much memory {pid} takes")


def _words(kind: Kind, program: str, folder: str) -> list[str]:
    """Program and flags; those that both programs know are the same for both."""
    shared = ["server", "--type", "custom", *(["--experimental-acp"] if kind == "acp" else [])]
    if program:
        return [program, *shared]
    own = ["--state-dir", folder, *(["--transport", "pty"] if kind == "terminal" else [])]
    return [sys.executable, "-m", "taskyard_agent", *shared, *own]


def _env() -> Mapping[str, str]:
    """What is there, but for settings of a bridge."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTAPI_")}
    return kept | {"PYTHONPATH": str(ROOT)}


def _free_port() -> int:
    """A port that nobody has, each time another one."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
