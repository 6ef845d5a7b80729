"""What a bridge says of a prompt that comes again: its own record decides, and where that is lost it says so."""

import json
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.session_file import BOOT_ID, Session, SessionFile
from tests.agents.bridge_kit import bridge, stable
from tests.agents.v2_kit import items_on_disk, until_state

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def send(
    client: aiohttp.ClientSession, prompt_id: str, *, after: str | None = None
) -> tuple[int, str]:
    """Status and code of a message under this id, as a server sends it."""
    headers = {"X-Taskyard-Prompt-Id": prompt_id}
    headers |= {} if after is None else {"X-Taskyard-Prompt-After": after}
    body = {"content": "updates 1", "type": "user"}
    async with client.post("/message", json=body, headers=headers) as answer:
        return answer.status, answer.headers.get("X-Agentapi-Code", "")


def messages(home: Path) -> list[object]:
    """The ids of all messages of people, in order."""
    items = items_on_disk(home)
    found = [i["data"] for i in items if i["kind"] == "user_message"]
    return [data["prompt_id"] for data in found if isinstance(data, dict)]


def left_behind(home: Path, *, boot: str, transport: str = "acp") -> None:
    """A prompt was taken by a run that was killed before it wrote the message down."""
    folder = home / ".taskyard"
    folder.mkdir()
    session = {"transport": transport}
    stored = {"session": session, "prompts": {"p1": "taken"}, "boot": boot}
    (folder / "session.json").write_text(json.dumps(stored))


async def test_N18_what_certainly_did_not_arrive_is_taken_again(tmp_path: Path) -> None:
    """A crash between the id and the message: nobody got it, so the same id is worked on, once."""
    left_behind(tmp_path, boot=BOOT_ID.read_text().strip())
    async with bridge(tmp_path) as client:
        await stable(client)
        assert await send(client, "p1", after="0") == (200, "")
        await until_state(client, "p1", "done")
        assert await send(client, "p1", after="0") == (200, "")
    assert messages(tmp_path) == ["p1"]


@pytest.mark.parametrize(("boot", "transport"), [("another", "acp"), ("", "acp"), (None, "pty")])
async def test_N18_what_may_have_arrived_is_not_taken_again(
    tmp_path: Path, boot: str | None, transport: str
) -> None:
    """After a power cut, and with a terminal, nobody can tell: it is refused by a word, again and again."""
    left_behind(
        tmp_path, boot=BOOT_ID.read_text().strip() if boot is None else boot, transport=transport
    )
    for _ in range(2):
        async with bridge(tmp_path) as client:
            await stable(client)
            assert await send(client, "p1") == (500, "lost")
    assert messages(tmp_path) == []


async def test_N18_a_record_that_does_not_reach_back(tmp_path: Path) -> None:
    """A home that was lost knows of no prompt: one that may have been sent before is refused, a new one is not."""
    async with bridge(tmp_path) as client:
        await stable(client)
        last = items_on_disk(tmp_path)[-1]["seq"]
        assert await send(client, "p1", after=str(int(str(last)) + 100)) == (500, "lost")
        assert await send(client, "p1", after=str(last)) == (200, "")
        await until_state(client, "p1", "done")
        await stable(client)
        assert await send(client, "p2", after="nonsense") == (200, "")
    assert messages(tmp_path) == ["p1", "p2"]


async def test_a_lost_prompt_stays_lost(tmp_path: Path) -> None:
    """What is stored of it survives, and it is not unfinished any more."""
    path = tmp_path / "session.json"
    file = SessionFile(path)
    await file.save(Session(agent="x"))
    assert await file.prompt_taken("p1")
    assert file.unfinished() == ["p1"]
    await file.prompt_lost("p1")
    again = SessionFile(path)
    assert (again.same_boot, again.unfinished(), again.prompt_state("p1")) == (True, [], "lost")
    assert not await again.prompt_taken("p1")
