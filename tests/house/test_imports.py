"""Who may import whom: the contracts of pyproject.toml, and two rules that they cannot say."""

import ast
import sys
from collections.abc import Iterator

import pytest
from importlinter.cli import lint_imports

from tests.house.tree import ROOT, modules

AGENT_MAY_IMPORT = {
    *sys.stdlib_module_names,
    *("taskyard_agent", "msgspec", "anyio", "starlette", "uvicorn", "websockets", "h11", "avt"),
}
"""All that a workspace agent loads; each package more is memory in every workspace."""


def test_contracts_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every import contract of pyproject.toml holds."""
    monkeypatch.chdir(ROOT)
    assert lint_imports() == 0, capsys.readouterr().out


def test_agent_imports_little() -> None:
    """taskyard_agent names no package but its own few, nested imports included."""
    found = [
        f"{module.path}:{line} imports {name}"
        for module in modules("src/taskyard_agent")
        for line, name in imported(module.tree)
        if name.partition(".")[0] not in AGENT_MAY_IMPORT
    ]
    assert not found, "\n".join(found)


def test_nested_imports_say_why() -> None:
    """An import inside a function has a comment, on its line or right above it."""
    bare = [
        f"{module.path}:{node.lineno}"
        for module in modules("src", "tests", "bench", "scripts")
        for node in nested_imports(module.tree)
        if "#" not in module.lines[node.lineno - 1]
        and not module.lines[node.lineno - 2].lstrip().startswith("#")
    ]
    assert not bare, "say why these imports are not at the top:\n" + "\n".join(bare)


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def nested_imports(tree: ast.Module) -> set[ast.Import | ast.ImportFrom]:
    """The imports that stand inside a function."""
    return {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
