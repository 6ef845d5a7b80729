"""The project's own files, as the house tests read them."""

import ast
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path from the root with forward slashes, its text, its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        """The text, one entry a line."""
        return self.text.splitlines()


@cache
def project_files() -> tuple[str, ...]:
    """Every file that is or would be committed, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    # A checkout of another user, or an unpacked archive, is no repository that git would read.
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else list(_walk())
    return tuple(sorted({name for name in names if name and (ROOT / name).is_file()}))


def _walk() -> Iterator[str]:
    skipped = {"__pycache__", "node_modules", "dist", "build"}
    for folder, below, names in os.walk(ROOT):
        below[:] = [n for n in below if n == ".ci" or not (n.startswith(".") or n in skipped)]
        for name in names:
            if not name.endswith(".pyc"):
                yield Path(folder, name).relative_to(ROOT).as_posix()


def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files below these folders of the root."""
    starts = tuple(f"{folder}/" for folder in folders)
    found = [p for p in project_files() if p.endswith(".py") and p.startswith(starts)]
    return tuple(_module(path) for path in found)


@cache
def _module(path: str) -> Module:
    text = (ROOT / path).read_text(encoding="utf-8")
    return Module(path, text, ast.parse(text, path))
