"""Help is quick and whole, and the page of commands says the same."""

import re
import subprocess
from collections.abc import Iterator

import click
import pytest

from taskyard.cli.main import cli, run
from tests.cli.conftest import PROGRAM, Program
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "reference" / "cli.md"

SLOW = {"aiohttp", "asyncpg", "rich", "msgspec", "http.client", "websockets", "taskyard.sdk"}
"""What help must not import; each takes longer than all the rest of it."""


def commands(group: click.Group, name: str = "taskyard") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield f"{name} {word}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")


COMMANDS = dict(commands(cli))

SHOWN = re.compile(r"(?m)(?:^(?:\$ )?|`)taskyard((?: [a-z][a-z-]*)+)")
"""A command in a page, at the beginning of a line or of what is set as code."""


def test_help_imports_little() -> None:
    """`--help` answers without the packages that commands need."""
    done = subprocess.run(
        [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported & SLOW == set()
    assert "Exit status: 0 done" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """Each command says what it does, and so does each option that is shown."""
    command = COMMANDS[name]
    text = command.get_help(click.Context(command, info_name=name))
    assert command.help
    assert name in text
    silent = [
        option.opts
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    assert not silent


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_on_the_page(name: str) -> None:
    """docs/reference/cli.md has a part for each command that names all of its options."""
    command = COMMANDS[name]
    if not runs_alone(command):
        return
    parts = re.split(r"(?m)^### ", PAGE.read_text(encoding="utf-8"))
    found = [part for part in parts if re.match(rf"`{name}(`| [^a-z])", part)]
    assert len(found) == 1, f"{PAGE.name} needs one heading for {name}"
    missing = [
        word
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for word in (*option.opts, *option.secondary_opts)
        if f"`{word}" not in found[0] and f"{word}`" not in found[0]
    ]
    assert not missing, f"{name}: {missing}"


def test_the_page_has_no_other_commands() -> None:
    """What the page shows is there."""
    shown = re.findall(r"(?m)^### `(taskyard(?: [a-z-]+)+)", PAGE.read_text(encoding="utf-8"))
    assert set(shown) == {n for n, c in COMMANDS.items() if runs_alone(c)}


def test_every_command_that_a_page_names_is_there() -> None:
    """Where a page for people shows a command, each of its words leads to one."""
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
    unknown = []
    for page in pages:
        for line in SHOWN.findall(page.read_text(encoding="utf-8")):
            name = "taskyard"
            for word in line.split():
                name = f"{name} {word}"
                if name not in COMMANDS:
                    unknown.append(f"{page.name}: {name}")
                if not isinstance(COMMANDS.get(name), click.Group):
                    break
    assert unknown == []


def runs_alone(command: click.Command) -> bool:
    """Whether it does something without a further word."""
    return not isinstance(command, click.Group) or command.invoke_without_command


@pytest.mark.parametrize("arguments", [("nonsense",), ("task", "nonsense"), ("task", "list", "-x")])
def test_wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that makes no sense ends with 2, and says where the help is."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "--help" in said.err


def test_a_version(stranger: Program) -> None:
    """--version prints one line."""
    assert len(stranger.good("--version").splitlines()) == 1
