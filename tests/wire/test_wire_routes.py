"""The table of endpoints is sound."""

import re
from collections import Counter

import pytest

from taskyard.wire.paths import PATHS
from taskyard.wire.routes import BY_OPERATION, ROUTES, Auth, Body, Route

WORDS = re.compile(r"[a-z]+(_[a-z]+)*")
PARAMETER = re.compile(r"\{[a-z]+\}")

MOUNTED = [(route.method, path) for route in ROUTES for path in route.paths]


def overlaps(first: str, second: str) -> bool:
    """Whether a path that the second pattern means would be caught by the first."""
    pattern = re.escape(first).replace(r"\{", "{").replace(r"\}", "}")
    return re.fullmatch(PARAMETER.sub("[^/]+", pattern), second) is not None


def test_operations_are_unique() -> None:
    """An operation names one route."""
    assert len(BY_OPERATION) == len(ROUTES)
    assert list(PATHS) == [route.operation for route in ROUTES]
    assert all(WORDS.fullmatch(route.operation) for route in ROUTES)


def test_places_are_unique() -> None:
    """A method on a path is one route, and parameters do not hide a doublet."""
    shapes = Counter((method, PARAMETER.sub("{}", path)) for method, path in MOUNTED)
    assert [place for place, count in shapes.items() if count > 1] == []


def test_fixed_words_stand_before_parameters() -> None:
    """A router that takes the first match reaches every route."""
    paths = list(dict.fromkeys(path for _, path in MOUNTED))
    hidden = [
        (first, second)
        for index, second in enumerate(paths)
        for first in paths[:index]
        if overlaps(first, second)
    ]
    assert hidden == []


def test_one_path_has_one_spelling_of_its_parameters() -> None:
    """Methods of the same path share it to the letter, so that a router can tell 405 from 404."""
    spellings = {(PARAMETER.sub("{}", path), path) for _, path in MOUNTED}
    assert len(spellings) == len({shape for shape, _ in spellings})


def test_task_routes_are_served_twice() -> None:
    """The nine task routes stand under both prefixes. Source: T1."""
    twice = [route for route in ROUTES if len(route.paths) == 2]
    assert len(twice) == 9
    assert {route.paths for route in twice if route.operation == "get_task"} == {
        ("/api/v2/tasks/{user}/{task}", "/api/experimental/tasks/{user}/{task}")
    }
    assert all(route.auth is Auth.SESSION for route in twice)


def test_no_get_of_a_user_s_tasks() -> None:
    """GET of tasks/{user} is no route, though the path exists. Source: T7."""
    methods = [method for method, path in MOUNTED if path == "/api/v2/tasks/{user}"]
    assert methods == ["POST"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_routes_say_what_they_are(route: Route) -> None:
    """Each route has one sentence and a tag, and a body exactly where its status allows one."""
    assert re.fullmatch(r"[A-Z][^.]+\.", route.summary)
    assert route.tags
    assert (route.response is None) == (route.status == 204 or route.operation == "delete_task")
    assert (route.status == 101) == (route.response is Body.WEBSOCKET)
    assert route.request is None or route.method != "GET"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("create_task", 201),
        ("delete_task", 202),
        ("pause_task", 202),
        ("resume_task", 202),
        ("send_task_input", 204),
        ("update_task_input", 204),
        ("upload_task_log_snapshot", 204),
        ("update_app_status", 200),
        ("login", 201),
        ("upload_file", 201),
        ("delete_key", 204),
        ("create_log_source", 201),
    ],
)
def test_success_codes(operation: str, status: int) -> None:
    """Clients insist on the exact code of success. Source: C4."""
    assert BY_OPERATION[operation].status == status
