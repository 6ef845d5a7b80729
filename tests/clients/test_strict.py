"""That the reader of the other tests is as strict as it should be."""

import json

import pytest

from tests.clients import shapes
from tests.clients.strict import DecodeError, Json, conform, decode_go

JSON = "application/json; charset=utf-8"

ID = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workspace_id", {"uuid": ID, "valid": True}),
        ("workspace_id", ""),
        ("workspace_build_number", "1"),
        ("workspace_build_number", 1.0),
        ("created_at", ""),
        ("created_at", 1700000000),
        ("name", 1),
        ("workspace_agent_health", []),
        ("current_state", "idle"),
    ],
)
def test_a_strict_client_cannot_read(key: str, value: Json) -> None:
    """A value of another type is an error, wherever it stands."""
    with pytest.raises(DecodeError, match=key):
        decode_go(shapes.TASKS, json.dumps({"tasks": [{key: value}]}).encode(), JSON)


def test_unknown_missing_and_null_are_fine() -> None:
    """Keys that nobody knows are passed over; null and missing ones are zero."""
    decode_go(shapes.TASK, b'{"workspace_id": null, "of_tomorrow": {"x": 1}}', JSON)


@pytest.mark.parametrize(
    "media_type", ["text/plain; charset=utf-8", "application/problem+json", ""]
)
def test_another_media_type_is_an_error(media_type: str) -> None:
    """Nothing but application/json is read."""
    with pytest.raises(DecodeError, match="media type"):
        decode_go(shapes.ERROR, b'{"message": "no"}', media_type)


@pytest.mark.parametrize("change", [{"current_state": {"state": "failure"}}, {"template_id": None}])
def test_the_action_wants_more(change: Json) -> None:
    """The action refuses null for an id, a missing key, and words that it does not know."""
    task = {
        "id": ID,
        "owner_id": ID,
        "template_id": ID,
        "name": "gh-1",
        "created_at": "x",
        "updated_at": "x",
        "status": "active",
        "current_state": None,
    }
    conform(shapes.ACTION_TASK, task, null=False)
    for wrong in (task | change, {k: v for k, v in task.items() if k != "current_state"}):
        with pytest.raises(DecodeError):
            conform(shapes.ACTION_TASK, wrong, null=False)
