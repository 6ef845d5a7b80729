"""A worker in a process of its own that is killed with -9 in the middle of a driver's verb.

Run by the tests: `dying_worker.py DATABASE_URL FOLDER VERB before|after LEASE_S WORKER_ID`. It kills
itself, so it never returns.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.control.worker import Worker
from taskyard.db.pool import Database, Doorbell
from taskyard.drivers.base import LogSink, WorkspaceSpec
from taskyard.drivers.echo.driver import EchoDriver
from tests.control.world_kit import EXECUTORS


class DyingDriver(EchoDriver):
    """An echo driver whose process dies right before or after a verb is done."""

    def __init__(self, root: Path, verb: str, when: str) -> None:
        super().__init__(root)
        self._moment = (verb, when)

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        self._die("ensure", "before")
        await super().ensure(spec, log)
        self._die("ensure", "after")

    async def stop(self, workspace_id: UUID, *, grace_s: float, up_to: int | None = None) -> None:
        self._die("stop", "before")
        await super().stop(workspace_id, grace_s=grace_s, up_to=up_to)
        self._die("stop", "after")

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        self._die("destroy", "before")
        await super().destroy(workspace_id, up_to=up_to)
        self._die("destroy", "after")

    def _die(self, verb: str, when: str) -> None:
        if (verb, when) == self._moment:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(arguments: list[str]) -> None:
    url, folder, verb, when, lease_s, worker_id = arguments
    database = Database(url, size=4)
    await database.open()
    services = Services(
        settings=Settings(data_dir=folder, job_lease_s=float(lease_s)),
        db=database,
        doorbell=Doorbell(url),
        links=Links(),
        server_id=uuid4(),
        deployment_id=uuid4(),
        now=lambda: datetime.now(UTC),
    )
    driver = DyingDriver(Path(folder), verb, when)
    drivers = {"echo": driver}
    await Worker(services, drivers, EXECUTORS, "dying", worker_id=UUID(worker_id)).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
