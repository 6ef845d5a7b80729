"""The terminal over `/v2`: its screen, keys, size and log."""

import asyncio
import sys
from pathlib import Path

import pytest

from taskyard_agent.bridge.errors import Problem
from taskyard_agent.bridge.v2.keys import NAMED, typed
from tests.agents.bridge_kit import event, exchange
from tests.agents.terminal_kit import Made, script, step, terminal
from tests.agents.v2_kit import get, post, refused
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

ECHO = """
import os, sys, termios, tty
tty.setraw(0)
os.write(1, b"ready")
while True:
    data = os.read(0, 1000)
    size = os.get_terminal_size(0)
    os.write(1, f" {data.hex()} {size.columns}x{size.lines}".encode())
"""
"""A program that shows each key in hex, and the size of its terminal."""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def screen(made: Made, part: str) -> str:
    """The screen, once that is on it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with made.client.get("/v2/screen") as answer:
                assert answer.status == 200
                text = await answer.text()
            if part in text:
                return text
            await asyncio.sleep(0.005)


def test_keys() -> None:
    """Keys have names, control and meta keys are written with a dash, and a character is itself."""
    assert typed(["a", "ü", "Enter", "C-c", "C-[", "M-x", "M-Up"]) == "aü\r\x03\x1b\x1bx\x1b\x1b[A"
    assert typed(list(NAMED)) == "".join(NAMED.values())
    for name in ("", "enter", "C-", "C-1", "M-", "F99"):
        with pytest.raises(Problem):
            typed([name])


async def test_A35_N30_input(tmp_path: Path) -> None:
    """Characters and keys reach the program as they are, at any status."""
    async with terminal(tmp_path, None, command=[sys.executable, "-c", ECHO]) as made:
        await screen(made, "ready")
        await post(made.client, "/v2/terminal/input", {"data": "\x1b[A\r"})
        await screen(made, "1b5b410d")
        await post(made.client, "/v2/terminal/input", {"keys": ["Up", "C-c"]})
        await screen(made, "1b5b4103")
        for body in ({}, {"data": "x", "keys": []}, {"keys": ["Nope"]}, {"data": 1}):
            async with made.client.post("/v2/terminal/input", json=body) as answer:
                await refused(answer, 422, "invalid")


async def test_A15_resize(tmp_path: Path) -> None:
    """The program has the new size; one that is too small or too large is refused."""
    async with terminal(tmp_path, None, command=[sys.executable, "-c", ECHO]) as made:
        await screen(made, "ready")
        assert (await get(made.client, "/v2/session"))["terminal"] == {"cols": 80, "rows": 60}
        await post(made.client, "/v2/terminal/resize", {"cols": 101, "rows": 33})
        assert (await get(made.client, "/v2/session"))["terminal"] == {"cols": 101, "rows": 33}
        await post(made.client, "/v2/terminal/input", {"data": "x"})
        await screen(made, "78 101x33")
        for body in ({"cols": 9, "rows": 33}, {"cols": 101, "rows": 5001}, {"cols": 101}):
            async with made.client.post("/v2/terminal/resize", json=body) as answer:
                await refused(answer, 422, "invalid")


async def test_N27_log(tmp_path: Path) -> None:
    """The log is every byte that the program wrote, from any offset, at once or as it comes."""
    async with terminal(tmp_path, None, command=[sys.executable, "-c", ECHO]) as made:
        await screen(made, "ready")
        async with made.client.get("/v2/terminal/log") as answer:
            assert answer.content_type == "application/octet-stream"
            assert (answer.headers["X-Log-Offset"], answer.headers["X-Log-End"]) == ("0", "5")
            assert await answer.read() == b"ready"
        async with made.client.get("/v2/terminal/log?offset=3") as answer:
            assert await answer.read() == b"dy"
        async with made.client.get("/v2/terminal/log?offset=99") as answer:
            assert (answer.headers["X-Log-Offset"], await answer.read()) == ("5", b"")
        async with made.client.get("/v2/terminal/log?offset=5&follow=1") as answer:
            await post(made.client, "/v2/terminal/input", {"data": "a"})
            assert await answer.content.readexactly(3) == b" 61"
            await post(made.client, "/v2/terminal/input", {"data": "b"})
            async with asyncio.timeout(DEADLINE_S):
                await answer.content.readuntil(b" 62")
        async with made.client.get("/v2/terminal/log?offset=-1") as answer:
            await refused(answer, 422, "invalid")


async def test_N27_a_followed_log_ends(tmp_path: Path) -> None:
    """Whoever follows the log sees its end when the bridge stops."""
    command = [sys.executable, "-c", ECHO]
    request = b"GET /v2/terminal/log?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with asyncio.TaskGroup() as tasks, terminal(tmp_path, None, command=command) as made:
        await screen(made, "ready")
        raw = tasks.create_task(exchange(made.client, request))
        async with asyncio.timeout(DEADLINE_S):
            while "open_streams 1\n" not in await (await made.client.get("/metrics")).text():
                await asyncio.sleep(0.005)
    assert b"ready" in await raw
    assert (await raw).endswith(b"\r\n0\r\n\r\n")


async def test_A7_A15_screen(tmp_path: Path) -> None:
    """The screen is the grid, trimmed at its end; `/internal/screen` tells it when it changes."""
    async with terminal(tmp_path, None, command=[sys.executable, "-c", ECHO]) as made:
        text = await screen(made, "ready")
        assert text == "ready"
        async with made.client.get("/internal/screen") as stream:
            assert await event(stream) == ("screen", {"screen": "ready"})
            await post(made.client, "/v2/terminal/input", {"data": "a"})
            name, told = await event(stream)
            assert name == "screen"
            assert str(told["screen"]).startswith("ready 61")


async def test_N37_dialog_open(tmp_path: Path) -> None:
    """With a dialog on its screen a prompt is a 409 that says so, and nothing is typed."""
    played = script(
        step("go", "done", dialog="Do you want to proceed?\r\n\u276f 1. Yes\r\n  2. No")
    )
    async with terminal(tmp_path, played, kind="claude") as made:
        await made.stable()
        await made.say("go")
        await made.state("awaiting_input")
        async with made.client.post("/v2/prompts", json={"text": "x"}) as answer:
            await refused(answer, 409, "dialog_open")
        assert (await get(made.client, "/v2/session"))["state"] == "awaiting_input"


async def test_N37_text_only(tmp_path: Path) -> None:
    """A terminal takes blocks of text; any other block is refused."""
    async with terminal(tmp_path, script(step("a\nb", "fine"))) as made:
        await made.stable()
        image = {"type": "image", "data": "AA==", "mimeType": "image/png"}
        async with made.client.post("/v2/prompts", json={"blocks": [image]}) as answer:
            await refused(answer, 422, "text_only")
        blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        found = await post(made.client, "/v2/prompts", {"blocks": blocks}, 202)
        assert found["position"] == 0
        await made.stable()
        assert (await made.messages())[1] == ("user", "a\nb")


async def test_session_of_a_terminal(tmp_path: Path) -> None:
    """A session with a terminal has no ACP, and no permissions to answer."""
    async with terminal(tmp_path, script()) as made:
        await made.stable()
        found = await get(made.client, "/v2/session")
        assert (found["state"], found["transport"], found["acp"]) == ("idle", "pty", None)
        assert (await get(made.client, "/v2/permissions"))["permissions"] == []
        answer = await made.client.post("/v2/permissions/x", json={"option_id": "y"})
        await refused(answer, 404, "unknown")
