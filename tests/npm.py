"""npm packages that tests run, installed once from their lock."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from scripts.build_page import Node

WHOLE = "whole"
"""A file that is there once nothing is missing beside it."""

INSTALL_S = 110
"""Seconds for what takes 20 on an idle machine; pytest ends a process whose test takes 120."""


def packages(source: Path, folders: Path, what: str, node: Node | None = None) -> Path:
    """A folder with the packages of a lock in node_modules; skips where they cannot be had, but fails in CI.

    source holds package.json, its lock and .npmrc. Of several locks one after the other, folders keeps the last one's.
    what they are is said where they are missing. node is the one of PATH unless another is given.
    """
    node = node or _node_of_path(what)
    version = version_of(*node.node, environment=node.environment) or ""
    lock = (source / "package-lock.json").read_bytes()
    stamp = hashlib.sha256(lock + version.encode()).hexdigest()[:12]
    folder = folders / stamp
    folders.mkdir(exist_ok=True)
    with (folders / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another process of the run may be at it
        if not (folder / WHOLE).exists():
            for old in folders.glob(
                "*/"
            ):  # each may have a gigabyte, and only one lock is in force
                shutil.rmtree(old, ignore_errors=True)
            _install(source, folder, what, node)
            (folder / WHOLE).touch()
    return folder


def version_of(*command: str, environment: Mapping[str, str] | None = None) -> str | None:
    """What a program says of its version; None where it is absent or does not work."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=False, env=environment
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def missing(why: str) -> NoReturn:
    """Programs that cannot be had: a failure where everything must be there, else a skip."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _node_of_path(what: str) -> Node:
    if version_of("node") is None or version_of("npm") is None:
        missing(f"{what} need node 20 or newer and npm: install them (apt-get install nodejs npm)")
    return Node(["node"], ["npm"], os.environ)


def _install(source: Path, folder: Path, what: str, node: Node) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / name, folder)
    try:
        done = subprocess.run(
            [*node.npm, "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            env=node.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        missing(f"npm did not install {what} within {INSTALL_S} s; run this again")
    if done.returncode:
        missing(
            f"npm could not install {what}, which needs a package registry once; "
            f"run this again where there is one:\n{done.stderr}"
        )
