"""The settings of a server: one frozen object from flags, environment and one TOML file.

Precedence: flag, then `TASKYARD_<NAME>` in the environment, then the file, then the default. Every
setting is described in docs/reference/settings.md; a test holds that.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from taskyard.errors import StartupError

DEFAULT_PORT = 7080
"""TCP port of a server that was told none."""


LOG_LEVELS = ("debug", "info", "warning", "error")
"""What log_level takes, the most talkative first."""


FOREVER = "forever"
"""What a setting says that keeps things for ever."""

_KEEP = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")


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
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "taskyard"
    try:
        return Path.home() / ".local" / "share" / "taskyard"
    except RuntimeError as error:
        raise StartupError(
            "this user has no home to keep data in: choose a folder with --data-dir"
        ) from error


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings, validated. Times are in seconds, sizes in bytes; null means not set."""

    data_dir: str
    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    listen: tuple[str, ...] = ()
    access_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    metrics_listen: str | None = None
    apps_listen: str | None = None
    apps_url: str | None = None
    postgres_url: str | None = None
    secrets_key_file: str | None = None
    join: bool = False
    peer_listen: str | None = None
    peer_url: str | None = None
    roles: frozenset[Role] = frozenset({Role.API, Role.WORKER})
    starter_templates: bool = True
    page: bool = True
    allow_unconfined: bool = False
    programs: tuple[str, ...] = ()
    max_running: int | None = None
    max_running_per_organization: int | None = None
    max_running_per_user: int | None = None
    stop_grace_s: float = 5.0
    start_script_s: float = 1800.0
    job_lease_s: float = 30.0
    agent_lease_s: float = 120.0
    reconcile_s: float = 5.0
    keep_deleted_tasks: str = "30d"
    keep_logs: str = "90d"
    keep_events: str = "7d"
    keep_files: str = "30d"
    keep_expired_keys: str = "30d"
    keep_idempotency: str = "24h"
    keep_audit: str = "365d"
    max_files_bytes_per_user: int = 1024**3
    max_tokens_per_user: int = 100
    log_level: str = "info"
    log_format: LogFormat = LogFormat.TEXT

    def shown(self) -> dict[str, object]:
        """Every setting as plain values, secrets hidden."""
        values: dict[str, object] = msgspec.to_builtins(self)
        if self.postgres_url is not None:
            values["postgres_url"] = "(hidden)"
        return values


@dataclass(frozen=True, slots=True)
class Given:
    """The value of a setting and where it was given, as a person would say it."""

    value: object
    where: str

    def shown(self) -> object:
        """The value as it was written."""
        if isinstance(self.value, list):
            return ",".join(str(part) for part in self.value)
        return self.value


_TAKES: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    int | None: "a whole number",
    float: "a number of seconds",
    str: "text",
    str | None: "text",
    tuple[str, ...]: "a list of texts",
    frozenset[Role]: "api, worker, or both",
    LogFormat: "text or json",
}
"""What a setting takes, in words, by its type."""

LISTS = frozenset(
    {"roles", "listen", "allowed_hosts", "trusted_proxies", "cors_origins", "programs"}
)
"""Settings that hold several values: a variable has them with commas between."""


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None
) -> Settings:
    """The settings of this process; a flag of None counts as not given.

    Raises StartupError naming the setting, where it was given, and what it takes.
    """
    given = _from_file(file) if file else {}
    given |= _from_environ(environ)
    given |= {
        name: Given(value, "--" + name.replace("_", "-"))
        for name, value in flags.items()
        if value is not None and value != ()
    }
    values = {name: _converted(name, one) for name, one in given.items()}
    if "data_dir" not in values:
        values["data_dir"] = str(default_data_dir())
    return _checked(msgspec.convert(values, Settings))


def _converted(name: str, given: Given) -> object:
    """The value as its setting's type. Raises StartupError."""
    kind = {field.name: field.type for field in msgspec.structs.fields(Settings)}.get(name)
    if kind is None:
        near = get_close_matches(name, Settings.__struct_fields__, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see docs/reference/settings.md"
        raise StartupError(f"there is no setting {name!r} ({given.where}); {hint}")
    value = given.value
    if (
        name in ("data_dir", "secrets_key_file")
        and isinstance(value, str)
        and value.startswith("~/")
    ):
        value = str(Path(value).expanduser())  # files and `--data-dir=~/x` come unexpanded
    if name in LISTS and isinstance(value, str):
        value = _split(value)
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        shown = "(hidden)" if name == "postgres_url" else repr(given.shown())
        raise StartupError(
            f"the setting {name} ({given.where}) is {shown}, but takes {_TAKES[kind]}"
        ) from error


def _from_file(file: Path) -> dict[str, Given]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"cannot read the settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"the settings file {file} is not TOML: {error}") from error
    return {name: Given(value, f"in {file}") for name, value in values.items()}


def _from_environ(environ: Mapping[str, str]) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for name in Settings.__struct_fields__:
        variable = f"TASKYARD_{name.upper()}"
        if text := environ.get(variable):
            found[name] = Given(_split(text) if name in LISTS else text, variable)
    return found


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _access_url(text: str, name: str = "access_url") -> str:
    """The address that people use, or other servers, without a slash at its end. Raises StartupError."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise StartupError(
            f"{name} is {text!r}, but must be an address like https://yard.example.com"
        )
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise StartupError(
            f"{name} is {text!r}, but takes only a scheme, a host and perhaps a port: the server "
            "answers at the root of a host name"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _check_peers(settings: Settings) -> None:
    if settings.join and settings.postgres_url is None:
        raise StartupError(
            "join needs postgres_url: a Postgres that a server runs itself is for its own data directory. Give all "
            "servers one of yours (--postgres-url or TASKYARD_POSTGRES_URL)"
        )
    if settings.peer_url is not None:
        _access_url(settings.peer_url, "peer_url")


def _checked(settings: Settings) -> Settings:
    if not settings.data_dir:
        raise StartupError("the data directory has an empty name: choose a folder with --data-dir")
    if not 0 <= settings.port <= 65535:
        raise StartupError(
            f"port {settings.port} is not a TCP port: give 1 to 65535, or 0 for any free one"
        )
    if settings.log_level not in LOG_LEVELS:
        raise StartupError(
            f"log_level is {settings.log_level!r}, but must be one of {', '.join(LOG_LEVELS)}"
        )
    if not settings.roles:
        raise StartupError("no role is left to run: give api, worker or both")
    for name in ("max_running", "max_running_per_organization", "max_running_per_user"):
        most = getattr(settings, name)
        if most is not None and most < 1:
            raise StartupError(f"{name} is {most}, but must be at least 1")
    for name in ("stop_grace_s", "start_script_s", "job_lease_s", "agent_lease_s", "reconcile_s"):
        if getattr(settings, name) <= 0:
            raise StartupError(f"{name} must be more than 0 seconds")
    _check_keeping(settings)
    _check_peers(settings)
    if settings.access_url is None:
        return settings
    return msgspec.structs.replace(settings, access_url=_access_url(settings.access_url))


def keep_for(text: str) -> timedelta | None:
    """How long a setting such as "30d" or "1d12h" keeps things; null for ever. Raises ValueError for what is no time."""
    if text == FOREVER:
        return None
    found = _KEEP.fullmatch(text)
    parts = found.groups() if found is not None else ()
    days, hours, minutes, seconds = (int(part or 0) for part in parts or ("",) * 4)
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not span:
        raise ValueError(text)
    return span


def _check_keeping(settings: Settings) -> None:
    """Nothing when what is kept of things has sound limits; else raises StartupError."""
    for name in ("max_files_bytes_per_user", "max_tokens_per_user"):
        if getattr(settings, name) < 1:
            raise StartupError(f"{name} is {getattr(settings, name)}, but must be at least 1")
    for name in Settings.__struct_fields__:
        if name.startswith("keep_"):
            _check_keep(name, getattr(settings, name))


def _check_keep(name: str, text: str) -> None:
    """Nothing for a setting that says how long something is kept; else raises StartupError."""
    try:
        span = keep_for(text)
    except ValueError as error:
        raise StartupError(
            f'{name} is {text!r}, but takes a time like "30d" or "12h", or "{FOREVER}"'
        ) from error
    if name == "keep_idempotency" and span is None:
        raise StartupError(
            f'{name} is {text!r}, but keys are not kept for ever: give a time like "24h"'
        )
    # Else a key could be forgotten while its request is still sent again.
    if name == "keep_idempotency" and span is not None and span < timedelta(hours=1):
        raise StartupError(f'{name} is {text!r}, but must be at least "1h"')
    # Else a deed could be hidden by a setting before anybody has looked.
    if name == "keep_audit" and span is not None and span < timedelta(days=1):
        raise StartupError(f'{name} is {text!r}, but must be at least "1d"')
