"""How a command of the server's own fails: one sentence a cause, on stderr, and exit status 1."""

import sys
from collections.abc import Callable

from taskyard.errors import Invalid, TaskyardError


def exit_status(work: Callable[[], None], expected: type[TaskyardError]) -> int:
    """0 when the work is done; 1 when it failed as expected, after the causes were named. Others are raised."""
    try:
        work()
    except expected as error:
        _complain(error)
        return 1
    except BaseExceptionGroup as group:
        causes, rest = group.split(expected)
        if causes is None or rest is not None:
            raise
        for cause in _leaves(causes):
            _complain(cause)
        return 1
    return 0


def _complain(error: BaseException) -> None:
    sys.stderr.write(f"taskyard: {error}\n")
    if isinstance(error, Invalid):
        for field, problem in error.violations:
            sys.stderr.write(f"  {field}: {problem}\n")


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors of a group of groups, one by one."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
