"""What commands print: data on stdout as a table or JSON, everything else on stderr, never in colour."""

import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO, TypeVar

import click
import msgspec

from taskyard.cli.failures import USAGE, Failure
from taskyard.wire.base import ZERO_TIME

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

Column = Callable[[T], str]

MAX_CELL = 60
"""Characters of a cell in a table; with -o json nothing is cut."""

MAX_LINE: Final = 300
"""Characters of a value that has a line of its own."""

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text from elsewhere without what a terminal would obey; line ends and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, limit: int = MAX_CELL) -> str:
    """The beginning of a text on one line of so many characters."""
    words = " ".join(plain(text).split())
    return words if len(words) <= limit else f"{words[: limit - 3]}..."


def at(moment: datetime | msgspec.UnsetType | None) -> str:
    """A time to the second in UTC; nothing for none."""
    if not isinstance(moment, datetime) or moment == ZERO_TIME:
        return ""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def print_json(value: object) -> None:
    """Prints a value of the wire as JSON that people can read too."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(rows: Sequence[T], columns: Mapping[str, Column[T]], chosen: Sequence[str]) -> None:
    """Prints aligned columns under their names."""
    lines = [[name.replace("_", " ").upper() for name in chosen]]
    lines += [[one_line(columns[name](row)) for name in chosen] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(chosen))]
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def print_list(
    found: Sequence[T],
    columns: Mapping[str, Column[T]],
    chosen: Sequence[str],
    *,
    output: str,
    empty: str,
    quiet: bool = False,
) -> None:
    """Prints what a command found: the first column alone when quiet, else JSON, a table, or that there is nothing."""
    if quiet:
        ids = next(iter(columns.values()))
        for row in found:
            print(ids(row))
    elif output == "json":
        print_json(found)
    elif not found:
        note(empty)
    else:
        print_table(found, columns, chosen)


def print_facts(facts: Mapping[str, str], width: int = 16) -> None:
    """Prints each value on a line of its own behind its name."""
    for label, value in facts.items():
        print(f"{label.replace('_', ' '):<{width}}{one_line(value, MAX_LINE)}".rstrip())


output_option = click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)
ids_option = click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def columns_option(names: Collection[str], shown: Sequence[str]) -> Callable[[F], F]:
    """The option `-c a,b`, which raises BadParameter naming the columns there are."""
    return click.option(
        "-c",
        "--column",
        "columns",
        metavar="NAME,...",
        callback=_choose_columns(names, shown),
        help=f"Columns of the table, of: {', '.join(names)}.",
    )


def with_owner(columns: list[str], shown: Sequence[str]) -> list[str]:
    """The columns for a list of many people's things: with the owner, unless columns were chosen."""
    return ["owner", *columns] if columns == list(shown) else columns


def _choose_columns(
    names: Collection[str], default: Sequence[str]
) -> Callable[[click.Context, click.Parameter, str | None], list[str]]:

    def read(_ctx: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
        if value is None:
            return list(default)
        wanted = [part.strip().lower().replace(" ", "_") for part in value.split(",")]
        for name in wanted:
            if name not in names:
                raise click.BadParameter(
                    f"there is no column {name!r}; the columns are {', '.join(names)}"
                )
        return wanted

    return read


def confirm(question: str, *, yes: bool) -> None:
    """Nothing when the person agrees. Raises Failure on no, and where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        hint = "To go on without being asked, say --yes."
        raise Failure(f"nobody is here to answer: {question}", hint=hint, status=USAGE)
    if not click.confirm(question, err=True):
        raise Failure("that was no; nothing was changed.")


def note(text: str) -> None:
    """Says something on stderr."""
    click.echo(plain(text), err=True)


class Progress:
    """What a command waits for, on stderr: one line that changes on a terminal, else a line for each change."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._began = time.monotonic()
        self._last = ""

    @property
    def is_live(self) -> bool:
        """Whether there is a line that changes."""
        return self._live

    def show(self, text: str) -> None:
        """What goes on now, with the seconds since the start."""
        elapsed = f" ({int(time.monotonic() - self._began)} s)"
        if self._live:
            # Imported on use: most commands show no progress, and it is slow to import.
            from shutil import get_terminal_size

            room = get_terminal_size().columns - len(elapsed) - 1
            self._stream.write(f"\r\x1b[2K{one_line(text, max(room, 3))}{elapsed}")
            self._stream.flush()
        elif text != self._last:
            self._stream.write(f"{plain(text)}{elapsed}\n")
        self._last = text

    def line(self, text: str) -> None:
        """Something to keep in sight."""
        self.clear()
        self._stream.write(f"{plain(text)}\n")

    def clear(self) -> None:
        """Takes the changing line away."""
        if self._live and self._last:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._last = ""
