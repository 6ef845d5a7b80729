"""What stands between a person and a coding agent: how quick it is, and what it costs."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from threading import Event

from bench import bridge_idle
from bench.bridged import (
    ANSWER_S,
    PROGRAMS,
    READ_BYTES,
    Bridge,
    Stream,
    bridge,
    in_terminal,
    piped,
)
from bench.measure import Figure, figure, interleave

QUESTION = (
    "How long do messages, updates and output take through the bridge, beside the same coding agent "
    "on a bare pipe or terminal, and what does a bridge cost that has nothing to do? "
    + (
        "AgentAPI, the bridge that this one stands in for, beside it."
        if len(PROGRAMS) > 1
        else "Without AgentAPI, the bridge that this one stands in for: AGENTAPI_BIN names none."
    )
)

PAUSE_S = 0.005
"""Seconds between two questions for the status: as impatient as a program may be."""

CALM_S = 0.5
"""Seconds for which the status is asked of a bridge that does nothing else."""

READY, MARK = b"ready", b"END OF OUTPUT"
"""What the coding agent shows before and after its output."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. sessions: terminal sessions at once, as many as one person may have left open."""

    prompts: int
    rounds: int
    updates: int
    output_bytes: int
    sessions: int
    idle_s: float


FULL = Plan(200, 3, updates=20_000, output_bytes=10_000_000, sessions=20, idle_s=20.0)
QUICK = Plan(10, 1, updates=500, output_bytes=1_000_000, sessions=3, idle_s=1.0)


@dataclass(slots=True)
class _Row:
    """Samples in seconds by name, and by which other name's they are judged."""

    times: dict[str, list[float]] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, samples: list[float], floor: str | None = None) -> None:
        self.times.setdefault(name, []).extend(samples)
        if floor is not None:
            self.floors[name] = floor

    def figures(self) -> list[Figure]:
        return [figure(name, took, self._floor(name)) for name, took in self.times.items()]

    def _floor(self, name: str) -> tuple[str, list[float]] | None:
        floor = self.floors.get(name)
        return None if floor is None else (floor, self.times[floor])


def measure(*, quick: bool) -> list[Figure]:
    """Times, then costs."""
    plan = QUICK if quick else FULL
    return [
        *_messages(plan),
        *_updates(plan.rounds, plan.updates),
        *_output(plan.rounds, plan.output_bytes),
        *bridge_idle.measure(plan.sessions, plan.idle_s),
    ]


# messages


def _messages(plan: Plan) -> list[Figure]:
    row = _Row()
    to_agent, and_back = "a line over a bare pipe", "a line and its answer over bare pipes"
    with ExitStack() as stack:
        pipe = stack.enter_context(piped())

        def bare() -> None:
            came_s, took_s = bare_turn(*pipe)
            row.add(to_agent, [came_s])
            row.add(and_back, [took_s])

        def turn(talk: _Talk, whose: str) -> None:
            came_s, took_s = talk.turn()
            row.add(f"{whose}POST /message to its first byte at the agent", [came_s], to_agent)
            name = f"{whose}POST /message to its answer and `stable` in GET /events"
            row.add(name, [took_s], and_back)

        works: list[Callable[[], None]] = [bare]
        for program, whose in PROGRAMS.items():
            talk = _Talk(stack.enter_context(bridge("acp", program)))
            stack.callback(talk.events.close)
            works.append(partial(turn, talk, whose))
        interleave(plan.prompts, *works)
    return row.figures()


class _Talk:
    """Messages to one bridge, one at a time."""

    def __init__(self, made: Bridge) -> None:
        made.wait_stable()
        self._bridge = made
        self.events = Stream(made.port, "/events")
        while next(self.events).name != "status_change":
            pass  # the status ends what everybody is told first

    def turn(self) -> tuple[float, float]:
        """Seconds until the coding agent had the message, and until its answer was here."""
        began_ns = time.monotonic_ns()
        self._bridge.post("stamp")
        came_ns, stable = 0, False
        while not (came_ns and stable):
            event = next(self.events)
            told = json.loads(event.data)
            if event.name == "status_change":
                stable = told["status"] == "stable"
            elif told.get("role") == "agent" and told["message"]:
                came_ns = int(told["message"])
        ended_ns = time.monotonic_ns()
        self._bridge.posted()
        return (came_ns - began_ns) / 1e9, (ended_ns - began_ns) / 1e9


def bare_turn(to_fd: int, from_fd: int) -> tuple[float, float]:
    """Seconds until the coding agent had a message, and until its answer was here, by a bare pipe."""
    began_ns = time.monotonic_ns()
    answer = b"".join(_bare_answer("stamp", to_fd, from_fd))
    ended_ns = time.monotonic_ns()
    came = json.loads(answer.split(b"\n")[0])["params"]["update"]["content"]["text"]
    return (int(came) - began_ns) / 1e9, (ended_ns - began_ns) / 1e9


def _bare_answer(text: str, to_fd: int, from_fd: int) -> Iterator[bytes]:
    """What the coding agent writes until the end of the turn."""
    prompt = {"sessionId": "bench", "prompt": [{"type": "text", "text": text}]}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "session/prompt", "params": prompt}
    os.write(to_fd, json.dumps(asked).encode() + b"\n")
    tail = b""
    while not (b'"stopReason"' in tail and tail.endswith(b"\n")):
        piece = os.read(from_fd, READ_BYTES)
        if not piece:
            raise RuntimeError("the coding agent has ended")
        tail = (tail + piece)[-100:]
        yield piece


# updates


def _updates(rounds: int, count: int) -> list[Figure]:
    """Of our bridge alone: the other one stores nothing, and has no stream of items."""
    row = _Row()
    floor = f"{count:,} updates from a pipe to a file"
    name = f"{count:,} updates, POST /message to the last one stored and in GET /v2/events"
    interleave(
        rounds,
        lambda: row.add(floor, [_bare_updates(count)]),
        lambda: row.add(name, [_bridge_updates(count)], floor),
    )
    return row.figures()


def _bare_updates(count: int) -> float:
    with piped() as (to_fd, from_fd), tempfile.TemporaryFile(buffering=0) as file:
        bare_turn(to_fd, from_fd)  # it has started
        began = time.perf_counter()
        for piece in _bare_answer(f"tools {count}", to_fd, from_fd):
            file.write(piece)
        return time.perf_counter() - began


def _bridge_updates(count: int) -> float:
    last = f'"call-{count - 1}"'.encode()
    with bridge("acp") as made:
        made.wait_stable()
        events = Stream(made.port, "/v2/events")
        began = time.perf_counter()
        made.post(f"tools {count}")
        seen = 0
        for event in events:
            seen += event.name == "tool_call"
            if last in event.data:
                break
        took = time.perf_counter() - began
        made.posted()
        events.close()
    if seen != count:
        raise RuntimeError(f"{seen} of {count} updates came")
    return took


# output


def _output(rounds: int, size: int) -> list[Figure]:
    row = _Row()
    megabytes = f"{size // 1_000_000} MB of output"
    floor = f"{megabytes}, read from a terminal"

    def through(program: str, whose: str) -> None:
        calm = f"{whose}GET /status of a bridge that has nothing else to do"
        with bridge("terminal", program) as made:
            events = _screen(made)
            with _asking(made.port) as calm_s:
                time.sleep(CALM_S)
            with _asking(made.port) as busy_s:
                took = _bridge_output(made, events, size)
            events.close()
        row.add(
            f"{whose}{megabytes}, from the key to its end in GET /internal/screen", [took], floor
        )
        row.add(calm, calm_s)
        row.add(f"{whose}GET /status during the output", busy_s, calm)

    works = [partial(through, program, whose) for program, whose in PROGRAMS.items()]
    interleave(rounds, lambda: row.add(floor, [_bare_output(size)]), *works)
    return row.figures()


def _screen(made: Bridge) -> Stream:
    """What the coding agent's terminal shows; it takes keys by now."""
    made.wait_up()
    events = Stream(made.port, "/internal/screen")
    _wait_shown(events, READY)
    return events


def _wait_shown(events: Stream, text: bytes) -> None:
    for event in events:
        if text in event.data:
            return


def _bridge_output(made: Bridge, events: Stream, size: int) -> float:
    began = time.perf_counter()
    made.post(f"{size}\r", "raw")
    _wait_shown(events, MARK)
    took = time.perf_counter() - began
    made.posted()
    return took


def _bare_output(size: int) -> float:
    with in_terminal() as master:
        _read_until(master, READY)
        began = time.perf_counter()
        os.write(master, b"%d\r" % size)
        _read_until(master, MARK)
        return time.perf_counter() - began


def _read_until(fd: int, text: bytes) -> None:
    tail = b""
    while text not in tail:
        tail = tail[-len(text) :] + os.read(fd, READ_BYTES)


@contextmanager
def _asking(port: int) -> Iterator[list[float]]:
    """Somebody else asks for the status all the time; the seconds that each answer took."""
    took: list[float] = []
    over = Event()

    def ask() -> None:
        line = HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
        while not over.wait(PAUSE_S):
            began = time.perf_counter()
            line.request("GET", "/status")
            line.getresponse().read()
            took.append(time.perf_counter() - began)
        line.close()

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield took
        finally:
            over.set()
    asking.result()
