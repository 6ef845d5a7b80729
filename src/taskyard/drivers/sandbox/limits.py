"""Which limits of a template this machine holds, and what to say of those that it does not."""

from collections.abc import Iterator

from taskyard.drivers.base import Limits
from taskyard.drivers.sandbox.cgroups.groups import Cgroups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.drivers.sandbox.disk import why_no_image


def unheld(limits: Limits, cgroups: Cgroups | None, why_counted: str = "") -> Iterator[str]:
    """A sentence for each limit that is set and not held, with what to do; why_counted: why the workspace's disk is not."""
    wanted = {
        Can.MEMORY: limits.memory_bytes,
        Can.CPU: limits.cpu,
        Can.PROCESSES: limits.processes,
    }
    for can, limit in wanted.items():
        if limit is not None and (cgroups is None or can not in cgroups.controllers):
            why = "" if cgroups is None else cgroups.why.get(can, "")
            yield (
                f"The template's limit of {can} is NOT held on this machine: "
                f"{why or 'there are no control groups'}."
            )
    if limits.disk_bytes is not None and (why := why_no_image() or why_counted):
        yield f"The template's limit of disk is not held by the machine itself: {why}."
