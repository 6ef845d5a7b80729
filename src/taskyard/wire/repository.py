"""What a task did to its repository: the difference, and what was pushed."""

import msgspec

from taskyard.wire.base import Request


class ChangedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a difference. added and removed count lines and are null for a binary file."""

    path: str
    added: int | None
    removed: int | None


class TaskDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the work branch left the base branch, committed or not, new files included.

    base is the commit that both have. diff is in git's form, with names only of binary files; truncated: diff
    or files had to be cut. uncommitted tells of files that no commit has as they are.
    """

    branch: str
    base_branch: str
    base: str
    diff: str
    truncated: bool
    files: list[ChangedFile]
    uncommitted: bool


class PushTaskRequest(Request, frozen=True, kw_only=True):
    """How to push. commit: a message under which everything is committed first; empty leaves that out.

    force_with_lease: take the place of what was pushed before, unless somebody else has pushed since.
    """

    commit: str = ""
    force_with_lease: bool = False


class TaskPushed(msgspec.Struct, frozen=True, kw_only=True):
    """What was pushed where. changed: whether the other side had not this commit already.

    uncommitted: there are changes that were not pushed. output is what the other side said.
    """

    branch: str
    url: str
    commit: str
    changed: bool
    uncommitted: bool
    output: str
