"""The HTTP side of a bridge as a whole; apart, so that its imports can wait until the coding agent starts."""

from taskyard_agent.bridge.http import make_app
from taskyard_agent.bridge.listener import Listener, bind
from taskyard_agent.bridge.session import Session
from taskyard_agent.bridge.upload import Uploads

CLOSE_S = 0.5
"""Seconds that answers under way have when the bridge closes."""


class Serving:
    """AgentAPI on a port of the loopback. port: where it really listens, when `wanted` is taken."""

    def __init__(self, session: Session, agent_type: str, wanted: int) -> None:
        self._session = session
        self._uploads = Uploads()
        listening = bind(wanted)
        self.port: int = listening.getsockname()[1]
        self._listener = Listener(make_app(session, agent_type, self._uploads), listening)

    async def start(self) -> None:
        """Requests are answered from now on."""
        await self._listener.start()

    async def close(self) -> None:
        """No request is answered any more; uploads are gone."""
        self._session.record.close()
        await self._listener.close(CLOSE_S)
        self._uploads.close()
