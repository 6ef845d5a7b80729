"""Cloning a repository at the first start: whole and with its work branch, or not at all."""

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from taskyard_agent.protocol import GitCredentials, Repository
from taskyard_agent.repository.credentials import mask, signing_in
from taskyard_agent.repository.git import Command, GitFailed
from taskyard_agent.repository.place import HOME_FOLDER, PREFIX, Ground, Scratch, scratch

CLONE_TIMEOUT_S = 900.0
"""Seconds that a clone may take: a large repository over a slow line."""

STEP_TIMEOUT_S = 60.0
"""Seconds for what needs no network."""

NOBODY = "users.noreply.taskyard.invalid"
"""The domain of the address that commits carry until somebody configures another; nobody receives mail there."""

Log = Callable[[str, str], None]
"""Takes the level and the text of a line."""

_NO_WAY = re.compile(
    r"CONNECT (tunnel failed|aborted)|Could not resolve|Failed to connect|Couldn't connect",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(
    r"could not read (Username|Password)|Authentication failed|returned error: 40[134]|not found",
    re.IGNORECASE,
)


async def clone(ground: Ground, log: Log) -> bool:
    """Whether the repository is there, be it from an earlier start. The log says why it is not."""
    _sweep(ground.home)
    if ground.is_cloned:
        return True
    repository = ground.repository
    try:
        if ground.folder.exists() and any(ground.folder.iterdir()):
            told = f"The folder ~/{repository.folder} holds something else: empty it, then start again."
            log("error", told)
            return False
        log("info", f"Cloning {repository.url} into ~/{repository.folder}.")
        async with scratch(ground) as place:
            made = await _clone(ground, place, log)
            made.rename(ground.folder)  # takes the place of an empty folder
    except (GitFailed, OSError) as error:
        _explain(repository, error, log)
        with contextlib.suppress(OSError):
            ground.folder.mkdir(exist_ok=True)  # the coding agent works here, cloned or not
        return False
    log("info", f"The work branch is {repository.work_branch}.")
    return True


def hint(said: str, credentials: GitCredentials | None) -> str:
    """What to do about what git said, when it was about who asks or about the way there; empty when it was not."""
    if _NO_WAY.search(said):
        return "A workspace reaches what network.egress of its template lists: is this host there, with its port?"
    if not _NOT_ALLOWED.search(said):
        return ""
    if credentials is not None:
        return "Check that the secret GIT_TOKEN is of somebody who may do this, and still good."
    return (
        "Nobody signed in: name GIT_TOKEN in requires_env of the template's [task], and set it with "
        "`taskyard secrets set GIT_TOKEN`."
    )


async def _clone(ground: Ground, place: Scratch, log: Log) -> Path:
    """The finished clone in the scratch folder."""
    repository = ground.repository
    target = place.path / "clone"
    branch = [] if repository.branch is None else [f"--branch={repository.branch}"]
    args = ["clone", "--progress", "--no-recurse-submodules", "--template=", "--origin=origin"]
    with signing_in(repository.url, repository.credentials) as askpass:
        command = Command(
            args=[*args, *branch, "--", repository.url, str(target)],
            cwd=place.path,
            timeout_s=CLONE_TIMEOUT_S,
            abroad=True,
            askpass=askpass,
            on_line=lambda line: _tell(line, repository, log),
        )
        await place.git.run(command)
    for step in _steps(ground):
        await place.git.run(Command(args=step, cwd=target, timeout_s=STEP_TIMEOUT_S))
    return target


def _tell(line: str, repository: Repository, log: Log) -> None:
    """Passes on what git says, but for where our own folders are."""
    if not line.startswith("Cloning into"):
        log("info", mask(line, repository.credentials))


def _steps(ground: Ground) -> list[list[str]]:
    """What a fresh clone gets: its work branch, and a name for commits."""
    name = ground.owner_name
    return [
        ["checkout", "-q", "--no-track", "-b", ground.repository.work_branch],
        ["config", "user.name", name],
        ["config", "user.email", f"{name}@{NOBODY}"],
    ]


def _explain(repository: Repository, error: Exception, log: Log) -> None:
    said = str(error) or type(error).__name__
    log("error", f"The repository {repository.url} cannot be cloned: {said.splitlines()[-1]}")
    if more := hint(said, repository.credentials):
        log("error", more)
    log("error", "The next start of the workspace tries again.")


def _sweep(home: Path) -> None:
    """Removes what a start that was killed has left."""
    for left in (home / HOME_FOLDER).glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
