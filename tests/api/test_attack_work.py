"""A hostile workspace that is asked about its repository."""

from pathlib import Path

import pytest

from taskyard_agent.protocol import ChangedFile, Difference, Nothing, Push, Pushed
from tests.api.seed import Api
from tests.api.test_task_work import Workspace, answering

pytestmark = pytest.mark.anyio

LONG = "\0\x1b[2J" * 100_000


class Hostile(Workspace):
    """Answers what no git would say."""

    async def diff(self, _: Nothing) -> Difference:
        """What changed."""
        files = [ChangedFile("\0", 2**63, -(2**63))]
        return Difference(LONG, "\0", "\x1b", b"\0\xff\x1b", files, True, False)

    async def push(self, order: Push) -> Pushed:
        """What was pushed."""
        self.orders.append(order)
        return Pushed("taskyard/w", "https://h/x", LONG, True, False, "\0")


async def test_the_audit_takes_no_more_than_a_line(api: Api, tmp_path: Path) -> None:
    """Whatever the workspace says that it pushed, what is kept for ever is short, and nothing fails."""
    async with answering(api, tmp_path, kind=Hostile) as kit:
        assert (await api.get(f"{kit.path}/diff")).status_code == 200
        assert (await api.post(f"{kit.path}/push", {})).status_code == 200
        size = await api.value(
            "select max(length(changes::text)) from audit_logs where resource_type = 'task'"
        )
        assert size < 2000
