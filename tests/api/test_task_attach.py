"""Being attached to a coding agent: over a real server, a real link and a real bridge."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from taskyard.wire import attached
from taskyard.wire.attached import AttachTransport
from tests.api.agent_seat import started
from tests.api.attached_kit import APP_PORT, Seen, attached_to, bridged, typed_to
from tests.api.link_kit import running, until
from tests.api.seed import Api
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

M = TypeVar("M")


async def seen(session: Seen, check: Callable[[], object]) -> None:
    """Returns once the check holds of what came."""
    async with asyncio.timeout(DEADLINE_S):
        while not check():
            await session.next()


async def first(session: Seen, kind: type[M]) -> M:
    """The next message of that kind."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message = await session.next()
            if isinstance(message, kind):
                return message


def kinds(session: Seen) -> list[str]:
    """The kinds of the items that came."""
    return [str(item.kind) for item in session.items]


TYPED = "abcdefghijklmnop"
"""One key a message."""


async def test_a_conversation_is_followed_and_steered(api: Api, tmp_path: Path) -> None:
    """What was said before and what comes arrives as items; a prompt, an answer and an interrupt are taken."""
    async with bridged(api, tmp_path) as place, attached_to(api, place.path) as session:
        hello = await first(session, attached.Attached)
        assert (hello.transport, hello.may_type) == (AttachTransport.MESSAGES, True)
        await session.send(attached.AttachPrompt(text="updates 2\nask allow_once,reject_once"))
        await seen(session, lambda: "permission_request" in kinds(session))
        await place.push()
        [asked] = (await api.get(f"{place.path}/permissions")).json()["permissions"]
        option = asked["options"][0]["option_id"]
        await session.send(attached.AttachAnswer(id=asked["id"], option_id=option))
        await seen(session, lambda: "turn_end" in kinds(session))
        assert kinds(session).index("user_message") < kinds(session).index("agent_text")
        await session.send(attached.AttachPrompt(text="wait"))
        await seen(session, lambda: kinds(session).count("user_message") == 2)
        await session.send(attached.AttachInterrupt())
        await seen(session, lambda: kinds(session).count("turn_end") == 2)
        numbers = [item.seq for item in session.items]
        assert numbers == sorted(set(numbers))


async def test_what_cannot_be_done_is_said(api: Api, tmp_path: Path) -> None:
    """A message that is none, one for a terminal, one to a busy coding agent: refused, and the session goes on."""
    async with bridged(api, tmp_path) as place, attached_to(api, place.path) as session:
        for wrong, code in (
            (b"{", "invalid_json"),
            (b'{"type": "dance"}', "invalid_json"),
            (b'{"type": "keys"}', "invalid_json"),
            (attached.AttachKeys(data="x"), "no_terminal"),
            (attached.AttachKeys(data="x" * 70_000), "keys_too_long"),
            (attached.AttachResize(cols=0, rows=5), "size_invalid"),
            (attached.AttachAnswer(id="none"), "permission_unknown"),
        ):
            await session.send(wrong)
            refused = await first(session, attached.AttachRefused)
            assert refused.reason == code, refused
        await session.send(attached.AttachPrompt(text="wait"))
        await session.send(attached.AttachPrompt(text="more"))
        assert (await first(session, attached.AttachRefused)).reason == "busy"
        await session.send(attached.AttachInterrupt())
        await seen(session, lambda: "turn_end" in kinds(session))


async def test_a_terminal_is_seen_and_typed_to(api: Api, tmp_path: Path) -> None:
    """Bytes come as the program wrote them, what led to its screen first; keys and a size go the other way."""
    async with typed_to(api, tmp_path) as place:
        async with attached_to(api, place.path) as session:
            hello = await first(session, attached.Attached)
            assert hello.transport is AttachTransport.TERMINAL
            before = (hello.cols, hello.rows)
            assert before != (100, 30)
            assert min(before) >= 10
            await seen(session, lambda: b"I am ready" in session.bytes)
            await session.send(attached.AttachResize(cols=100, rows=30))
            await session.send(attached.AttachKeys(data="go\r"))
            await seen(session, lambda: b"All of it is done" in session.bytes)
        async with attached_to(api, place.path) as session:
            hello = await first(session, attached.Attached)
            assert (hello.cols, hello.rows) == (100, 30)
            await seen(session, lambda: b"All of it is done" in session.bytes)


async def test_what_was_typed_before_leaving_arrives(api: Api, tmp_path: Path) -> None:
    """Keys that were sent are passed on, also when the caller hangs up right behind them."""
    async with typed_to(api, tmp_path) as place:
        async with attached_to(api, place.path) as session:
            await first(session, attached.Attached)
            for key in TYPED:
                await session.send(attached.AttachKeys(data=key))

        async def shown() -> bool:
            async with place.bridge.get("/v2/screen") as screen:
                return f"> {TYPED}" in await screen.text()

        await until(shown)


async def test_a_caller_who_leaves_costs_nothing(api: Api, tmp_path: Path) -> None:
    """When the client is gone, so is the stream to the bridge, in a terminal at rest too."""
    async with typed_to(api, tmp_path) as place:
        mux = await api.services.links.get(place.seat.agent_id)
        for _ in range(3):
            async with attached_to(api, place.path) as session:
                await first(session, attached.Attached)
        await until(lambda: _no_streams(mux))


async def _no_streams(mux: object) -> bool:
    return not vars(mux)["_streams"]


async def test_the_end_is_said(api: Api, tmp_path: Path) -> None:
    """When the workspace goes, the last message says so, and the socket closes in order."""
    async with bridged(api, tmp_path) as place, attached_to(api, place.path) as session:
        await first(session, attached.Attached)
        await place.agent.link.close()
        ended = await first(session, attached.AttachEnded)
        assert ended.message
        with pytest.raises(ConnectionClosed) as closed:
            await session.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


async def test_a_key_that_was_removed_sees_no_more(api: Api, tmp_path: Path) -> None:
    """Whoever loses the right to look while attached is shown nothing new, and does nothing more."""
    async with bridged(api, tmp_path) as place:
        admin = await api.person("admin", "owner")
        path = place.path.replace("/me/", f"/{place.seat.task['owner_name']}/")
        async with attached_to(api, path, by=admin) as session:
            assert (await first(session, attached.Attached)).may_type
            await api.execute("update users set roles = '{}' where username = 'admin'")
            await until(lambda: _refused_as_unknown(session))


async def _refused_as_unknown(session: Seen) -> bool:
    """Whether the caller's next step is answered as to somebody who sees no such task."""
    await session.send(attached.AttachResize(cols=0, rows=0))
    message = await session.next()
    if isinstance(message, attached.AttachRefused | attached.AttachEnded):
        return message.reason == "not_found"
    return False


async def refusal(api: Api, path: str) -> tuple[int, str]:
    """Status and reason of an upgrade that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with attached_to(api, path):
            pass
    answer = refused.value.response
    return answer.status_code, answer.headers.get("X-Taskyard-Reason", "")


async def test_tasks_that_nobody_is_attached_to(api: Api) -> None:
    """One that does not run, one whose workspace is away, one that is not there: each with its own answer."""
    task = await api.task(await api.template("new"))
    assert await refusal(api, f"/api/v2/tasks/me/{task['id']}") == (409, "task_unreachable")
    seat = await started(api)
    assert await refusal(api, f"/api/v2/tasks/me/{seat.task['id']}") == (502, "agent_unreachable")
    assert await refusal(api, "/api/v2/tasks/me/nothing") == (404, "not_found")


async def test_somebody_elses_server(api: Api) -> None:
    """An AgentAPI server without our routes, or our own of an older release: a clear sentence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"404 page not found\n"
        writer.write(b"HTTP/1.1 404 x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    seat = await started(api)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, running(seat, ports={APP_PORT: server.sockets[0].getsockname()[1]}):
        found = await refusal(api, f"/api/v2/tasks/me/{seat.task['id']}")
    assert found == (400, "attach_unsupported")
