"""The state file of AgentAPI, version 1: a conversation that can be taken elsewhere. Source: agentapi 4.9."""

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

VERSION = 1


class StateMessage(msgspec.Struct, frozen=True):
    """One message; the key of its text is `message` here."""

    id: int
    message: str
    role: Literal["user", "agent"]
    time: datetime


class State(msgspec.Struct, frozen=True):
    """A conversation, oldest message first, and whether its first prompt is part of it."""

    version: int
    messages: list[StateMessage] = []
    initial_prompt: str = ""
    initial_prompt_sent: bool = False


class StateUnreadable(Exception):
    """There is a file, and it says nothing that can be used; str() is a sentence."""


def load(path: Path) -> State | None:
    """What the file says; None when there is none. Raises StateUnreadable. Source: A43."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateUnreadable(f"The state file {path} cannot be read: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateUnreadable(f"The state file {path} makes no sense: {error}") from error
    if state.version != VERSION:
        raise StateUnreadable(
            f"The state file {path} has version {state.version}; only {VERSION} is understood."
        )
    return state


def save(path: Path, state: State) -> None:
    """The file holds the state, and is on stable storage. Raises OSError. Source: A42."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.tmp")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
