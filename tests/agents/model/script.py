"""What a scripted model does, written into the prompt: one directive a line, between any other words.

    say: TEXT            words of the answer, before the next call or at the end
    shell: COMMAND       a call of the program's shell tool
    write: PATH TEXT     a call of its tool for files, by the shell where it has none; \\n is a new line
    tool: NAME {JSON}    a call of a tool by the end of its name, for example of an MCP server
    delay: SECONDS       a pause before the next answer begins
    gate: NAME           the next answer begins when the test opens the gate
    error: STATUS [N]    an HTTP error in its place, N times, for ever without N

A call ends a step: each step is one answer of the model. Which one is due follows from what the
request holds, so a program may repeat, resume, or be one of many, and nothing is mixed up.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

DONE = "Done."
"""What the model says when the script has nothing more for it."""

ALWAYS = 10**9
"""Times that stand for ever."""

_LINE = re.compile(r"\s*(say|shell|write|tool|delay|gate|error): ?(.*)")
_ADDED = re.compile(r"<([A-Za-z_-]+)\b[^>]*>.*?</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shell:
    """Run a line in the workspace."""

    command: str


@dataclass(frozen=True, slots=True)
class Write:
    """Make a file."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """Call a tool with these arguments; name may be the end of its name."""

    name: str
    arguments: dict[str, object]


Call = Shell | Write | Tool


@dataclass(frozen=True, slots=True)
class Failure:
    """Answer with an HTTP status, so many times."""

    status: int
    times: int


@dataclass(frozen=True, slots=True)
class Step:
    """One answer. before: what holds it up."""

    text: str = ""
    call: Call | None = None
    delay_s: float = 0
    gate: str | None = None
    failure: Failure | None = None

    @property
    def plain(self) -> bool:
        """Whether it is words and nothing else."""
        return self == Step(self.text)


@dataclass(slots=True)
class _Reading:
    """The step that is being read."""

    step: Step = field(default_factory=Step)

    def take(self, word: str, rest: str) -> Step | None:
        """The step, if this ends it."""
        match word:
            case "say":
                self.step = replace(self.step, text=f"{self.step.text} {rest}".strip())
            case "delay":
                self.step = replace(self.step, delay_s=float(rest))
            case "gate":
                self.step = replace(self.step, gate=rest.strip())
            case "error":
                status, *times = rest.split()
                failure = Failure(int(status), int(times[0]) if times else ALWAYS)
                self.step = replace(self.step, failure=failure)
            case _:
                whole, self.step = replace(self.step, call=_call(word, rest)), Step()
                return whole
        return None


def human(text: str) -> str:
    """What a person said: without the blocks that programs put around and between it."""
    return _ADDED.sub("", text).strip()


def script_of(prompt: str) -> tuple[Step, ...]:
    """The answers to a prompt, the last one without a call; just DONE without directives."""
    steps = list(_steps(prompt))
    last = steps.pop()
    if not last.text and last.failure is None:
        last = replace(last, text=DONE)
    return (*steps, last)


def _steps(prompt: str) -> Iterator[Step]:
    reading = _Reading()
    for line in prompt.splitlines():
        if (found := _LINE.fullmatch(line)) is not None:
            whole = reading.take(found[1], found[2])
            if whole is not None:
                yield whole
    yield reading.step


def _call(word: str, rest: str) -> Call:
    name, _, more = rest.partition(" ")
    match word:
        case "shell":
            return Shell(rest)
        case "write":
            return Write(name, more.replace("\\n", "\n"))
        case _:
            arguments = json.loads(more or "{}")
            assert isinstance(arguments, dict)
            return Tool(name, arguments)
