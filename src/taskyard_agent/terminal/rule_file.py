"""What a file of rules may say, and how it is read. One file per type stands in the folder `rules`."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from taskyard_agent.terminal.boxes import BOXES

FOLDER: Final = Path(__file__).with_name("rules")
"""Where the files of the known types are."""

FALLBACK: Final = "custom"
"""The type whose rules hold for a type without a file."""


class RulesInvalid(ValueError):
    """A file of rules cannot be used; str() names the file, the key and what is wrong with it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"Rules in {path}: {why}.")
        self.path = path


class BoxKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the input box is found. rule: one of boxes.BOXES, asked when `composer` finds nothing."""

    rule: str = "generic"


class EchoKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What belongs to the echo of a prompt beyond its last line; see text.EchoRule."""

    more: int = 0
    closing: str = ""
    elided: str = ""


class ComposerKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pattern: the whole box, over several rows, with a group `text`. empty: texts of an empty one."""

    pattern: str = ""
    empty: list[str] = []


class ReadyKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pattern: on the screen once input is taken. still: standing still with a cursor is enough, N31."""

    pattern: str = ""
    still: bool = False


class BusyKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Signs of work. above, below: rows above the composer, and in it or below. titles: of the window.

    idle_titles: of a program that waits.
    """

    above: list[str] = []
    below: list[str] = []
    titles: list[str] = []
    idle_titles: list[str] = []


class DialogKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Open questions. patterns: over several rows, up to the end of the screen. titles: of the window."""

    patterns: list[str] = []
    titles: list[str] = []


class ScreenKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """header: first rows that change by themselves. edge: what is cut off each row's end.

    volatile: what moves without meaning anything. left_out: what is no part of a message.
    """

    header: int = 0
    edge: str = ""
    volatile: list[str] = []
    left_out: list[str] = []


class ToolKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool's calls; see text.ToolBlock."""

    start: list[str]
    end: list[str] = []
    before: str = ""
    open_too: bool = False


class HideKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How any tool's call begins, with {name} for the tool's, and the first line behind it. N36."""

    start: str = ""
    before: str = ""


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rules as it is written. Patterns are regular expressions, `^` and `$` at every row."""

    box: BoxKeys = BoxKeys()
    echo: EchoKeys = EchoKeys()
    composer: ComposerKeys = ComposerKeys()
    ready: ReadyKeys = ReadyKeys()
    busy: BusyKeys = BusyKeys()
    dialog: DialogKeys = DialogKeys()
    screen: ScreenKeys = ScreenKeys()
    tools: list[ToolKeys] = []
    hide: HideKeys = HideKeys()


@cache
def shipped(kind: str) -> RuleFile:
    """The rules of a known type; of any other, those of a custom program."""
    path = FOLDER / f"{kind}.toml"
    return read(path if path.is_file() else FOLDER / f"{FALLBACK}.toml")


def read(path: Path) -> RuleFile:
    """The rules of a file. Raises RulesInvalid."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RulesInvalid(path, f"the file cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RulesInvalid(path, f"it is not TOML ({error})") from error
    try:
        found = msgspec.convert(raw, RuleFile)
    except msgspec.ValidationError as error:
        raise RulesInvalid(path, _told(str(error))) from error
    _check(path, found)
    return found


def _told(said: str) -> str:
    what, _, where = said.partition(" - at `$")
    key = where.strip("`.")
    unknown = re.search(r"unknown field `(.+?)`", what)
    if unknown:
        full = f"{key}.{unknown[1]}" if key else unknown[1]
        return f"there is no key `{full}`"
    return f"`{key}`: {what[:1].lower()}{what[1:]}"


def _check(path: Path, found: RuleFile) -> None:
    if found.box.rule not in BOXES:
        raise RulesInvalid(path, f"`box.rule` is `{found.box.rule}`, not one of {', '.join(BOXES)}")
    for key, pattern in patterns_of(found):
        try:
            compiled = re.compile(pattern.replace("{name}", "x"), re.MULTILINE)
        except re.error as error:
            raise RulesInvalid(path, f"`{key}` is no regular expression ({error})") from error
        if key == "composer.pattern" and "text" not in compiled.groupindex:
            raise RulesInvalid(path, "`composer.pattern` has no group `text`, as in (?P<text>.*)")


def patterns_of(found: RuleFile) -> list[tuple[str, str]]:
    """Every pattern of a file with its key, the empty ones left out."""
    single = {
        "composer.pattern": found.composer.pattern,
        "echo.elided": found.echo.elided,
        "ready.pattern": found.ready.pattern,
        "screen.edge": found.screen.edge,
        "hide.start": found.hide.start,
        "hide.before": found.hide.before,
    }
    many = {
        "composer.empty": found.composer.empty,
        "busy.above": found.busy.above,
        "busy.below": found.busy.below,
        "busy.titles": found.busy.titles,
        "busy.idle_titles": found.busy.idle_titles,
        "dialog.patterns": found.dialog.patterns,
        "dialog.titles": found.dialog.titles,
        "screen.volatile": found.screen.volatile,
        "screen.left_out": found.screen.left_out,
    }
    for at, tool in enumerate(found.tools):
        many[f"tools[{at}].start"] = tool.start
        many[f"tools[{at}].end"] = tool.end
        single[f"tools[{at}].before"] = tool.before
    listed = [(f"{key}[{at}]", one) for key, all_ in many.items() for at, one in enumerate(all_)]
    return [(key, pattern) for key, pattern in [*single.items(), *listed] if pattern]
