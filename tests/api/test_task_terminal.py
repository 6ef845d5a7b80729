"""Shells of workspaces: a real shell in a real terminal, over a real link, for who may tell the agent what to do."""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from taskyard_agent.pty_shell import MOST, Shells
from taskyard_agent.stream import Stream
from tests.api.seed import Api, Json
from tests.api.shell_kit import Screen, room
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_a_shell_is_typed_to_and_resized(api: Api, tmp_path: Path) -> None:
    """It has a terminal of its own, begins where it should, follows the caller's size, and ends when it is left."""
    async with room(api, tmp_path) as place, place.door(cols=100, rows=30) as socket:
        screen = Screen(socket)
        await socket.send(b"stty size; pwd; tty\n")
        await screen.until(rf"30 100\s+{re.escape(str(tmp_path))}\s+/dev/pts/\d+")
        assert screen.told[0]["type"] == "opened"
        await socket.send(json.dumps({"type": "resize", "cols": 44, "rows": 11}))
        await socket.send(b"stty size\n")
        await screen.until(r"11 44")
        await socket.send(b"exit\n")
        assert (await screen.ended())["reason"] == "ended"
        assert await api.value("select count(*) from audit_logs where action = 'attach'") == 1


async def test_who_comes_back_finds_the_shell_as_it_was(api: Api, tmp_path: Path) -> None:
    """A shell goes on alone, shows the end of what it wrote, and the newest caller has it."""
    shell = uuid4()
    async with room(api, tmp_path) as place:
        async with place.door(id=shell) as socket:
            await socket.send(b"here=still; echo $((40+2))\n")
            await Screen(socket).until("42")
        async with place.door(id=shell) as socket, place.door(id=shell) as newer:
            screen, first = Screen(newer), Screen(socket)
            await newer.send(b"echo $here-there\n")
            await screen.until("still-there")
            assert "42" in screen.text
            assert screen.told[0] == {"type": "opened", "id": str(shell), "fresh": False}
            assert (await first.ended())["reason"] == "ended"


async def test_long_output_is_whole_and_bounded(api: Api, tmp_path: Path) -> None:
    """Half a megabyte arrive whole for who reads; who comes later gets the last 64 KiB."""
    shell = uuid4()
    async with room(api, tmp_path) as place:
        async with place.door(id=shell) as socket:
            screen = Screen(socket)
            await socket.send(b"stty -echo; seq 1 100000; echo do''ne\n")
            await screen.until("done")
            assert re.search(r"\r1\r\n2\r\n", screen.text)
            assert screen.text.count("\r\n") > 100000
        async with place.door(id=shell) as socket:
            screen = Screen(socket)
            await screen.until("done")
            assert 60 * 1024 <= len(screen.text) <= 66 * 1024


async def test_shells_are_bounded(api: Api, tmp_path: Path) -> None:
    """One more than a workspace may have is refused in words, and those that there are go on."""
    async with room(api, tmp_path) as place:
        doors = [await place.door() for _ in range(MOST)]
        with pytest.raises(InvalidStatus) as refused:
            await place.door()
        assert refused.value.response.status_code == 409
        assert refused.value.response.headers["X-Taskyard-Reason"] == "too_many_shells"
        for door in doors:
            await door.close()


async def test_a_command_is_run_in_place_of_a_shell(api: Api, tmp_path: Path) -> None:
    """It is run by the workspace's bash as one text, and ends the session."""
    async with room(api, tmp_path) as place, place.door(command="echo+$0+%22a++b%22") as socket:
        screen = Screen(socket)
        await screen.ended()
        assert "bash a  b" in screen.text


async def test_what_ends_at_once_is_seen(api: Api, tmp_path: Path) -> None:
    """Who opened it reads what it wrote, however late they come."""
    number = tmp_path / "number"

    async def late(stream: Stream, shells: Shells) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not (number.exists() and number.read_text()):
                await asyncio.sleep(0.01)
            state = Path(f"/proc/{number.read_text().strip()}/stat")
            while state.exists() and b") Z" not in state.read_bytes():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # the loop has heard of its end
        await shells.serve(stream)

    command = quote_plus(f"echo $$ >{number}; echo o''ver")
    async with room(api, tmp_path, serve=late) as place, place.door(command=command) as socket:
        screen = Screen(socket)
        await screen.ended()
        assert "over" in screen.text


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"id": "x"}, "invalid_id"),
        ({"cols": 0}, "size_invalid"),
        ({"cols": 100000}, "size_invalid"),
        ({"rows": "many"}, "invalid_query"),
        ({"command": "x" * 5000}, "command_too_long"),
    ],
)
async def test_what_is_no_shell_is_refused(
    api: Api, tmp_path: Path, query: Json, reason: str
) -> None:
    """What cannot be had is said before anything is opened."""
    async with room(api, tmp_path) as place:
        with pytest.raises(InvalidStatus) as refused:
            await place.door(**query)
        assert refused.value.response.headers["X-Taskyard-Reason"] == reason
