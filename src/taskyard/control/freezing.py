"""Pauses that keep a workspace's processes and their memory, where its template asks for it and the machine can."""

import asyncio
from typing import Final

import msgspec

from taskyard.control.job_run import JobRun
from taskyard.db.runs import RunRow
from taskyard.drivers.base import Driver, PlaceState
from taskyard.errors import CannotFreeze, DriverError
from taskyard.lifecycle.template_model import Pause, Template
from taskyard.wire.enums import BuildReason, LogLevel

FREEZING: Final = "Freezing workspace"

FREEZE_TIMEOUT_S: Final = 30.0
"""Seconds for a driver to freeze a workspace, which takes milliseconds; then it is stopped."""

FROZEN: Final = (
    "The workspace is frozen: its processes stand still and keep their memory, and its place among what runs. "
    "Stop it once more to end them."
)


def wants_frozen(row: RunRow) -> bool:
    """Whether a stop is to keep the processes: a pause of a template that says so, not by force.

    Nor where nobody used it for long, or it stands still already: whoever stops what is paused wants its memory.
    """
    if row.definition is None or row.force or row.paused_before:
        return False
    if row.reason is BuildReason.DORMANCY:
        return False
    return msgspec.json.decode(row.definition, type=Template).workspace.pause is Pause.FREEZE


async def freeze(run: JobRun, row: RunRow, driver: Driver) -> bool:
    """Whether the workspace stands still now; if not, it is as it was, and the log says why. Raises LeaseLost.

    A worker that froze itself and lost its job leaves alone what somebody else has started since.
    """
    try:
        async with asyncio.timeout(FREEZE_TIMEOUT_S):
            seen = await driver.observe(row.workspace_id)
            if seen.state not in (PlaceState.RUNNING, PlaceState.FROZEN):
                return False
            async with run.fenced(although_canceled=True):
                pass
            await driver.freeze(row.workspace_id, up_to=seen.generation)
    except CannotFreeze as error:
        why = str(error)
    except (DriverError, TimeoutError) as error:
        why = str(error) or "it took too long"
    else:
        return True
    text = f"The workspace cannot be frozen ({why}); it is stopped instead."
    run.log(LogLevel.WARN, FREEZING, text)
    return False
