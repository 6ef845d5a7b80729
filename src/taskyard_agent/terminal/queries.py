"""What a program asks of its terminal, and tells it, beside text: found in the stream, piece by piece.

An emulator that only draws leaves all this aside. Programs that ask for the cursor and get no answer
give up, so the answers are made here. Source: N24.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

HELD_CHARS = 8 * 1024
"""Characters of an unfinished sequence that wait for their end; a longer one is drawn unread."""

TITLE_CHARS = 256
"""Characters of a window title that are kept: what a title bar could show."""

_KNOWN = (
    # Colours are most of what there is: those are passed over first.
    r"\x1b(?!\[[\d;]*m)(?:"
    r"\[(?P<private>[?>]?)(?P<params>[\d;:]*)(?P<final>\$p|[ncquhlJ])"
    r"|\](?P<osc>[^\x07\x1b]*)(?P<end>\x07|\x1b\\)"
    r"|(?P<reset>c))"
)
_SEQUENCE = re.compile(_KNOWN)
_SEQUENCE_OR_BELL = re.compile(rf"{_KNOWN}|(?P<bell>\x07)")
"""The sequences that mean something here; a bell only where it does not end another one.

The first is seven times as fast, as it can leap from one escape to the next.
"""

_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?)?\Z")


class Ask(StrEnum):
    """A question that has to be answered by the terminal, or an order that is kept track of."""

    STATUS = "status"
    CURSOR = "cursor"
    CURSOR_PRIVATE = "cursor_private"
    DEVICE = "device"
    DEVICE_MORE = "device_more"
    VERSION = "version"
    KEYBOARD = "keyboard"
    FOREGROUND = "foreground"
    BACKGROUND = "background"
    MODE = "mode"
    MODE_PRIVATE = "mode_private"
    ERASE = "erase"
    """What scrolled off is forgotten: mostly before all of it is printed again. No answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; detail: the mode asked for, or how an answer that is a string has to end."""

    ask: Ask
    detail: str = ""


_CSI_ASKS = {
    ("", "5", "n"): Ask.STATUS,
    ("", "6", "n"): Ask.CURSOR,
    ("?", "6", "n"): Ask.CURSOR_PRIVATE,
    ("", "", "c"): Ask.DEVICE,
    ("", "0", "c"): Ask.DEVICE,
    (">", "", "c"): Ask.DEVICE_MORE,
    (">", "0", "c"): Ask.DEVICE_MORE,
    (">", "", "q"): Ask.VERSION,
    (">", "0", "q"): Ask.VERSION,
    ("?", "", "u"): Ask.KEYBOARD,
    ("", "3", "J"): Ask.ERASE,
}

_OSC_ASKS = {"10;?": Ask.FOREGROUND, "11;?": Ask.BACKGROUND}

_FIXED = {
    Ask.STATUS: "\x1b[0n",
    Ask.DEVICE: "\x1b[?1;2c",
    Ask.DEVICE_MORE: "\x1b[>0;10;1c",
    Ask.VERSION: "\x1bP>|taskyard\x1b\\",
    Ask.KEYBOARD: "\x1b[?0u",
    Ask.ERASE: "",
}


def answer(asked: Asked, column: int, row: int) -> bytes:
    """What the terminal says; column and row of the cursor count from 0."""
    match asked.ask:
        case Ask.CURSOR:
            said = f"\x1b[{row + 1};{column + 1}R"
        case Ask.CURSOR_PRIVATE:
            said = f"\x1b[?{row + 1};{column + 1}R"
        case Ask.FOREGROUND:
            said = f"\x1b]10;rgb:ffff/ffff/ffff{asked.detail}"
        case Ask.BACKGROUND:
            said = f"\x1b]11;rgb:0000/0000/0000{asked.detail}"
        case Ask.MODE:
            said = f"\x1b[{asked.detail};0$y"
        case Ask.MODE_PRIVATE:
            said = f"\x1b[?{asked.detail};0$y"
        case fixed:
            said = _FIXED[fixed]
    return said.encode()


@dataclass(slots=True)
class Modes:
    """What the program told its terminal so far.

    title: of the window. progress: the last OSC 9;4 without its first words, empty for none.
    bells, resets: how often it rang, and was reset.
    """

    bracketed_paste: bool = False
    alternate: bool = False
    synchronized: bool = False
    title: str = ""
    progress: str = ""
    bells: int = 0
    resets: int = 0

    @property
    def screen(self) -> tuple[bool, int]:
        """Another value for each screen that was switched to."""
        return self.alternate, self.resets

    def reset(self) -> None:
        """As after a full reset of the terminal; the title stays."""
        self.resets += 1
        self.bracketed_paste = self.alternate = self.synchronized = False

    def switch(self, params: str, *, on: bool) -> None:
        """Private modes were set or reset."""
        for number in params.split(";"):
            match number:
                case "2004":
                    self.bracketed_paste = on
                case "47" | "1047" | "1049":
                    self.alternate = on
                case "2026":
                    self.synchronized = on
                case _:
                    pass

    def told(self, osc: str) -> None:
        """An operating system command."""
        number, _, text = osc.partition(";")
        if number in ("0", "2"):
            self.title = text[:TITLE_CHARS]
        elif number == "9" and (text == "4" or text.startswith("4;")):
            state = text.removeprefix("4").removeprefix(";")[:TITLE_CHARS]
            self.progress = "" if state.partition(";")[0] in ("", "0") else state


@dataclass(slots=True)
class Scanner:
    """Cuts a stream of text at its questions, and keeps up with the modes."""

    modes: Modes = field(default_factory=Modes)
    _held: str = ""

    def scan(self, text: str) -> Iterator[tuple[str, Asked | None]]:
        """Pieces to draw, each with the question that stands at its end, None for none.

        Together they are the text; an unfinished sequence at its end waits for more of it. Another
        piece also begins where the screen is switched: the emulator forgets what scrolled off before.
        """
        text = self._held + text
        unfinished = _UNFINISHED.search(text, max(0, len(text) - HELD_CHARS))
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        start = 0
        known = _SEQUENCE_OR_BELL if "\x07" in text else _SEQUENCE
        for found in known.finditer(text, 0, end):
            before = self.modes.screen
            asked = self._see(found)
            if self.modes.screen != before and start < found.start():
                yield text[start : found.start()], None
                start = found.start()
            if asked is not None:
                yield text[start : found.end()], asked
                start = found.end()
        if start < end:
            yield text[start:end], None

    def _see(self, found: re.Match[str]) -> Asked | None:
        if found[0] == "\x07":
            self.modes.bells += 1
        elif found["reset"] is not None:
            self.modes.reset()
        elif found["osc"] is not None:
            ask = _OSC_ASKS.get(found["osc"])
            if ask is not None:
                return Asked(ask, found["end"])
            self.modes.told(found["osc"])
        else:
            return self._control(found["private"], found["params"], found["final"])
        return None

    def _control(self, private: str, params: str, final: str) -> Asked | None:
        if final in "hl":
            if private == "?":
                self.modes.switch(params, on=final == "h")
            return None
        if final == "$p":
            return Asked(Ask.MODE_PRIVATE if private == "?" else Ask.MODE, params)
        ask = _CSI_ASKS.get((private, params, final))
        return None if ask is None else Asked(ask)
