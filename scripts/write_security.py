"""Writes docs/reference/security.md from the marks of the tests; `./yard docs` runs it.

With --check it writes nothing and exits 1 when the page is stale. It reads the tests' text and runs none of it.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.security.hostile import ACCOUNTS, BACKENDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "security.md"
SECURITY = ROOT / "tests" / "security"

HEAD = """\
# Security: what was tried

What somebody would try, what stops it, and the test that tries it. The page is made by `./yard docs` from the marks of the tests,
which CI runs. Who may do what to whom, and what is not defended, is in [SECURITY.md](../../SECURITY.md).

The column *As* says how often a test is run: for each account that the sandbox driver runs as (`root`, `user`: one without any
rights), for each back end of the walls (`runc` for root only), against a running server (`server`), or once (`once`).

"""

ELSEWHERE = """\
## What the CI machine does not have

These parts of the code meet another kind of machine than CI's. What they say to it is held by the tests named.

"""

SERVERS = {"hostile_world", "shared", "lasting", "world", "api", "port", "yard", "services"}
"""Fixtures behind which a server stands, or what it is made of."""

NOT_HERE: tuple[tuple[str, str], ...] = (
    (
        "A machine with control groups of version 2 only, whose controllers are in the one tree and may be delegated to an ordinary user",
        "tests/drivers/test_cgroups.py",
    ),
    (
        "A processor other than x86-64: the filter of system calls for aarch64",
        "tests/drivers/test_seccomp_filter.py",
    ),
)
"""What CI's machine has not, and the file of tests for the code that speaks to it."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A mark: what is tried, what stops it, the test, and how the test is run."""

    what: str
    wall: str
    test: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """A file of tests with such marks, and what its first line says."""

    path: str
    title: str
    attacks: tuple[Attack, ...]


def page() -> str:
    """The whole page."""
    found = suites()
    count = sum(len(suite.attacks) for suite in found)
    parts = [HEAD, f"{count} attacks in {len(found)} files.\n"]
    parts += [f"\n## {suite.title}\n\n`{suite.path}`\n\n{rows(suite)}" for suite in found]
    if NOT_HERE:
        parts.append(f"\n{ELSEWHERE}{table(('What', 'Tests'), map(elsewhere, NOT_HERE))}")
    return "".join(parts)


def elsewhere(row: tuple[str, str]) -> tuple[str, str]:
    """A row about what CI has not."""
    return row[0], f"`{row[1]}`"


def rows(suite: Suite) -> str:
    """The table of a file."""
    return table(
        ("Attack", "Wall", "Test", "As"),
        ((titled(a.what), a.wall, f"`{a.test}`", ", ".join(a.runs)) for a in suite.attacks),
    )


def titled(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    cells = [list(head), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def suites() -> list[Suite]:
    """All files with marks, those of tests/security first."""
    files = sorted(
        (ROOT / "tests").rglob("test_*.py"), key=lambda p: (p.parent != SECURITY, str(p))
    )
    return [suite for path in files if (suite := suite_of(path)).attacks]


def suite_of(path: Path) -> Suite:
    """What a file holds. Raises ValueError for a mark that cannot be read without running it."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))
    if "mark.attack" not in text:
        return Suite(name, "", ())
    tree = ast.parse(text)
    title = (ast.get_docstring(tree) or name).partition("\n")[0].rstrip(".")
    fixtures = {**fixtures_of(path.with_name("conftest.py")), **needs_of(tree)}
    attacks = [
        Attack(*words(mark, name), test.name, runs_of(test.name, fixtures))
        for test in functions(tree)
        for mark in marks_of(test)
    ]
    return Suite(name, title, tuple(attacks))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file, in order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def marks_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """The marks of a test, those of its parameters too."""
    for decorator in test.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.attack":
                yield node


def words(mark: ast.Call, where: str) -> tuple[str, str]:
    """What is tried and what stops it."""
    try:
        (what,) = map(ast.literal_eval, mark.args)
        named = {word.arg: ast.literal_eval(word.value) for word in mark.keywords}
        return str(what), str(named["wall"])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f'{where}:{mark.lineno}: write pytest.mark.attack("what is tried", wall="what stops it")'
        ) from error


def fixtures_of(conftest: Path) -> Mapping[str, frozenset[str]]:
    """What the fixtures of a folder need."""
    if not conftest.exists():
        return {}
    return needs_of(ast.parse(conftest.read_text(encoding="utf-8")))


def needs_of(tree: ast.Module) -> dict[str, frozenset[str]]:
    """The parameters of each function of a file."""
    return {
        node.name: frozenset(
            arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        )
        for node in functions(tree)
    }


def runs_of(test: str, needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """How a test is run, told by the fixtures that it needs, those of its fixtures among them."""
    found: set[str] = set()
    ahead = [test]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += needs.get(name, ())
    runs = [*(ACCOUNTS if "account" in found else ()), *(BACKENDS if "backend" in found else ())]
    runs += ["server"] if found & SERVERS else []
    return tuple(runs or ["once"])


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    text = page()
    if arguments == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
