"""What people without a right, hostile pages and hostile workspaces try with terminals. Real shells, real sockets."""

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from taskyard.control.services import Services
from taskyard_agent.mux import Handlers, Stream
from taskyard_agent.protocol import ShellOpen, ShellOpened
from taskyard_agent.pty_shell import Shells
from tests.api.conftest import serving
from tests.api.seed import Api, Json, connected
from tests.api.shell_kit import Screen, room
from tests.security.hostile import HostileWorld

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


@pytest.mark.attack(
    "a terminal opened without a token, with another's, an agent's, or by a foreign page",
    wall="the session, the permission of who may steer the task, and Origin",
)
async def test_who_gets_no_terminal(api: Api, tmp_path: Path) -> None:
    """Strangers hear that there is no such task; readers too; pages of other origins that they may not."""
    there = await api.organization("elsewhere")
    stranger = await api.person("stranger", organization=there)
    others = [
        (await api.person("mate"), 404),
        (stranger, 404),
        (await api.person("auditor", "auditor"), 404),
        (await api.person("templater", "template-admin"), 404),
    ]
    async with room(api, tmp_path) as place:
        found = []
        for person, status in others:
            with pytest.raises(InvalidStatus) as refused:
                await place.door(by=person)
            found.append((person.username, refused.value.response.status_code, status))
        assert all(status == wanted for _, status, wanted in found), found
        cookie = {"Cookie": f"coder_session_token={api.owner.token}"}
        for headers, status in (
            ({}, 401),
            ({"Coder-Session-Token": "x" * 10 + "-" + "y" * 22}, 401),
            ({"Coder-Session-Token": place.seat.token}, 401),
            ({**cookie, "Origin": "http://shell--x.localhost:7081"}, 403),
            ({**cookie, "Origin": "null"}, 403),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await place.door(headers=headers)
            assert refused.value.response.status_code == status, headers
        assert await api.value("select count(*) from audit_logs where action = 'attach'") == 0
        async with place.door(headers={**cookie, "Origin": api.url}):
            pass  # the page of ours gets in: what was refused was the origin


@pytest.mark.attack(
    "the id of somebody's shell shown at one's own workspace",
    wall="ids are known in their workspace only",
)
async def test_ids_of_shells_lead_nowhere_else(api: Api, tmp_path: Path) -> None:
    """Another workspace has another shell of that id, which knows nothing."""
    shell = uuid4()
    async with room(api, tmp_path) as victim, room(api, tmp_path) as own:
        async with victim.door(id=shell) as socket:
            await socket.send(b"secret=planted; echo is-$secret\n")
            await Screen(socket).until("is-planted")
        async with own.door(id=shell) as socket:
            screen = Screen(socket)
            await socket.send(b"echo [$secret]\n")
            await screen.until(r"\[\]")
            assert screen.told[0]["fresh"]


@pytest.mark.attack(
    "a terminal kept open after signing out", wall="who types or looks is asked for again"
)
async def test_terminals_end_with_the_key(api: Api, tmp_path: Path) -> None:
    """Within seconds of the key's end nothing typed reaches the shell, and the session is over."""
    async with room(api, tmp_path) as place, place.door() as socket:
        screen = Screen(socket)
        await socket.send(b"echo rea''dy\n")
        await screen.until("ready")
        await api.execute("delete from api_keys")
        ended = await _typing_until_ended(screen)
        assert ended["reason"] == "key_unknown"
        marks = re.findall(r"typed-\d+", screen.text)
        assert len(marks) < 100  # of what was typed later nothing came back


async def _typing_until_ended(screen: Screen) -> Json:
    """The last thing that is told to somebody who types on."""

    async def type_on() -> None:
        with contextlib.suppress(ConnectionClosed):
            for number in range(1000):
                await screen.socket.send(b"echo typed-%d\n" % number)
                await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        typing = group.create_task(type_on())
        ended = await screen.ended()
        typing.cancel()
    return ended


@pytest.mark.attack(
    "messages that are no keys: huge, broken, nested", wall="sizes and shapes are checked"
)
@pytest.mark.parametrize(
    "message",
    ["{", "[" * 5000, '{"type":"resize","cols":1e9,"rows":1}', '{"type":"exec"}', b"x" * 70_000],
)
async def test_odd_messages_end_the_session(api: Api, tmp_path: Path, message: str | bytes) -> None:
    """What makes no sense is answered by the end of the terminal's line, and of nothing else."""
    async with room(api, tmp_path) as place:
        async with place.door() as socket:
            await socket.send(message)
            assert (await Screen(socket).ended())["reason"] in ("invalid_json", "size_invalid")
        async with place.door() as socket:
            await socket.send(b"echo st''ill\n")
            await Screen(socket).until("still")


@pytest.mark.attack(
    "a workspace that answers for a shell with the number of a port, or floods who looks",
    wall="the number leads into the same workspace, and bytes wait for whoever reads",
)
async def test_hostile_agents_gain_nothing(api: Api, tmp_path: Path) -> None:
    """The server opens a stream to that workspace and no other, and holds no more than the stream's window."""
    flooded = 0

    async def lie(_order: ShellOpen) -> ShellOpened:
        return ShellOpened(22, fresh=True)

    async def flood(stream: Stream, _: Shells) -> None:
        nonlocal flooded
        if stream.port != 22:  # the server looks for the bridge, which is not there
            return
        await stream.accept()
        while True:
            await stream.write(secrets.token_bytes(10_000))  # what is packed does not get smaller
            flooded += 10_000

    handlers = Handlers()
    handlers.add("shell_open", ShellOpen, lie)
    async with room(api, tmp_path, handlers=handlers, serve=flood) as place, place.door() as socket:
        assert json.loads(await socket.recv())["type"] == "opened"
        before = -1
        async with asyncio.timeout(60):
            while flooded != before:  # until it has to wait for us
                before = flooded
                await asyncio.sleep(0.2)
        assert flooded < 32 * 1024 * 1024
        assert await socket.recv()


@pytest.mark.attack(
    "a person's terminal as a way past the walls",
    wall="the shell is a program of the workspace like any",
)
@pytest.mark.all_tier
def test_a_real_shell_is_within_the_walls(hostile_world: HostileWorld) -> None:
    """Through a whole server: no capability, no token, no other process, no file of the server; and not for the victim."""
    hostile = hostile_world
    hostile.world.active(hostile.attackers.id, client=hostile.attacker)
    command = (
        "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; env | grep -c TASKYARD_AGENT_TOKEN; "
        f"ls {hostile.world.server.data_dir} 2>&1; ls /proc | grep -c '^[0-9]'; tty; echo over"
    )
    shown = b""
    with hostile.attacker.open_terminal("me", hostile.attackers.id, command=command) as socket:
        while b"over\r\n" not in shown:
            message = socket.recv(60)
            shown += message if isinstance(message, bytes) else b""
    text = shown.decode()
    assert re.search(r"CapEff:\s+0000000000000000", text)
    assert re.search(r"NoNewPrivs:\s+1", text)
    assert re.search(r"Seccomp:\s+2", text)
    assert "No such file" in text
    assert re.search(r"/dev/pts/\d", text)
    assert hostile.canary.of("server-file") not in text
    lines = text.split("\r\n")
    assert lines[3] == "0"
    processes = next(int(line) for line in lines[4:] if line.isdecimal())
    assert 0 < processes < 30
