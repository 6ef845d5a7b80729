"""The orderly end of a workspace, within the time that its driver grants. Source: N19-N21, clients 4."""

import asyncio
import contextlib

from taskyard_agent import points
from taskyard_agent.fetch import FetchFailed
from taskyard_agent.push import Pusher
from taskyard_agent.reports import Reports
from taskyard_agent.settings import AgentSettings
from taskyard_agent.snapshot import SnapshotMessage, fit, foreign_messages, upload
from taskyard_agent.workspace import Workspace

TURN_BY = 0.35
SCRIPT_BY = 0.6
SNAPSHOT_BY = 0.75
PROGRAMS_BY = 0.85
TOLD_BY = 0.9
"""Shares of the grace by which each step gives way to the next; what is left is for closing files."""

STEP_MIN_S = 0.05
"""Least seconds of a step: a step that is due late is still tried."""


class Ending:
    """One end. told: whether there is a server that wants to hear of it."""

    def __init__(
        self, settings: AgentSettings, reports: Reports, pusher: Pusher | None, *, told: bool
    ) -> None:
        self._settings = settings
        self._reports = reports
        self._pusher = pusher
        self._told = told
        self._began = asyncio.get_running_loop().time()

    async def run(self, workspace: Workspace) -> None:
        """Everything but the transcript is closed; the server knows what it is to know."""
        self._reports.lifecycle("shutting_down")
        await points.reached("stop.asked")
        await workspace.stop_turn(self._left_s(TURN_BY))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workspace.end_agent(self._left_s(SCRIPT_BY)))
            script = tasks.create_task(workspace.run_stop_script(self._left_s(SCRIPT_BY)))
        if self._told:
            await self._upload_snapshot(workspace)
        await points.reached("stop.uploaded")
        await workspace.end_programs(self._left_s(PROGRAMS_BY))
        self._reports.lifecycle(script.result())
        if self._told:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._left_s(TOLD_BY)):
                    if self._pusher is not None:
                        await self._pusher.done()
                    await self._reports.told()
        await points.reached("stop.told")

    def _left_s(self, share: float) -> float:
        due = self._began + self._settings.stop_grace_s * share
        return max(STEP_MIN_S, due - asyncio.get_running_loop().time())

    async def _upload_snapshot(self, workspace: Workspace) -> None:
        task_id = workspace.manifest.task_id
        if task_id is None:
            return
        try:
            messages = await self._messages(workspace)
            if not messages:
                return  # an empty snapshot would take the place of an older one. Source: clients 4
            left_s = self._left_s(SNAPSHOT_BY)
            answer = await upload(self._settings, str(task_id), fit(messages), left_s)
        except FetchFailed as error:
            self._warn(f"The conversation's end was not handed over: {error}")
            return
        if answer.status not in {204, 404}:
            self._warn(f"The server refused the conversation's end with status {answer.status}.")

    async def _messages(self, workspace: Workspace) -> list[SnapshotMessage]:
        url = workspace.foreign_url
        if url is not None:
            return await foreign_messages(url, self._left_s(SNAPSHOT_BY) * 0.7)
        record = None if workspace.bridge is None else workspace.bridge.record
        if record is None:
            return []
        return [
            SnapshotMessage(message.id, message.content, message.role, message.time.isoformat())
            for message in record.conversation.messages
        ]

    def _warn(self, told: str) -> None:
        self._reports.log("stop", "warn", told)
