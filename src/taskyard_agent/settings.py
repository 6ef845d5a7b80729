"""What a workspace agent is told by its environment, and what it tells its children by theirs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.protocol import Manifest

URL = "TASKYARD_AGENT_URL"
TOKEN = "TASKYARD_AGENT_TOKEN"  # noqa: S105 - the name, not the token
TEMPLATE_DIR = "TASKYARD_TEMPLATE_DIR"
STOP_GRACE = "TASKYARD_STOP_GRACE_S"
START_SCRIPT = "TASKYARD_START_SCRIPT_S"
CONFINED = "TASKYARD_CONFINED"
"""Set to 1 by a driver whose walls stand: no network but the server's sockets, no files but the workspace's."""

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

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "AgentSettings":
        """The settings in an environment. Raises SettingsInvalid."""
        return cls(
            url=_needed(env, URL),
            token=_needed(env, TOKEN),
            home=Path(_needed(env, "HOME")),
            template_dir=Path(_needed(env, TEMPLATE_DIR)),
            stop_grace_s=_seconds(env, STOP_GRACE, STOP_GRACE_S),
            confined=env.get(CONFINED) == "1",
            start_script_s=_seconds(env, START_SCRIPT, START_SCRIPT_S),
        )


def child_env(
    env: Mapping[str, str], settings: AgentSettings, manifest: Manifest
) -> dict[str, str]:
    """The environment of scripts, apps and the coding agent: ours, the template's, and who they are.

    Without the agent's token: what a coding agent runs must not speak for the workspace.
    """
    own = {name: value for name, value in env.items() if name != TOKEN}
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
