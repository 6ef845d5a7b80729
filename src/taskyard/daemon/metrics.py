"""Figures of a server as Prometheus reads them. Labels are kinds and patterns of routes, never names or ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from taskyard.control.meters import Meters
from taskyard.control.services import Services
from taskyard.control.worker import DATABASE_TROUBLE
from taskyard.db.jobs import JobKind
from taskyard.db.metrics import count_open_jobs_as_system, count_running_workspaces_as_system
from taskyard.server.edge import Edge
from taskyard.server.reach import Reach
from taskyard_agent import __version__

REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds that divide requests: most take some milliseconds, one that waits for an agent takes ten seconds."""

JOB_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds that divide jobs: a sandbox starts in half a second, a slow start script takes minutes."""


class PrometheusMeters(Meters):
    """Keeps what happened since the server started, and what there is at the moment of asking."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._gauge("taskyard_info", "The release.", "version").labels(__version__).set(1)
        route = ("method", "route")
        self._requests = self._counter("taskyard_requests", "Requests answered.", *route, "status")
        self._latency = self._histogram(
            "taskyard_request_seconds", "To the end of an answer.", REQUEST_S, *route
        )
        self._job_s = self._histogram(
            "taskyard_job_seconds", "Of tries by this process.", JOB_S, "kind", "outcome"
        )
        self._items = self._counter("taskyard_transcript_items", "Items that agents sent.")
        self._reaped = self._counter("taskyard_removed", "Old rows that were removed.", "kind")
        self._jobs = self._gauge("taskyard_jobs", "Not over, everywhere.", "kind", "state")
        self._workspaces = self._gauge("taskyard_workspaces_running", "Started, everywhere.")
        self._links = self._gauge("taskyard_links", "Agents connected to this process.")
        self._pool = self._gauge("taskyard_database_connections", "Of this process.", "state")
        self._database = self._gauge("taskyard_database_up", "Whether it answered just now.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    def job(self, kind: str, outcome: str, seconds: float) -> None:
        """A try of a job is over."""
        self._job_s.labels(kind, outcome).observe(seconds)

    def items(self, count: int) -> None:
        """Items were stored."""
        self._items.inc(count)

    def reaped(self, kind: str, count: int) -> None:
        """Old rows were removed."""
        self._reaped.labels(kind).inc(count)

    async def look(self, services: Services) -> None:
        """Sets what is counted at the moment of asking; without a database, only what needs none."""
        self._links.set(services.links.count)
        in_use, idle = services.db.connections
        self._pool.labels("used").set(in_use)
        self._pool.labels("idle").set(idle)
        try:
            async with services.db.connection() as conn:
                jobs = await count_open_jobs_as_system(conn)
                self._workspaces.set(await count_running_workspaces_as_system(conn))
        except DATABASE_TROUBLE:
            self._database.set(0)
            return
        self._database.set(1)
        counts = {(row.type, row.running): row.jobs for row in jobs}
        for kind in JobKind:
            self._jobs.labels(kind, "queued").set(counts.get((kind, False), 0))
            self._jobs.labels(kind, "running").set(counts.get((kind, True), 0))


def metrics_app(services: Services, reach: Reach) -> ASGIApp:
    """An application that answers `GET /metrics` and nothing else."""
    meters = services.meters
    assert isinstance(meters, PrometheusMeters)

    async def metrics(_request: Request) -> Response:
        await meters.look(services)
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    return Edge(Starlette(routes=[Route("/metrics", metrics)]), reach)
