"""The files of a new database: made beside their place, and put there when they are whole."""

import ctypes
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from taskyard.daemon.postgres_programs import Identity

_libc = ctypes.CDLL(None, use_errno=True)

NAME = "taskyard"  # of our database and of the role that owns it


def data_major(data: Path) -> int | None:
    """The major version that made the data; None if there is none."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def clear_and_look(path: Path) -> bool:
    """Whether there is a cluster; what a killed process left of making one is removed.

    An orphan of its initdb may still be writing there for a moment: then the next start clears up.
    """
    for leftover in path.glob("making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return (path / "cluster").exists()


def begin_cluster(path: Path, identity: Identity) -> tuple[Path, str]:
    """A new folder with what initdb needs, and the password that our role will have."""
    making = Path(tempfile.mkdtemp(prefix="making-", dir=path))
    making.chmod(0o711)
    password = secrets.token_urlsafe(32)
    _write_secret(making / "password", password)
    # Nobody ever logs in as the superuser: its password is thrown away with this file.
    _write_secret(making / "superuser", secrets.token_urlsafe(32))
    (making / "data").mkdir(mode=0o700)
    if identity.uid != os.geteuid():
        for name in ("superuser", "data"):
            os.chown(making / name, identity.uid, identity.gid)
    return making, password


def initdb_arguments(making: Path) -> list[str]:
    """What initdb is told. It does not wait for the disk: we do, once, when all is done."""
    return [
        f"--pgdata={making / 'data'}",
        "--username=postgres",
        f"--pwfile={making / 'superuser'}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--no-sync",
    ]


def first_statements(password: str) -> str:
    """The statements that make our role and database, a line each. The role is no superuser.

    It may create databases: the tests clone theirs.
    """
    return (
        f"create role {NAME} login createdb password '{password}';\n"
        f"create database {NAME} owner {NAME};\n"
    )


def finish_cluster(making: Path, path: Path, *, durable: bool) -> None:
    """Give the finished cluster its name; if durable, in a way that survives a power cut.

    One syncfs takes the place of 1,300 fsyncs: 0.04 s against 0.3 s. OSError if the disk fails.
    """
    (making / "superuser").unlink()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if durable and _libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", str(making))
        making.rename(path / "cluster")
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)


def give(data: Path, identity: Identity) -> None:
    """Make the data belong to whom Postgres runs as; the folder may have come from elsewhere.

    The outermost folder comes last: if we are killed on the way, the next start does it again.
    """
    if data.stat().st_uid == identity.uid:
        return
    for folder, _, files in os.walk(data, topdown=False):
        for name in (*files, "."):
            os.chown(Path(folder, name), identity.uid, identity.gid, follow_symlinks=False)
