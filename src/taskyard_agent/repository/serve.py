"""What the server asks about a workspace's repository, with failures as it can pass them on."""

import contextlib
from collections.abc import Iterator

from taskyard_agent.mux import CallFailed
from taskyard_agent.protocol import Difference, Push, Pushed
from taskyard_agent.repository.copy import NoRepository
from taskyard_agent.repository.diff import difference
from taskyard_agent.repository.git import GitFailed
from taskyard_agent.repository.place import Ground
from taskyard_agent.repository.push import PushRejected, push

PUSH_REJECTED = "push_rejected"
GIT_FAILED = "git_failed"
NO_REPOSITORY = "no_repository"


async def serve_diff(ground: Ground | None) -> Difference:
    """What changed. Raises CallFailed."""
    with _refusing():
        return await difference(_needed(ground))


async def serve_push(ground: Ground | None, order: Push) -> Pushed:
    """What was pushed. Raises CallFailed."""
    with _refusing():
        return await push(_needed(ground), order)


def _needed(ground: Ground | None) -> Ground:
    if ground is None:
        raise NoRepository(NO_REPOSITORY, "This workspace was not given a repository.")
    return ground


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """What went wrong becomes the answer to the call."""
    try:
        yield
    except NoRepository as error:
        raise CallFailed(error.code, str(error)) from error
    except PushRejected as error:
        raise CallFailed(PUSH_REJECTED, str(error)) from error
    except GitFailed as error:
        raise CallFailed(GIT_FAILED, str(error)) from error
    except OSError as error:
        raise CallFailed(GIT_FAILED, f"{error.strerror}: {error.filename}") from error
