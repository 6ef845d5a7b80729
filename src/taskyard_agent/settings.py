"""What a workspace agent is told by its environment, and what it tells its children by theirs."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.protocol import Manifest

URL = "TASKYARD_AGENT_URL"
TOKEN = "TASKYARD_AGENT_TOKEN"  # noqa: S105 - the name, not the token
TOKEN_FD = "TASKYARD_AGENT_TOKEN_FD"  # noqa: S105 - the name, not the token
"""Names the descriptor of a pipe with the token, where no other program can find it in an environment."""
TEMPLATE_DIR = "TASKYARD_TEMPLATE_DIR"
STOP_GRACE = "TASKYARD_STOP_GRACE_S"
START_SCRIPT = "TASKYARD_START_SCRIPT_S"
CONFINED = "TASKYARD_CONFINED"
"""Set to 1 by a driver whose walls stand: no network but the server's sockets, no files but the workspace's."""
HANDOVER_FD = "TASKYARD_HANDOVER_FD"
"""Names the descriptor of a pipe from which another generation's token comes, in a workspace that may be frozen."""
WAY_OUT = "TASKYARD_WAY_OUT"
"""Set to 1 by a driver in whose workspace every address is the workspace itself, and any port may be listened on."""

ATTEMPTS_FD = "TASKYARD_ATTEMPTS_FD"
"""Names the descriptor of a socket on which is seen where programs tried to go that is not listed."""

STOP_GRACE_S = 5.0
"""Seconds from SIGTERM until the workspace is killed, unless the environment says otherwise."""

START_SCRIPT_S = 1800.0
"""Seconds that the start script may take, unless the environment says otherwise: half an hour builds most things, and
one that never ends is noticed within a morning."""


class SettingsInvalid(Exception):
    """The environment lacks something, or it makes no sense; str() is a sentence."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Where the server is, who this agent is, and where things lie."""

    url: str
    token: str
    home: Path
    template_dir: Path
    stop_grace_s: float
    confined: bool = False
    start_script_s: float = START_SCRIPT_S
    way_out: bool = False
    handover_fd: int | None = None
    attempts_fd: int | None = None

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "AgentSettings":
        """The settings in an environment; the token is taken out of its pipe. Raises SettingsInvalid."""
        return cls(
            url=_needed(env, URL),
            token=_token(env),
            home=Path(_needed(env, "HOME")),
            template_dir=Path(_needed(env, TEMPLATE_DIR)),
            stop_grace_s=_seconds(env, STOP_GRACE, STOP_GRACE_S),
            confined=env.get(CONFINED) == "1",
            start_script_s=_seconds(env, START_SCRIPT, START_SCRIPT_S),
            way_out=env.get(WAY_OUT) == "1",
            handover_fd=_descriptor(env, HANDOVER_FD),
            attempts_fd=_descriptor(env, ATTEMPTS_FD),
        )


def child_env(
    env: Mapping[str, str], settings: AgentSettings, manifest: Manifest
) -> dict[str, str]:
    """The environment of scripts, apps and the coding agent: ours, the template's, and who they are.

    Without the agent's token: what a coding agent runs must not speak for the workspace.
    """
    kept = {TOKEN, TOKEN_FD, HANDOVER_FD, ATTEMPTS_FD}
    own = {name: value for name, value in env.items() if name not in kept}
    who = {
        "TASKYARD_WORKSPACE_NAME": manifest.workspace_name,
        "TASKYARD_OWNER_NAME": manifest.owner_name,
        "TASKYARD_PYTHON": sys.executable,
        TEMPLATE_DIR: str(settings.template_dir),
        "HOME": str(settings.home),
        CONFINED: "1" if settings.confined else "0",  # for the driver to say, never for a template
    }
    if manifest.task_id is not None:
        who["TASKYARD_TASK_ID"] = str(manifest.task_id)
    if manifest.repository is not None:
        who["TASKYARD_REPOSITORY"] = str(settings.home / manifest.repository.folder)
    # A driver may know the workspace's processes by this name's value: it stays as it came.
    return {"TASKYARD_WORKSPACE_ID": str(manifest.workspace_id)} | own | manifest.env | who


def _token(env: Mapping[str, str]) -> str:
    """The token, from the pipe that is there for it, else from the environment."""
    if TOKEN_FD not in env:
        return _needed(env, TOKEN)
    given = env[TOKEN_FD]
    try:
        with os.fdopen(int(given), "r") as pipe:
            token = pipe.read()
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            f"{TOKEN_FD} is {given!r}, which is no open pipe ({error})."
        ) from None
    if not token:
        raise SettingsInvalid(f"The pipe that {TOKEN_FD} names is empty: it can be read once.")
    return token


def _descriptor(env: Mapping[str, str], name: str) -> int | None:
    """The number of an open descriptor, None where none is named."""
    given = env.get(name)
    if not given:
        return None
    if not given.isdecimal():
        raise SettingsInvalid(f"{name} must be the number of a descriptor, not {given!r}.")
    return int(given)


def _seconds(env: Mapping[str, str], name: str, usual_s: float) -> float:
    given = env.get(name) or str(usual_s)
    try:
        return float(given)
    except ValueError:
        raise SettingsInvalid(f"{name} must be seconds, not {given!r}.") from None


def _needed(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise SettingsInvalid(f"{name} is not set. The agent is started by the server's driver.")
    return value
