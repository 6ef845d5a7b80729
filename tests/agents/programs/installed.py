"""The coding agents that tests run, installed once from their lock."""

from pathlib import Path

from tests.house.tree import ROOT
from tests.npm import packages


def programs() -> Path:
    """A folder with all of them in node_modules; skips where they cannot be had, but fails in CI."""
    return packages(Path(__file__).parent, ROOT / ".venv-agents", "the coding agents")
