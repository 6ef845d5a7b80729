"""Which repository a workspace works on: its address, its folder, its branches, and when it can be asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from taskyard.lifecycle.task import Refusal, RefusalCode, RefusalKind, TaskFacts, derive_status
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import TaskStatus

REPO_PARAMETER = "repo"
BRANCH_PARAMETER = "branch"
"""Parameters by which whoever makes a task says what the template leaves open, or says it differently."""

WORK_PREFIX = "taskyard/"
"""The work branch is this and the name of the workspace, which a task shares with its workspace."""

MAX_URL_CHARS = 2048
"""Longest address, as browsers have it."""

MAX_BRANCH_CHARS = 200
"""Longest name of a branch: a file of that name must fit in a folder, with room for `.lock`."""

FOLDER = "repository"
"""The folder of a repository whose address ends in no name that a folder can have."""

_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+=@#-]*[A-Za-z0-9_+=@#-])?")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_URL = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """A repository to be cloned. branch null: whichever the repository calls its own. folder is in the home."""

    url: str
    branch: str | None
    work_branch: str
    folder: str


def plan_repository(
    template: Template, parameters: Mapping[str, str], workspace_name: str
) -> RepositoryPlan | None:
    """The repository of a workspace; None without one. Parameters go before what the template says.

    Raises ValueError with half a sentence for an address or a branch that is none.
    """
    url = parameters.get(REPO_PARAMETER) or template.workspace.repo
    if not url:
        return None
    branch = parameters.get(BRANCH_PARAMETER) or template.workspace.branch or None
    if problem := url_problem(url):
        raise ValueError(f"the repository {problem}")
    if branch is not None and (problem := branch_problem(branch)):
        raise ValueError(f"the branch {problem}")
    return RepositoryPlan(url, branch, f"{WORK_PREFIX}{workspace_name}", folder_of(url))


def url_problem(url: str) -> str | None:
    """Why this cannot be the address of a repository, as half a sentence; None when it can.

    Never repeats what may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        is_one = len(url) <= MAX_URL_CHARS and _URL.fullmatch(url)
    except ValueError:
        is_one = None
    if not is_one:
        return f"must be an address of at most {MAX_URL_CHARS} characters, without blanks"
    if parts.scheme not in {"http", "https"}:
        return "must begin with https:// or http://; nothing else is cloned"
    if "@" in parts.netloc:
        return (
            "must not hold a user name or a password: leave them out, "
            "and keep the token with `taskyard secrets set GIT_TOKEN`"
        )
    if not parts.hostname or port == 0 or not parts.path.strip("/"):
        return "must name a host and a path, as in https://example.com/team/project.git"
    return "must have no ? and no #" if parts.query or parts.fragment else None


def branch_problem(branch: str) -> str | None:
    """Why this cannot be the name of a branch, as half a sentence; None when it can."""
    if len(branch) > MAX_BRANCH_CHARS:
        return f"must have at most {MAX_BRANCH_CHARS} characters"
    parts = branch.split("/")
    if (
        not _BRANCH.fullmatch(branch)
        or ".." in branch
        or "@{" in branch
        or branch == "@"
        or any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    ):
        return f"{branch!r} is no name of a branch"
    return None


def folder_of(url: str) -> str:
    """The folder in the home directory that a repository is cloned into: always the same for one address."""
    name = urlsplit(url).path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return name if _FOLDER.fullmatch(name) else FOLDER


def repository_refusal(facts: TaskFacts) -> Refusal | None:
    """Why nothing can be asked of a task's repository now; None when its workspace may answer."""
    status = derive_status(facts).status
    match status:
        case TaskStatus.PAUSED:
            detail = "Resume it, and ask again once it is active."
            return Refusal(
                RefusalCode.TASK_PAUSED, RefusalKind.LATER, "This task is paused.", detail
            )
        case TaskStatus.PENDING:
            detail = "Ask again once it is active."
            return Refusal(
                RefusalCode.TASK_PENDING,
                RefusalKind.LATER,
                "This task waits for its workspace.",
                detail,
            )
        case TaskStatus.INITIALIZING if facts.agent_lifecycle is None:
            detail = "Ask again once it is active."
            return Refusal(
                RefusalCode.TASK_INITIALIZING,
                RefusalKind.LATER,
                "This task is still starting.",
                detail,
            )
        case _:
            return None
