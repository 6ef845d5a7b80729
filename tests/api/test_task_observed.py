"""What clients see of a coding agent while a real bridge observes it and its report tool speaks."""

from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from tests.api.agent_seat import started
from tests.api.attached_kit import Bridged, bridged
from tests.api.link_kit import item, running, until
from tests.api.seed import Api

pytestmark = pytest.mark.anyio


async def shown(place: Bridged) -> tuple[str, str, str]:
    """State, message and link of the task."""
    state = (await place.fresh())["current_state"]
    return state["state"], state["message"], state["uri"]


async def comes_to(place: Bridged, word: str) -> None:
    """Returns once the task is in that state."""

    async def is_there() -> bool:
        return (await shown(place))[0] == word

    await until(is_there)


async def test_a_report_is_shown_when_the_turn_is_over(api: Api, tmp_path: Path) -> None:
    """Complete only at the end, in the coding agent's words and with its link; work again makes it void."""
    async with bridged(api, tmp_path) as place:
        await place.say("wait")
        await comes_to(place, "working")
        said = {"summary": "All done", "link": "https://example.com/7", "outcome": "complete"}
        async with place.bridge.post("/v2/report", json=said) as answer:
            assert answer.status == 200, await answer.text()
        assert await shown(place) == ("working", "All done", "https://example.com/7")
        async with place.bridge.post("/v2/cancel") as answer:
            assert answer.status == 202
        await comes_to(place, "complete")
        assert await shown(place) == ("complete", "All done", "https://example.com/7")
        workspace = (await api.get(f"/api/v2/workspaces/{place.seat.task['workspace_id']}")).json()
        assert workspace["latest_app_status"]["state"] == "complete"
        await place.say("echo again")
        await comes_to(place, "idle")
        assert "All done" not in (await shown(place))[1]


async def test_a_turn_that_fails_is_failed_until_the_next(api: Api, tmp_path: Path) -> None:
    """The cause is told, and a message after it is taken as ever. Source: T81."""
    async with bridged(api, tmp_path) as place:
        # A bridge refuses it where its coding agent fails within moments, which a busy one may not.
        said = {"content": "error", "type": "user"}
        async with place.bridge.post("/message", json=said) as answer:
            assert answer.status in (200, 500)
        await comes_to(place, "failed")
        assert "failed" in (await shown(place))[1]
        assert (await api.post(f"{place.path}/send", {"input": "echo on"})).status_code == 204
        await comes_to(place, "idle")


async def test_a_question_on_the_screen_is_waited_for(api: Api) -> None:
    """A dialog is shown by what it asks, without an id: it has no options, keys answer it. Work goes on after."""
    seat = await started(api)
    asked = b'{"kind": "dialog", "id": "", "title": "Do you trust this folder?"}'
    async with running(seat) as agent:
        data = b'{"state": "waiting", "session": "awaiting_input", "waiting": %s}' % asked
        assert await agent.items(item(1, ItemKind.STATE, data)) == 1
        task = await api.fresh(seat.task)
        wanted = {"kind": "dialog", "id": "", "title": "Do you trust this folder?"}
        assert (task["waiting_for"], task["status"]) == (wanted, "active")
        assert task["current_state"]["state"] == "working"
        path = f"/api/v2/tasks/me/{seat.task['id']}"
        assert (await api.get(f"{path}/permissions")).json()["permissions"] == []
        data = b'{"state": "working", "session": "running"}'
        await agent.items(item(2, ItemKind.STATE, data))
        task = await api.fresh(seat.task)
        assert "waiting_for" not in task
        assert task["current_state"]["state"] == "working"


async def test_a_status_that_a_program_sends_counts_as_ever(api: Api, tmp_path: Path) -> None:
    """With our bridge too, the newest status of any app is what clients see. Source: T85, T147."""
    async with bridged(api, tmp_path) as place:
        await comes_to(place, "idle")
        assert (await place.seat.report(state="complete", message="by hand")).status_code == 200
        assert await shown(place) == ("complete", "by hand", "")
        await place.say("echo on")
        await comes_to(place, "idle")
