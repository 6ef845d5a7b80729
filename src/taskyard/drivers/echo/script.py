"""What a template's echo.json says: steps for each verb of the driver, and a scripted agent."""

import io
import tarfile
from typing import Literal

import msgspec

from taskyard.errors import DriverError
from taskyard.lifecycle.template_model import ECHO_NAME
from taskyard.wire.enums import AgentLifecycle, AppHealth, LogLevel


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step; of several keys each is done, in the order of these fields.

    log: a line for the build log. sleep_s: seconds. wait_for: an absolute path that must exist.
    fail: the sentence with which the verb fails; with fail_while only as long as that absolute path exists.
    """

    log: str | None = None
    level: LogLevel = LogLevel.INFO
    sleep_s: float = 0
    wait_for: str | None = None
    fail: str | None = None
    fail_while: str | None = None


class AgentStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a scripted agent; of several keys each is done, in the order of these fields.

    exit: the workspace dies, as if somebody had killed its processes.
    """

    sleep_s: float = 0
    wait_for: str | None = None
    lifecycle: AgentLifecycle | None = None
    apps: dict[str, AppHealth] = {}
    log: str | None = None
    exit: bool = False


class Message(msgspec.Struct, frozen=True):
    """A message of the scripted conversation."""

    id: int
    content: str
    role: Literal["user", "agent"]
    time: str


class AgentApi(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted task app.

    status: what GET status says. replies are given in turn, again from the first; without any the
    agent says what it was told. fail: answers by path (`status`, `messages`, `message`) that are errors.
    """

    status: Literal["stable", "running"] = "stable"
    agent_type: str = "custom"
    replies: list[str] = []
    fail: dict[str, int] = {}


class AgentScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted agent: first its lifecycle states, then its apps' health, then its steps."""

    lifecycle: list[AgentLifecycle] = []
    apps: dict[str, AppHealth] = {}
    steps: list[AgentStep] = []
    agentapi: AgentApi | None = None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole script; without an agent nobody dials the server."""

    ensure: list[Step] = []
    stop: list[Step] = []
    destroy: list[Step] = []
    agent: AgentScript | None = None


def script_in(template_tar: bytes) -> Script:
    """The script among a template's files; raises DriverError when it is missing or not right."""
    try:
        with tarfile.open(fileobj=io.BytesIO(template_tar)) as tar:
            names = {name.removeprefix("./"): name for name in tar.getnames()}
            member = tar.extractfile(names[ECHO_NAME])
            text = b"" if member is None else member.read()
    except (KeyError, tarfile.TarError) as error:
        raise DriverError(f"The template has no {ECHO_NAME} at its root. Add one.") from error
    return read_script(text)


def read_script(text: bytes) -> Script:
    """The script in this JSON text; raises DriverError that names the key."""
    try:
        return msgspec.json.decode(text, type=Script)
    except msgspec.DecodeError as error:
        raise DriverError(f"The template's {ECHO_NAME} is not right: {error}.") from error
