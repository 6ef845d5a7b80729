"""The news of the next release: one file each in changes/, so that parallel work does not collide."""

import re
import tomllib

from tests.house.tree import ROOT, project_files

CHANGES = "changes/"


def test_fragments_are_named_right() -> None:
    """Every file in changes/ is the README or `+some-words.KIND.md` with a kind of pyproject.toml."""
    towncrier = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "towncrier"
    ]
    kinds = "|".join(kind["directory"] for kind in towncrier["type"])
    wanted = re.compile(rf"{CHANGES}(README\.md|\+[a-z0-9][a-z0-9-]*\.({kinds})\.md)")
    wrong = [
        path for path in project_files() if path.startswith(CHANGES) and not wanted.fullmatch(path)
    ]
    assert not wrong, f"see changes/README.md: {wrong}"


def test_fragments_say_something() -> None:
    """Every fragment is one sentence or more, ended."""
    empty = [
        path
        for path in project_files()
        if path.startswith(f"{CHANGES}+")
        and not (ROOT / path).read_text(encoding="utf-8").rstrip().endswith(".")
    ]
    assert not empty, empty
