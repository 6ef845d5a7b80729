"""The HTTP side of a bridge as a whole; apart, so that its imports can wait until the coding agent starts."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.bridge.http import make_app
from taskyard_agent.bridge.listener import Listener
from taskyard_agent.bridge.options import Options
from taskyard_agent.bridge.prompt_queue import PromptQueue
from taskyard_agent.bridge.prompts import Prompts
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.session import Session
from taskyard_agent.bridge.streams import Streams
from taskyard_agent.bridge.upload import Uploads

CLOSE_S = 0.5
"""Seconds that answers under way have when the bridge closes."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the person who started the bridge wants. folder: where it keeps its files."""

    options: Options
    folder: Path


class Serving:
    """AgentAPI on a socket of the loopback, which is bound already."""

    def __init__(
        self, session: Session, agent_type: str, listening: socket.socket, setup: Setup
    ) -> None:
        """Raises BadEntry, OSError."""
        options = setup.options
        queue = None
        if options.queue:
            queue = PromptQueue(setup.folder / "queue.json", options.limits.queued_prompts)
        self._session = session
        self._uploads = Uploads(options.limits)
        self._prompts = Prompts(session, queue)
        streams = Streams(options.limits.streams)
        served = Served(session, agent_type, self._uploads, self._prompts, streams, options)
        self._listener = Listener(make_app(served), listening)
        self._delivering: asyncio.Task[None] | None = None

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Requests are answered from now on, and prompts that wait are sent."""
        await self._listener.start()
        if self._prompts.queues:
            self._delivering = tasks.create_task(self._prompts.deliver())

    async def close(self) -> None:
        """No request is answered any more; uploads are gone."""
        if self._delivering is not None:
            self._delivering.cancel()
        self._session.record.close()
        await self._listener.close(CLOSE_S)
        self._uploads.close()
