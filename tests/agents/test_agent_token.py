"""How a workspace agent gets its token: by a pipe that it empties, else by its environment."""

import os
from pathlib import Path

import pytest

from taskyard_agent.settings import TOKEN, TOKEN_FD, AgentSettings, SettingsInvalid

PLACES = {"TASKYARD_AGENT_URL": "unix:/s", "HOME": "/h", "TASKYARD_TEMPLATE_DIR": "/t"}


def pipe_with(text: bytes) -> int:
    """The end to read from of a pipe that holds this and nothing more."""
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


def test_the_pipe_goes_before_the_environment_and_is_closed() -> None:
    """Its content is the token, and afterwards the descriptor means nothing."""
    reader = pipe_with(b"secret")
    settings = AgentSettings.read({**PLACES, TOKEN_FD: str(reader), TOKEN: "old"})
    assert settings.token == "secret"
    assert not Path(f"/proc/self/fd/{reader}").exists()


def test_a_pipe_that_somebody_emptied_is_an_error() -> None:
    """A second reader gets nothing, and the sentence names the variable."""
    reader = pipe_with(b"")
    with pytest.raises(SettingsInvalid, match=TOKEN_FD):
        AgentSettings.read({**PLACES, TOKEN_FD: str(reader)})


@pytest.mark.parametrize("given", ["", "none", "-1", "99999"])
def test_what_is_no_descriptor_is_an_error(given: str) -> None:
    """Also a number that is not open."""
    with pytest.raises(SettingsInvalid, match=TOKEN_FD):
        AgentSettings.read({**PLACES, TOKEN_FD: given})


def test_without_a_pipe_the_environment_is_read() -> None:
    """As other starters of agents do it."""
    assert AgentSettings.read({**PLACES, TOKEN: "secret"}).token == "secret"
    with pytest.raises(SettingsInvalid, match=TOKEN):
        AgentSettings.read(PLACES)
