"""What a run of the tests showed: which routes answered well, which statements and clients held.

docs/reference/compatibility.md says what works; a whole run that did not show all of it fails in CI, and says what else elsewhere.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scripts.write_compatibility import declared, named_tests
from taskyard.wire.routes import ROUTES, Route

Seen = tuple[str, str, int]
"""Method, path and status of an answer; 101 is a WebSocket that opened."""

_SEEN: set[Seen] = set()

IN_NAME = re.compile(r"^test_((?:[TUSCAND]\d+b?_)+)")
IN_CASE = re.compile(r"[\[-]([TUSCAND]\d+b?)_")
"""How the name of a test, or of a case of one, holds statements."""

CLIENT = "client"


def saw(method: str, target: str, status: int) -> None:
    """Notes that a request was answered with this status."""
    _SEEN.add((method, target.partition("?")[0].rstrip("/"), status))


def noted(app: ASGIApp) -> ASGIApp:
    """The same application, whose answers are noted."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            match message["type"]:
                case "http.response.start":
                    saw(scope["method"], scope["path"], message["status"])
                case "websocket.accept":
                    saw("GET", scope["path"], 101)
            await send(message)

        await app(scope, receive, sent)

    return called


class WorkerNode(Protocol):
    """What is left of a process of a run in several."""

    workeroutput: dict[str, list[Seen]]


class Evidence:
    """A plugin: gathers what was shown, and doubts at the end of a whole run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: dict[str, set[str]] = defaultdict(set)
        self._clients: dict[str, set[str]] = defaultdict(set)
        self._doubts: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Which client a test is about travels with its reports."""
        for item in items:
            for mark in item.iter_markers(CLIENT):
                item.user_properties.append((CLIENT, mark.args[0]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps how each test went; a skip shows in its set-up or in its call."""
        if report.when == "call" or report.skipped:
            self._results[report.nodeid].add(report.outcome)
            for name, value in report.user_properties:
                if name == CLIENT:
                    self._clients[str(value)].add(report.outcome)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerNode) -> None:
        """Takes over what another process of the run saw."""
        _SEEN.update((m, t, s) for m, t, s in getattr(node, "workeroutput", {}).get("seen", []))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Hands over what this process saw, or judges the whole."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["seen"] = sorted(_SEEN)
        elif exitstatus == pytest.ExitCode.OK and self._is_whole():
            self._doubts = [*self._unshown_routes(), *self._unheld()]
            if self._doubts and os.environ.get("CI"):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says what docs/reference/compatibility.md claims and nobody showed."""
        if self._doubts:
            terminalreporter.section("the compatibility page says more than was shown")
            for doubt in self._doubts:
                terminalreporter.line(doubt)

    def _is_whole(self) -> bool:
        option = self._config.option
        narrowed = option.markexpr or option.keyword or option.deselect
        narrowed = narrowed or getattr(option, "lf", False)
        return not narrowed and self._config.args == self._config.getini("testpaths")

    def _unshown_routes(self) -> Iterator[str]:
        shown = {route.operation for seen in _SEEN if (route := success_of(seen)) is not None}
        for route in ROUTES:
            if route.operation not in shown:
                yield f"{route.method} {route.path}: no test got a {route.status} from it"

    def _unheld(self) -> Iterator[str]:
        held = {
            name
            for nodeid, outcomes in self._results.items()
            if outcomes == {"passed"}
            for name in statements_in(nodeid)
        }
        yield from (
            f"{name}: its test did not pass" for name in sorted(named_tests().keys() - held)
        )
        for client in declared().client:
            if self._clients.get(client.name) != {"passed"}:
                yield f"{client.name}: its tests were not all run"


def statements_in(nodeid: str) -> set[str]:
    """The statements that a test is named by."""
    name = nodeid.rpartition("::")[2]
    head = IN_NAME.match(name)
    return {one for one in (head[1] if head else "").split("_") if one} | set(IN_CASE.findall(name))


def success_of(seen: Seen) -> Route | None:
    """The route that this is a success of."""
    method, path, status = seen
    for route in ROUTES:
        if route.method == method and any(matches(pattern, path) for pattern in route.paths):
            wanted = {route.status, *([101] if route.websocket else [])}
            return route if status in wanted else None
    return None


def matches(pattern: str, path: str) -> bool:
    """Whether a path is one of a route."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) is not None
