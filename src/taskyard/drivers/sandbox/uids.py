"""One host user per workspace, claimed by a symlink that names the workspace: made whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from taskyard.errors import DriverError

FIRST_UID = 1_879_048_192
"""The lowest of the ids that systemd's list of uid ranges leaves unused, so none is a person's or a container's."""
_COUNT = 268_000_000
"""Ids up to 2147048191, still in that unused range and below 2**31. Spread by workspace id, so that
servers on one machine rarely meet and a freed id is not soon used again."""
INNER_ROOT = FIRST_UID + _COUNT
"""Who runc is inside while it puts up the walls; no program of a workspace ever is, so one id serves all of them."""
_TRIES = 16
"""Neighbours tried when an id is taken; with 100,000 workspaces even the second is rarely needed."""


def claim_uid(root: Path, workspace_id: UUID) -> int:
    """The workspace's host uid, the same at each call until it is released; nobody else gets it."""
    if (own := _claimed(root, workspace_id)) is not None:
        return own
    folder = root / ".uids"
    folder.mkdir(mode=0o700, exist_ok=True)
    for uid in _candidates(workspace_id):
        try:
            (folder / str(uid)).symlink_to(str(workspace_id))
        except FileExistsError:
            continue
        return uid
    raise DriverError(
        f"No free user id for workspace {workspace_id}: {_TRIES} in {folder} are taken. "
        "Delete workspaces that are no longer needed."
    )


def release_uid(root: Path, workspace_id: UUID) -> None:
    """Nothing; the workspace's uid, if it has one, may be given to another."""
    if (uid := _claimed(root, workspace_id)) is not None:
        (root / ".uids" / str(uid)).unlink()


def uid_is_mapped() -> bool:
    """Whether these ids exist in the user namespace of this process; in some containers they do not."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= FIRST_UID and first + count > INNER_ROOT:
            return True
    return False


def _candidates(workspace_id: UUID) -> Iterator[int]:
    for step in range(_TRIES):
        yield FIRST_UID + (int(workspace_id) + step) % _COUNT


def _claimed(root: Path, workspace_id: UUID) -> int | None:
    for uid in _candidates(workspace_id):
        link = root / ".uids" / str(uid)
        if link.is_symlink() and str(link.readlink()) == str(workspace_id):
            return uid
    return None
