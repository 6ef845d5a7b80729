"""The coding agents that tests run, installed once from their lock."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from tests.house.tree import ROOT

LOCK = Path(__file__).with_name("package-lock.json")
FOLDERS = ROOT / ".venv-agents"
WHOLE = "whole"
"""A file that is there once nothing is missing beside it."""

INSTALL_S = 110
"""Seconds for what takes 20 on an idle machine; pytest ends a process whose test takes 120."""


def programs() -> Path:
    """A folder with all of them in node_modules; skips where they cannot be had, but fails in CI."""
    node = version_of("node")
    if node is None or version_of("npm") is None:
        missing(
            "the coding agents need node 20 or newer and npm: install them (apt-get install nodejs npm)"
        )
    stamp = hashlib.sha256(LOCK.read_bytes() + node.encode()).hexdigest()[:12]
    folder = FOLDERS / stamp
    FOLDERS.mkdir(exist_ok=True)
    with (FOLDERS / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another process of the run may be at it
        if not (folder / WHOLE).exists():
            for old in FOLDERS.glob("*/"):  # each has a gigabyte, and only one lock is in force
                shutil.rmtree(old, ignore_errors=True)
            install(folder)
            (folder / WHOLE).touch()
    return folder


def install(folder: Path) -> None:
    """Installs them there, or says why not."""
    folder.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(LOCK.with_name(name), folder)
    try:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        missing(f"npm did not install the coding agents within {INSTALL_S} s; run this again")
    if done.returncode:
        missing(
            "npm could not install the coding agents, which needs a package registry once; "
            f"run this again where there is one:\n{done.stderr}"
        )


def version_of(program: str) -> str | None:
    """What a program says of its version; None where it is absent or does not work."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def missing(why: str) -> NoReturn:
    """Programs that cannot be had: a failure where everything must be there, else a skip."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
