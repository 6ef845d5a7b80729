"""How long sending waits for what, on a clock that only goes on while everybody waits. Source: A32-A34, N32."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_sender import Sender
from taskyard_agent.terminal.child import PtyChild
from taskyard_agent.terminal.reply import Reply
from taskyard_agent.terminal.rules import Rules, rules_of
from taskyard_agent.terminal.screen import Screen
from taskyard_agent.terminal.watch import Watch

DEFAULTS = TerminalOptions()

CLEAR = "\x15"

STEP_S = 1e-6
"""Seconds that pass in any case: with none at all, a wait for the smallest rest would never end."""

LOOK_S = 0.05
"""Seconds within which output is looked at. Source: A16."""

MARKED = r"""
[composer]
pattern = '^>(?P<text>.*)\Z'
"""


class Waiting(selectors.DefaultSelector):
    """Waits for nothing: the time that would have passed is over at once."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "nothing will ever happen"
            self.passed_s += max(timeout, STEP_S)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is what it would have waited."""

    def __init__(self) -> None:
        self.waiting = Waiting()
        super().__init__(self.waiting)

    def time(self) -> float:
        return self.waiting.passed_s


@dataclass
class Acts:
    """What a program does. echo_s: until it shows what is typed; null: it never does.

    ticks_s: it shows something else so often from then on. takes: the press of Enter that it reacts to,
    reacts_s after it; null: to none.
    """

    echo_s: float | None = None
    ticks_s: float | None = None
    takes: int | None = 1
    reacts_s: float = 0.1


class Program(PtyChild):
    """A program that acts on the loop's clock, without a process; what it was sent, and when."""

    def __init__(self, acts: Acts) -> None:
        self.acts = acts
        self.sent: list[tuple[float, bytes]] = []
        self.show: Callable[[str], object] = str

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time(), data))
        if data != b"\r":
            if self.acts.echo_s is not None:
                loop.call_later(self.acts.echo_s, self.echo, data.decode(), 0)
        elif len(self.presses) == self.acts.takes:
            loop.call_later(self.acts.reacts_s, self.show, "hello\r\nWell, hello!\r\n> ")

    def echo(self, text: str, ticks: int) -> None:
        """It shows what was typed, and other things as long as nobody presses Enter."""
        self.show(("." * ticks) + f"\r\n> {text}")
        if self.acts.ticks_s is not None and not self.presses:
            asyncio.get_running_loop().call_later(self.acts.ticks_s, self.echo, text, ticks + 1)

    def reply(self, data: bytes) -> None:
        self.sent.append((asyncio.get_running_loop().time(), data))

    def forget_unwritten(self) -> None:
        """It has read everything."""

    @property
    def presses(self) -> list[float]:
        """When Enter was pressed."""
        return [at for at, data in self.sent if data == b"\r"]


@dataclass
class Sent:
    """What came of a message. end_s: when sending had ended; taken: the program reacted."""

    end_s: float
    presses: list[float]
    last: bytes
    refused: Refused | None = None
    typed: list[str] = field(default_factory=list)
    text: str = ""


async def sent(rules: Rules, acts: Acts) -> Sent:
    """Types `hello` to such a program, with the waits that a user gets who asks for no others."""
    program = Program(acts)
    watch = Watch(Screen(80, 24), rules, lambda: None, stable_after_s=DEFAULTS.stable_after_s)
    program.show = lambda text: watch.feed(b"\x1b[2J\x1b[H" + text.encode())
    program.show("> ")
    await asyncio.sleep(LOOK_S)
    loop, refused = asyncio.get_running_loop(), None
    sender = Sender(program, watch, DEFAULTS, clear=CLEAR, check=lambda: None)
    reply = Reply(rules, "hello", watch.look())
    begin = loop.time()
    try:
        await sender.send("hello", reply)
    except Refused as error:
        refused = error
    found = Sent(loop.time() - begin, [at - begin for at in program.presses], program.sent[-1][1])
    found.refused, found.typed, found.text = refused, list(reply._typed), reply.text(watch.look())
    watch.close()
    return found


def run(work: Coroutine[object, object, Sent]) -> Sent:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


@pytest.fixture
def marked(tmp_path: Path) -> Rules:
    """Rules that know where prompts are typed."""
    path = tmp_path / "rules.toml"
    path.write_text(MARKED)
    return rules_of("custom", path)


def about(seconds: float) -> object:
    """That long, and at most two looks longer."""
    return pytest.approx(seconds + LOOK_S, abs=LOOK_S)


def test_A32_A33_the_waits() -> None:
    """What a user gets who asks for nothing: 2 s for an echo that stands 0.15 s, 15 s to react, Enter each 3 s."""
    assert (DEFAULTS.echo_s, DEFAULTS.quiet_s) == (2.0, 0.15)
    assert (DEFAULTS.reaction_s, DEFAULTS.repeat_s) == (15.0, 3.0)


@pytest.mark.parametrize(
    ("acts", "press_s"),
    [
        (Acts(echo_s=0.01), 0.01 + 0.15),
        (Acts(echo_s=1.0), 1.0 + 0.15),
        (Acts(echo_s=0.5, ticks_s=0.1), 2.0),
        (Acts(echo_s=0.5, ticks_s=0.4), 0.5 + 0.15),
        (Acts(echo_s=2.5), 2.0),
        (Acts(echo_s=None), 2.0),
    ],
)
def test_A32_when_enter_is_pressed(marked: Rules, acts: Acts, press_s: float) -> None:
    """Once what was typed is shown and stands still, after 2 s in any case; that is no error."""
    found = run(sent(marked, acts))
    assert found.presses == [about(press_s)]
    assert found.refused is None


@pytest.mark.parametrize("takes", [1, 2, 4])
def test_A33_enter_is_pressed_again_while_the_text_stands_there(marked: Rules, takes: int) -> None:
    """Every 3 s, until the program reacts; then the message was taken."""
    found = run(sent(marked, Acts(echo_s=0.1, takes=takes, reacts_s=0.2)))
    assert found.refused is None
    first = found.presses[0]
    assert found.presses == [about(first + 3.0 * at - LOOK_S) for at in range(takes)]
    assert found.end_s == about(found.presses[-1] + 0.2)


def test_A33_fifteen_seconds_without_a_reaction(marked: Rules) -> None:
    """Then the message failed, after five presses, and what was typed is taken out again."""
    found = run(sent(marked, Acts(echo_s=0.1, takes=None)))
    assert found.refused is not None
    assert found.refused.code == "timeout"
    assert len(found.presses) == 5
    assert found.end_s - found.presses[0] == pytest.approx(15.0, abs=LOOK_S)
    assert found.last == CLEAR.encode()


def test_A33_enter_is_not_repeated_where_nothing_is_seen_to_stand() -> None:
    """Of a program whose composer nobody knows it would answer what comes next; the 15 s are the same."""
    found = run(sent(rules_of("custom"), Acts(echo_s=0.1, takes=None)))
    assert found.refused is not None
    assert len(found.presses) == 1
    assert found.end_s - found.presses[0] == pytest.approx(15.0, abs=LOOK_S)


@pytest.mark.parametrize("late_s", [0.2, 5.0, 14.9])
def test_A33_a_late_reaction_counts(late_s: float) -> None:
    """Any change within the 15 s is a reaction."""
    found = run(sent(rules_of("custom"), Acts(echo_s=0.1, reacts_s=late_s)))
    assert found.refused is None
    assert found.end_s - found.presses[0] == about(late_s)


@pytest.mark.parametrize(("echo_s", "least_s"), [(0.1, 0.25), (None, 2.0)])
def test_A34_taken_after_the_reaction_without_the_echo(
    marked: Rules, echo_s: float | None, least_s: float
) -> None:
    """Sending ends after both waits; what was shown before it is no part of the reply, nor is the echo."""
    found = run(sent(marked, Acts(echo_s=echo_s, reacts_s=1.0)))
    assert found.end_s == about(least_s + 1.0)
    assert bool(found.typed) is (echo_s is not None)
    assert found.text == "Well, hello!"
