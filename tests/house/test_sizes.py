"""How big things may get. Each list of exceptions only shrinks: an entry that is too wide fails too."""

import ast
from collections.abc import Iterator
from itertools import chain

from tests.house.tree import Module, modules

MAX_MODULE_LINES = 500
MAX_BODY_LINES = 40
MAX_HANDLER_LINES = 25
MAX_POSITIONAL = 4

MODULE_EXCEPTIONS: dict[str, int] = {}
"""Lines of a module that is too long today, by path."""

FUNCTION_EXCEPTIONS: dict[str, int] = {}
"""Lines of a body that is too long today, by `path::name`."""

POSITIONAL_EXCEPTIONS: dict[str, int] = {}
"""Positional arguments of a function that takes too many today, by `path::name`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_modules_are_short() -> None:
    """No Python file, tests included, is longer than MAX_MODULE_LINES."""
    sizes = {
        module.path: len(module.lines) for module in modules("src", "tests", "bench", "scripts")
    }
    held(dict.fromkeys(sizes, MAX_MODULE_LINES), sizes, MODULE_EXCEPTIONS)


def test_functions_are_short() -> None:
    """No body is longer than MAX_BODY_LINES, a handler's not longer than MAX_HANDLER_LINES; docstrings are free."""
    limits: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for module in modules("src", "bench", "scripts"):
        for name, function in functions(module.tree):
            key = f"{module.path}::{name}"
            limits[key] = MAX_HANDLER_LINES if is_handler(module, function) else MAX_BODY_LINES
            sizes[key] = body_lines(function)
    held(limits, sizes, FUNCTION_EXCEPTIONS)


def test_functions_take_few_positional_arguments() -> None:
    """No function takes more than MAX_POSITIONAL arguments by position; self and cls are free."""
    sizes = {
        f"{module.path}::{name}": positional(function)
        for module in modules("src", "bench", "scripts")
        for name, function in functions(module.tree)
    }
    held(dict.fromkeys(sizes, MAX_POSITIONAL), sizes, POSITIONAL_EXCEPTIONS)


def test_a_long_body_is_seen() -> None:
    """The measure counts what it should: the body without its docstring, decorators or arguments."""
    source = 'class C:\n  @d\n  def f(self, a, /, b, *, c):\n    """One.\n\n    Two."""\n    x = 1\n\n    return x\n'
    [(name, function)] = functions(ast.parse(source))
    assert (name, body_lines(function), positional(function)) == ("C.f", 3, 2)


def held(limits: dict[str, int], sizes: dict[str, int], exceptions: dict[str, int]) -> None:
    """Fails with every key that is over its limit, and with every exception that is wider than needed."""
    too_big = [
        f"{key}: {size}, at most {exceptions.get(key, limits[key])}"
        for key, size in sizes.items()
        if size > exceptions.get(key, limits[key])
    ]
    too_wide = [
        f"{key}: listed with {listed}, is {sizes.get(key, 'gone')}"
        for key, listed in exceptions.items()
        if sizes.get(key) != listed or listed <= limits[key]
    ]
    assert not too_big, "too big:\n" + "\n".join(too_big)
    assert not too_wide, "shrink the list of exceptions:\n" + "\n".join(too_wide)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function below a node with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}."
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name.removesuffix("."), node
        yield from functions(node, name)


def body_lines(function: Function) -> int:
    """Lines from the first statement after the docstring to the last one."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return ((body[-1].end_lineno or 0) - body[0].lineno + 1) if body else 0


def positional(function: Function) -> int:
    """How many arguments may be given by position, without self and cls."""
    names = [a.arg for a in chain(function.args.posonlyargs, function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def is_handler(module: Module, function: Function) -> bool:
    """Whether this answers a request: what takes a Call first, in the HTTP edge."""
    first = function.args.args[:1]
    return (
        module.path.startswith("src/taskyard/server/")
        and isinstance(function, ast.AsyncFunctionDef)
        and bool(first)
        and first[0].annotation is not None
        and ast.unparse(first[0].annotation) == "Call"
    )
