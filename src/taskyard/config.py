"""The settings of a server: one frozen object from flags, environment and one TOML file.

Precedence: flag, then `TASKYARD_<NAME>` in the environment, then the file, then the default. Every
setting is described in docs/reference/settings.md; a test holds that.
"""

import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from taskyard.errors import StartupError

DEFAULT_PORT = 7080
"""TCP port of a server that was told none."""


class Role(StrEnum):
    """What a process does: api answers requests and holds agent links, worker runs jobs and repairs."""

    API = "api"
    WORKER = "worker"


class LogFormat(StrEnum):
    """How log lines look on stderr."""

    TEXT = "text"
    JSON = "json"


def default_data_dir() -> Path:
    """Where a server keeps everything when it was told nothing: a service folder for root, else XDG's."""
    if os.geteuid() == 0:
        return Path("/var/lib/taskyard")
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "taskyard"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings, validated. Times are in seconds, sizes in bytes; null means not set."""

    data_dir: str
    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    postgres_url: str | None = None
    access_url: str | None = None
    roles: frozenset[Role] = frozenset({Role.API, Role.WORKER})
    starter_templates: bool = True
    allow_unconfined: bool = False
    max_running: int | None = None
    stop_grace_s: float = 5.0
    job_lease_s: float = 30.0
    agent_lease_s: float = 120.0
    reconcile_s: float = 5.0
    log_level: str = "info"
    log_format: LogFormat = LogFormat.TEXT

    def shown(self) -> dict[str, object]:
        """Every setting as plain values, secrets hidden."""
        values: dict[str, object] = msgspec.to_builtins(self)
        if self.postgres_url is not None:
            values["postgres_url"] = "(hidden)"
        return values


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None
) -> Settings:
    """The settings of this process; a flag of None counts as not given.

    Raises StartupError naming the setting, where it was given, and what it takes.
    """
    values: dict[str, object] = {"data_dir": str(default_data_dir())}
    values |= _from_file(file) if file else {}
    values |= _from_environ(environ)
    values |= {key: value for key, value in flags.items() if value is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise StartupError(f"a setting is not right: {error}") from error
    return _checked(settings)


def _from_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"cannot read the settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"the settings file {file} is not TOML: {error}") from error


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in Settings.__struct_fields__:
        text = environ.get(f"TASKYARD_{name.upper()}")
        if text:
            found[name] = text.split(",") if name == "roles" else text
    return found


def _checked(settings: Settings) -> Settings:
    if not 0 <= settings.port <= 65535:
        raise StartupError(
            f"port {settings.port} is not a TCP port: give 1 to 65535, or 0 for any free one"
        )
    if not settings.roles:
        raise StartupError("no role is left to run: give api, worker or both")
    if settings.max_running is not None and settings.max_running < 1:
        raise StartupError("max_running must be at least 1")
    for name in ("stop_grace_s", "job_lease_s", "agent_lease_s", "reconcile_s"):
        if getattr(settings, name) <= 0:
            raise StartupError(f"{name} must be more than 0 seconds")
    return settings
