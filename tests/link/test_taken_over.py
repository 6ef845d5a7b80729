"""A link that stood still while its workspace became another generation."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from taskyard_agent.handover import Inbox, NewToken
from taskyard_agent.link import LeaseLapsed, Link, LinkTarget
from taskyard_agent.mux import Handlers
from taskyard_agent.protocol import Welcome
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def never(_: Welcome) -> None:
    raise AssertionError("nobody is there")


async def test_news_are_looked_for_before_the_lease_counts(tmp_path: Path) -> None:
    """Whose lease ran out while it stood still goes on with its new token; without one it ends."""
    read, write = os.pipe()
    inbox = Inbox(read)
    taken: list[str] = []

    def look() -> None:
        if (news := inbox.take()) is not None:
            taken.append(news.token)
            link.take_over(news.token)

    target = LinkTarget(f"unix:{tmp_path}/nobody.sock", "old")
    link = Link(target, "1", Handlers(), never, first_lease_s=0.05, look_for_news=look)
    for token in ("older", "new"):  # a try of a worker that died, then another
        os.write(write, json.dumps({"generation": 2, "token": token}).encode() + b"\n")
    with pytest.raises(LeaseLapsed):
        async with asyncio.timeout(DEADLINE_S):
            await link.run()
    assert taken == ["new"]
    assert not link.is_taken_over
    os.close(write)
    os.close(read)


def test_what_comes_through_the_pipe() -> None:
    """The newest whole message counts; what is none, and an empty pipe, are nothing."""
    read, write = os.pipe()
    inbox = Inbox(read)
    assert inbox.take() is None
    os.write(write, b'{"generation": 2, "token": "a"}\n{"generation": 3, "token": "b"}\n')
    assert inbox.take() == NewToken(3, "b")
    for junk in (b"\n", b"{}\n", b"\xff\n", b'{"generation": "x", "token": 1}\n'):
        os.write(write, junk)
        assert inbox.take() is None
    assert not os.get_inheritable(read)
    assert Inbox(None).take() is None
    os.close(write)
    os.close(read)
