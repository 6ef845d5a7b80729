"""Stopping a server that has reason to wait."""

import signal
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskStatus, WorkspaceStatus
from tests.system.kit import World, processes_of
from tests.waiting import until

DEAF = "trap '' TERM INT HUP; echo deaf; while :; do sleep 0.1; done"
"""A turn that ends only when its time is up."""

GRACE_S = "3600"
"""The time that it has: far more than the server is given to stop."""


@pytest.mark.all_tier
def test_a_second_ctrl_c_waits_for_no_workspace(data_dir: Path, tmp_path: Path) -> None:
    """It cuts short the pause of a workspace that will not end; nothing is left running, nothing is lost."""
    server = LocalServer(
        data_dir, log=tmp_path / "log", environment={"TASKYARD_STOP_GRACE_S": GRACE_S}
    )
    server.start()
    world = World(server)
    task = world.create(DEAF)
    until("the deaf one to speak", lambda: "\ndeaf" in world.text(task.id) or None)
    server.process.send_signal(signal.SIGINT)

    def stopping() -> bool | None:
        status = world.owner.get_task("me", task.id).workspace_status
        return True if status is WorkspaceStatus.STOPPING else None

    until("the pause to begin", stopping)
    assert server.stop() == 0
    assert processes_of(data_dir) == {}
    world.restart()
    until("the pause to be made up for", lambda: world.status(task.id, TaskStatus.PAUSED))
    assert "deaf" in world.text(task.id)
    world.close()
    server.stop()
