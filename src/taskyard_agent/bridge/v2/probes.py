"""Whether the bridge is up, whether it takes prompts, and its figures as Prometheus reads them."""

import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from taskyard_agent.bridge.record import SessionState
from taskyard_agent.bridge.served import Served

READY = frozenset(
    {
        SessionState.IDLE,
        SessionState.RUNNING,
        SessionState.AWAITING_PERMISSION,
        SessionState.AWAITING_INPUT,
    }
)
"""States of a coding agent that is up."""

METRICS_TYPE = "text/plain; version=0.0.4"
"""The text format of Prometheus."""


class Probes:
    """Handlers for those who watch over the bridge."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._record = served.session.record

    async def health(self, _: Request) -> Response:
        """The bridge answers."""
        return PlainTextResponse("ok\n")

    async def ready(self, _: Request) -> Response:
        """Whether the coding agent is up."""
        state = self._state()
        return PlainTextResponse(f"{state}\n", 200 if state in READY else 503)

    def _state(self) -> SessionState:
        news = self._record.state
        return SessionState.STARTING if news is None else SessionState(news.session)

    async def metrics(self, _: Request) -> Response:
        """The figures."""
        lines = [*self._states(), *self._figures()]
        return Response("".join(f"{line}\n" for line in lines), media_type=METRICS_TYPE)

    def _states(self) -> list[str]:
        now = self._state()
        head = _head("state", "gauge", "1 for what the session does, else 0.")
        return head + [
            f'taskyard_bridge_state{{state="{state}"}} {int(state is now)}'
            for state in SessionState
        ]

    def _figures(self) -> list[str]:
        journal, served = self._record.journal, self._served
        rows: list[tuple[str, str, str, float]] = [
            ("last_item", "counter", "Number of the newest transcript item.", journal.last_seq),
            ("first_item", "gauge", "Number of the oldest item that is kept.", journal.first_seq),
            ("messages", "gauge", "Messages shown.", len(self._record.conversation.messages)),
            ("errors_total", "counter", "Errors and warnings.", self._record.faults_seen),
            ("open_streams", "gauge", "Streams that are open.", served.streams.open),
            ("queued_prompts", "gauge", "Prompts that wait.", served.prompts.queue_length),
            ("upload_bytes", "gauge", "Bytes of uploaded files.", served.uploads.size),
            ("cpu_seconds_total", "counter", "Processor time used.", sum(os.times()[:2])),
            ("resident_bytes", "gauge", "Memory in use.", _resident_bytes()),
        ]
        lines = []
        for name, kind, told, value in rows:
            lines += [*_head(name, kind, told), f"taskyard_bridge_{name} {value:.12g}"]
        return lines


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP taskyard_bridge_{name} {told}", f"# TYPE taskyard_bridge_{name} {kind}"]


def _resident_bytes() -> int:
    """0 where the kernel does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
