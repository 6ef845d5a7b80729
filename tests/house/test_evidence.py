"""That a run of the tests notes the right things for the page about compatibility."""

import pytest

from tests.compatibility import noted, statements_in, success_of


@pytest.mark.parametrize(
    ("seen", "operation"),
    [
        (("GET", "/api/v2/tasks", 200), "list_tasks"),
        (("GET", "/api/experimental/tasks/me/x", 200), "get_task"),
        (("GET", "/api/v2/users/first", 200), "get_first_user"),
        (("GET", "/api/v2/users/me", 200), "get_user"),
        (("GET", "/api/v2/workspacebuilds/x/logs", 101), "get_workspace_build_logs"),
        (("GET", "/api/v2/tasks", 101), None),
        (("POST", "/api/v2/tasks/me", 200), None),
        (("GET", "/api/v2/nothing", 200), None),
    ],
)
def test_an_answer_belongs_to_a_route(seen: tuple[str, str, int], operation: str | None) -> None:
    """The first route that fits, and only with a status of success; a fixed word beats a parameter."""
    found = success_of(seen)
    assert (found.operation if found else None) == operation


@pytest.mark.parametrize(
    ("nodeid", "statements"),
    [
        ("tests/a.py::test_T20_T21_create", {"T20", "T21"}),
        ("tests/a.py::test_status[T60_no_workspace]", {"T60"}),
        ("tests/a.py::test_body[GET-S9_workspace]", {"S9"}),
        ("tests/a.py::test_A35b_twice[asyncio]", {"A35b"}),
        ("tests/a.py::test_create[T20]", set()),
    ],
)
def test_a_test_is_named_by_statements(nodeid: str, statements: set[str]) -> None:
    """In its own name, or in that of a case."""
    assert statements_in(nodeid) == statements


async def test_an_application_is_noted_and_unchanged() -> None:
    """What it sends goes out as it is."""
    sent = []

    async def app(scope: object, receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 599, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {}

    await noted(app)({"type": "http", "method": "GET", "path": "/x"}, receive, send)
    assert len(sent) == 2
