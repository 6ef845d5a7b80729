"""What modules are called, and that they say what they are for."""

import ast
from pathlib import PurePosixPath

from tests.house.tree import modules

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}
"""Names under which anything could stand."""


def test_modules_are_named_for_what_they_hold() -> None:
    """No module or folder has a name that fits everything."""
    found = [
        module.path
        for module in modules("src", "tests", "bench", "scripts")
        if SAYS_NOTHING & set(PurePosixPath(module.path).with_suffix("").parts)
    ]
    assert not found, found


def test_modules_say_what_they_are_for() -> None:
    """Every public module with code in it begins with a docstring."""
    silent = [
        module.path
        for module in modules("src", "bench", "scripts")
        if module.tree.body and is_public(module.path) and not ast.get_docstring(module.tree)
    ]
    assert not silent, silent


def is_public(path: str) -> bool:
    """Whether a module's name has no underscore in front; __init__ and __main__ are public."""
    name = PurePosixPath(path).stem
    return name.startswith("__") or not name.startswith("_")
