"""Keeping what this process knows from other programs of the same user."""

import ctypes

PR_SET_DUMPABLE = 4  # from linux/prctl.h


def hide() -> None:
    """From now on no process of the same user can read this one's environment and memory, or trace it.

    Programs that are started are as all others. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the agent cannot hide its token from programs beside it")
