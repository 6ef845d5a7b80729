"""A server process to be killed: makes children that work on workspaces, one for each line it reads.

A line is a verb, a workspace id and a generation; the answer is the pid of the child that does it.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from taskyard.drivers.sandbox.driver import SandboxDriver
from tests.drivers.sandbox_kit import SLEEPER, quiet, spec


async def work(driver: SandboxDriver, verb: str, workspace_id: UUID, generation: int) -> None:
    """Does one verb."""
    match verb:
        case "ensure":
            await driver.ensure(spec(workspace_id, generation), quiet)
        case "stop":
            await driver.stop(workspace_id, grace_s=5)
        case _:
            await driver.destroy(workspace_id)


def main() -> None:
    """Answers lines until stdin closes."""
    root, link = map(Path, sys.argv[1:])
    driver = SandboxDriver(root, link, allow_unconfined=False, agent_argv=SLEEPER)
    asyncio.run(driver.probe())
    print("ready", flush=True)
    for line in sys.stdin:
        verb, workspace_id, generation = line.split()
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(driver, verb, UUID(workspace_id), int(generation)))
            signal.pause()
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
