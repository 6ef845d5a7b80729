"""Writes docs/reference/compatibility.md from the routes, the statements and the tests named by them; `./yard docs` runs it.

A whole run of the tests holds that what it calls works was shown. With --check it writes nothing and exits 1 when the page is stale.
"""

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from taskyard.wire.routes import ROUTES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "compatibility.md"
TESTS = ROOT / "tests"
STATEMENTS = TESTS / "contract" / "statements.toml"
DECLARED = TESTS / "clients" / "compatibility.toml"

NAMED = re.compile(r"\bdef test_((?:[TUSCAND]\d+b?_)+)|\"([TUSCAND]\d+b?)_\w+\"")
"""A test, or a case of one, that is named by statements."""

BRIDGE = "AND"
"""Letters of the statements about the server in a workspace."""

WORKS = "works"
DIFFERS = "differs on purpose"
UNSHOWN = "not shown yet"

HEAD = """\
# Compatibility

What programs written for Coder's Tasks API find here. The page is made by `./yard docs` from the table of routes, the
list of statements, the tests named by statements, and `tests/clients/compatibility.toml`. `./yard test --all` holds it: it
fails in CI when a route that stands here as working gave no success in any test, or when the test of a statement or of a client did not pass.

- **works**: as the contract says, shown by tests.
- **differs on purpose**, **left out**: with the reason, and what a client sees.
- **not shown yet**: no test is named by the statement, built or not.
"""


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program, and how it was run."""

    name: str
    what: str
    run: str


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that a client does and that is not as it expects."""

    client: str
    call: str
    state: str
    why: str
    seen: str


class RouteNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route that is served, but not as upstream."""

    operation: str
    state: str
    why: str


class StatementNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement about upstream that ours does not follow; why names the statements that say what ours does."""

    id: str
    why: str


class Absent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What upstream serves and we do not."""

    path: str
    why: str


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is other than upstream everywhere."""

    what: str
    why: str
    seen: str


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that no test can say."""

    client: list[Client]
    call: list[Call]
    route: list[RouteNote]
    absent: list[Absent]
    difference: list[Difference]
    statement: list[StatementNote]


class Statement(msgspec.Struct, frozen=True):
    """One line of the contract."""

    id: str
    text: str


def declared() -> Declared:
    """What tests/clients/compatibility.toml says."""
    return msgspec.convert(tomllib.loads(DECLARED.read_text(encoding="utf-8")), Declared)


def statements() -> list[Statement]:
    """Every statement, in the order of its list."""
    found = tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))["statement"]
    return msgspec.convert(found, list[Statement])


def named_tests() -> Mapping[str, Sequence[str]]:
    """The files with a test named by a statement, by its id; paths from the root."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for group, case in NAMED.findall(path.read_text(encoding="utf-8")):
            for name in filter(None, [*group.split("_"), case]):
                found[name].add(path.relative_to(ROOT).as_posix())
    return {name: sorted(files) for name, files in found.items()}


def page() -> bytes:
    """The whole page."""
    said = declared()
    parts = [HEAD, "\n## Clients\n\n", clients(said), "\n## What clients find other\n\n"]
    parts += [calls(said), "\n## What is other everywhere\n\n", differences(said)]
    parts += ["\n## Routes\n\n", routes(said), "\n## What is not served\n\n", absences(said)]
    of_bridge = [s for s in statements() if s.id[0] in BRIDGE]
    others = [s for s in statements() if s.id[0] not in BRIDGE]
    parts += ["\n## Statements\n\n", stated(others, said)]
    parts += ["\n## Statements about the server in a workspace\n\n", stated(of_bridge, said)]
    return "".join(parts).encode()


def clients(said: Declared) -> str:
    """A row for each client."""
    rows = []
    for client in said.client:
        odd = [c for c in said.call if c.client == client.name]
        state = WORKS if not odd else f"{WORKS}, but for {len(odd)} below"
        rows.append((client.name, client.what, client.run, state))
    return table(("Client", "What it is", "What is run", "State"), rows)


def calls(said: Declared) -> str:
    """A row for each call that is not as its client expects."""
    head = ("Client", "Call", "State", "Why", "What the client sees")
    return table(head, [(c.client, c.call, c.state, c.why, c.seen) for c in said.call])


def differences(said: Declared) -> str:
    """A row for each thing that is other on every route."""
    rows = [(d.what, DIFFERS, d.why, d.seen) for d in said.difference]
    return table(("What", "State", "Why", "What a client sees"), rows)


def routes(said: Declared) -> str:
    """A row for each route that is served."""
    notes = {note.operation: note for note in said.route}
    rows = []
    for route in ROUTES:
        note = notes.get(route.operation)
        state, why = (note.state, note.why) if note else (WORKS, "as the contract says")
        rows.append((f"`{route.method} {route.path}`", state, why))
    return table(("Route", "State", "How"), rows)


def absences(said: Declared) -> str:
    """A row for each thing that is not served."""
    rows = [(absent.path, "left out", absent.why) for absent in said.absent]
    return table(("What", "State", "Why, and what a client sees"), rows)


def stated(of: Iterable[Statement], said: Declared) -> str:
    """A row for each statement, with the files of the tests named by it."""
    tests = named_tests()
    notes = {note.id: note.why for note in said.statement}
    rows = []
    for statement in of:
        files = tests.get(statement.id, ())
        state = WORKS if files else UNSHOWN
        if statement.id in notes:
            state = f"{DIFFERS}: {notes[statement.id]}"
        held = (
            ", ".join(f"`{file.removeprefix('tests/')}`" for file in files) or "no test of its own"
        )
        rows.append((statement.id, statement.text, state, held))
    return table(("Number", "Statement", "State", "Held by tests/"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    text = page()
    if arguments == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_bytes() != text)
    PAGE.write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
