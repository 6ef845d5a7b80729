"""The sandbox driver with runc for walls, so that its tests run for both."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from taskyard.drivers.base import LogSink, WorkspaceSpec
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.runc import find_runc
from taskyard.lifecycle.walls import Backend
from tests.drivers.sandbox_kit import SLEEPER, Yard

BOTH = (Backend.BWRAP, pytest.param(Backend.RUNC, marks=pytest.mark.all_tier))
"""For fixtures: each test with bubblewrap, and, where all tests run, with runc."""


class ContainerDriver(SandboxDriver):
    """A driver whose workspaces all ask for runc."""

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        await super().ensure(replace(spec, backend=Backend.RUNC), log)


class ContainerYard(Yard):
    """A server's folders, and drivers on them that use runc."""

    def driver(
        self, agent_argv: Sequence[str] | None = SLEEPER, *, walls: bool = True
    ) -> SandboxDriver:
        assert walls
        return ContainerDriver(self.root, self.link, allow_unconfined=False, agent_argv=agent_argv)


def yard_for(backend: Backend) -> type[Yard]:
    """Which yard; skips where runc cannot be had."""
    if backend is Backend.BWRAP:
        return Yard
    if os.geteuid() != 0:
        pytest.skip("runc is for servers that run as root")
    if find_runc() is None and "CI" not in os.environ:
        pytest.skip("there is no runc: apt-get install --no-install-recommends runc")
    return ContainerYard


def groups_of(name: str) -> list[Path]:
    """Control groups on this machine that bear the name of a workspace."""
    # Not by a glob, which fails where others take their groups away meanwhile.
    return [Path(path) for path, _, _ in os.walk("/sys/fs/cgroup") if path.endswith(name)]
