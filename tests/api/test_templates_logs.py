"""Logs of imports over the real edge, at once and followed."""

import asyncio
import json

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from tests.api.seed import Api, Json, Person, reason
from tests.api.template_kit import TASK, imported, importing, push, version_of
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

WRONG = b'[tsak]\napp = "a"\n\n[workspace]\nmemroy = "1GiB"\n'
"""A taskyard.toml with two mistakes."""


def follow(api: Api, version: Json, query: str = "follow", by: Person | None = None) -> connect:
    """A connection to the log of a version's import."""
    url = f"{api.url.replace('http', 'ws', 1)}/api/v2/templateversions/{version['id']}/logs?{query}"
    token = (by or api.owner).token
    return connect(url, additional_headers={"Coder-Session-Token": token}, open_timeout=DEADLINE_S)


async def lines_of(socket: ClientConnection) -> list[Json]:
    """Every line until the server closes, which it must do normally."""
    lines = []
    async with asyncio.timeout(DEADLINE_S):
        try:
            while True:
                lines.append(json.loads(await socket.recv()))
        except ConnectionClosedOK:
            return lines


async def test_every_problem_is_an_error_line(api: Api) -> None:
    """File, line and key of each, in the order of the file; ids rise; after leaves out what is known."""
    version = await push(api, WRONG)
    async with importing(api.services):
        await imported(api, version)
    path = f"/api/v2/templateversions/{version['id']}/logs"
    lines = (await api.get(path)).json()
    assert set(lines[0]) == {"id", "created_at", "log_source", "log_level", "stage", "output"}
    errors = [line for line in lines if line["log_level"] == "error"]
    problems = [line["output"] for line in errors if line["log_source"] == "provisioner"]
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["taskyard.toml:1", "tsak"],
        ["taskyard.toml:5", "workspace.memroy"],
    ]
    ids = [line["id"] for line in lines]
    assert ids == sorted(set(ids))
    assert (await api.get(f"{path}?after={ids[1]}")).json() == lines[2:]
    text = await api.get(f"{path}?format=text")
    assert len(text.text.splitlines()) == len(lines)


async def test_a_log_is_followed_from_pending_to_its_end(api: Api) -> None:
    """It opens while nothing was done; at the close the job is over and every line was sent."""
    version = await push(api)
    async with follow(api, version) as socket, importing(api.services):
        lines = await lines_of(socket)
        assert (await version_of(api, version["id"]))["job"]["status"] == "succeeded"
    path = f"/api/v2/templateversions/{version['id']}/logs"
    assert lines == (await api.get(path)).json() != []
    assert len({line["stage"] for line in lines}) == 3


@pytest.mark.parametrize("query", ["follow", "follow=true", "follow=false"])
async def test_a_log_that_is_complete_is_sent_again(api: Api, query: str) -> None:
    """The presence of follow counts, not its value; history, then a normal close."""
    version = await push(api, TASK)
    async with importing(api.services):
        await imported(api, version)
    async with follow(api, version, query) as socket:
        lines = await lines_of(socket)
    assert len(lines) == 3
    async with follow(api, version, f"{query}&after={lines[0]['id']}") as socket:
        assert await lines_of(socket) == lines[1:]


async def test_logs_of_others_are_not_seen(api: Api) -> None:
    """404 for somebody of another organization, before any upgrade."""
    elsewhere = await api.organization("elsewhere")
    stranger = await api.person("eve", organization=elsewhere)
    version = await push(api)
    path = f"/api/v2/templateversions/{version['id']}/logs"
    assert reason(await api.get(path, by=stranger)) == (404, "not_found")
    with pytest.raises(InvalidStatus) as refused:
        async with follow(api, version, by=stranger):
            pass
    assert refused.value.response.status_code == 404
