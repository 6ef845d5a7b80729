"""Writes docs/reference/agents.md from what the tests saw of real coding agents, and from the types; `./yard docs` runs it.

With --check it writes nothing and exits 1 when the page is stale.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from taskyard.lifecycle.template_model import AgentType
from taskyard_agent.agent_types import TYPES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "agents.md"
SEEN = ROOT / "tests" / "agents" / "programs" / "seen.json"

HEAD = """\
# Coding agents

What coding agents do here. The page is made by `./yard docs`.

## Tried

The tests install these programs from a lock (`tests/agents/programs`) and run them against a model server that follows
a script, behind the bridge and through the whole product: create, work, send, pause, resume, delete. The table is what
they see: `./yard test --all` fails when a program does anything else. Only memory is not compared, as it differs from run
to run; it is what all processes of the program take in megabytes, at rest and after a turn.

"""

TYPES_HEAD = """
## Known

What `type` in `[agent]` of a [template](templates.md) can be. A program that is not in the table above was not run by the tests.
With transport `auto` the bridge takes ACP where the program for it is there, else the screen.

"""

FOOT = """
To see the first table anew, run
`TASKYARD_WRITE_SEEN=1 ./yard test tests/agents/programs/test_program_seen.py --all`, then `./yard docs`.
"""


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program, as the tests saw it."""

    name: str
    package: str
    version: str
    transport: str
    turn: str
    tools: str
    permission: str
    cancel: str
    resume: str
    state: str
    memory_mb: list[int]


def seen() -> list[Seen]:
    """What the tests saw."""
    return msgspec.json.decode(SEEN.read_bytes(), type=list[Seen])


def page() -> bytes:
    """The whole page."""
    tried = table(
        (
            *("Coding agent", "Version", "Transport", "Turn", "Tools", "Asked and refused"),
            *("Cancelled in a command", "After a kill", "State is told by", "MB"),
        ),
        [tried_row(each) for each in sorted(seen(), key=lambda each: each.name)],
    )
    head = ("Type", "ACP", "Screen", "Needs one of", "How to get it")
    known = table(head, [known_row(word) for word in AgentType if word is not AgentType.CUSTOM])
    return f"{HEAD}{tried}{TYPES_HEAD}{known}{FOOT}".encode()


def tried_row(row: Seen) -> Sequence[str]:
    """The cells of a program that was run."""
    memory = " to ".join(map(str, row.memory_mb))
    version = f"`{row.package}` {row.version}"
    return (
        *(row.name, version, row.transport, row.turn, row.tools, row.permission),
        *(row.cancel, row.resume, row.state, memory),
    )


def known_row(word: AgentType) -> Sequence[str]:
    """The cells of a type."""
    kind = TYPES[word]
    acp = "none" if kind.acp is None else f"`{' '.join(kind.acp)}`"
    needs = ", ".join(f"`{name}`" for name in kind.needs_env) or "nothing that is known"
    install = kind.install.partition(" not found: ")[2] or kind.install
    return (f"`{word}`", acp, f"`{' '.join(kind.pty)}`", needs, install)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    text = page()
    if arguments == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_bytes() != text)
    PAGE.write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
