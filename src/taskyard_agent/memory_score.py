"""Which process the kernel ends first when a workspace has no memory left: any program before the agent."""

from contextlib import suppress
from pathlib import Path

AGENT = 100
"""What the launcher gives to a workspace's agent, in thousandths of the memory that was used up, on top of its own."""
OTHERS = 500
"""What its programs have: 40 % of the limit more, so that many small ones go before one agent of 40 MB."""


def expose(pid: int) -> None:
    """Nothing; the program that was started, and all that come of it, are ended before this process is.

    Only in a workspace. A program that is gone already, or another user's, is left as it is.
    """
    with suppress(OSError, ValueError):
        if int(Path("/proc/self/oom_score_adj").read_text()) == AGENT:
            Path(f"/proc/{pid}/oom_score_adj").write_text(str(OTHERS))
