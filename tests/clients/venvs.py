"""A Python with a foreign client in it, made once from the client's own lock."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.house.tree import ROOT

LOCKS = ROOT / "requirements" / "clients"
VENVS = ROOT / ".venv-clients"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def python_with(client: str) -> Path:
    """The interpreter of a venv that holds the client; skips where it cannot be had, but fails in CI."""
    lock = LOCKS / f"{client}.txt"
    stamp = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    venv = VENVS / f"{client}-{stamp}"
    VENVS.mkdir(exist_ok=True)
    with (VENVS / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another process of the run may be at it
        if not (venv / "whole").exists():
            shutil.rmtree(venv, ignore_errors=True)
            make(venv, lock)
            (venv / "whole").touch()
    return venv / "bin" / "python"


def make(venv: Path, lock: Path) -> None:
    """Makes the venv, or says why not."""
    uv = next((name for name in ("uv", str(ROOT / ".venv-tools/bin/uv")) if runs(name)), None)
    if uv is None:
        missing(f"{lock.stem}: there is no uv; put it on PATH (pip install uv) and run this again")
    for arguments in (
        ["venv", "-q", "--no-python-downloads", "--python", sys.executable, str(venv)],
        ["pip", "sync", "-q", "--python", str(venv / "bin" / "python"), str(lock)],
    ):
        done = subprocess.run(
            [uv, *arguments], env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            missing(
                f"{lock.stem}: uv could not install it, which needs a package registry once:\n{done.stderr}"
            )


def runs(uv: str) -> bool:
    """Whether this is a program, and one that works."""
    try:
        return subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def environment() -> dict[str, str]:
    """What ./yard gives to uv: the trust and the registry of pip on this machine."""
    found = dict(os.environ)
    if CERTIFICATES.exists():
        found.setdefault("UV_SYSTEM_CERTS", "1")
    if "PIP_INDEX_URL" in found:
        found.setdefault("UV_DEFAULT_INDEX", found["PIP_INDEX_URL"])
    return found


def missing(why: str) -> NoReturn:
    """A client that cannot be had: a failure where everything must be there, else a skip."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
