"""The screens that were recorded of real programs; see screens/MANIFEST.md."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.terminal.reply import Look

FOLDER = Path(__file__).with_name("screens")

TYPES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))

ALTERNATE = {"codex", "copilot", "opencode"}
"""Types that draw on the second screen, off which nothing scrolls."""


@dataclass(frozen=True)
class Recorded:
    """One screen; text is its rows joined by LF, the blank ones at the end included."""

    kind: str
    name: str
    title: str
    cursor: tuple[int, int, bool]
    text: str

    @property
    def look(self) -> Look:
        rows = tuple(self.text.split("\n"))
        return Look(rows, self.cursor, alternate=self.kind in ALTERNATE)


@dataclass(frozen=True)
class Turn:
    """What the bridge should make of a screen."""

    kind: str
    screen: str
    user: str
    text: str
    before: str = ""
    typed: str = ""
    hidden: int = 0


def recorded(kind: str, name: str) -> Recorded:
    head, _, body = (FOLDER / kind / f"{name}.txt").read_text(encoding="utf-8").partition("---\n")
    facts = dict(line.split(":", 1) for line in head.splitlines())
    column, row, shown = facts["cursor"].split()
    cursor = (int(column), int(row), shown == "shown")
    return Recorded(kind, name, facts["title"].strip(), cursor, body.removesuffix("\n"))


def named(*names: str) -> list[tuple[str, str]]:
    """Every recorded screen with one of these names, as (type, name)."""
    return [
        (kind, path.stem)
        for kind in TYPES
        for path in sorted((FOLDER / kind).glob("*.txt"))
        if path.stem in names
    ]


def turns() -> list[Turn]:
    return [
        Turn(kind, **turn)
        for kind in TYPES
        for turn in tomllib.loads((FOLDER / kind / "expected.toml").read_text(encoding="utf-8"))[
            "turn"
        ]
    ]
