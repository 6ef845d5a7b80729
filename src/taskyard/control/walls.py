"""What a template demands of the machine, held against what the machine of this worker can do."""

from taskyard.control.job_run import JobRun
from taskyard.drivers.base import Driver
from taskyard.errors import DriverError, JobFailed
from taskyard.lifecycle.template_model import Template
from taskyard.lifecycle.walls import demands, unmet
from taskyard.wire.enums import LogLevel, LogSource


async def check_walls(run: JobRun, driver: Driver, template: Template, stage: str) -> None:
    """Nothing where workspaces of this driver have all that the template demands; raises JobFailed with the first lack.

    An import and each start ask: the version may have been imported on another machine, and this one may change.
    """
    demanded = demands(template.workspace)
    if not demanded:
        return
    try:
        lacks = await driver.lacks(demanded)
    except DriverError as error:
        raise JobFailed(str(error)) from error
    problems = unmet(demanded, lacks)
    for _, sentence in problems:
        run.log(LogLevel.ERROR, stage, sentence, source=LogSource.PROVISIONER)
    if problems:
        more = len(problems) - 1
        others = f" (and {more} more: see the log)" if more else ""
        raise JobFailed(f"{problems[0][1]}{others}")
