"""The data of a server for commands of whoever has the machine, whether the server runs or not."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from taskyard.config import Role, Settings, load_settings
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.logs import configure_logs
from taskyard.errors import DataDirInUse, StartupError


@dataclass(frozen=True, slots=True)
class Spot:
    """A data directory, and settings by which its database is found beside a server, or started without one."""

    settings: Settings
    data: DataDir


def offline_settings(
    flags: Mapping[str, object], config_file: Path | None, *, new: bool
) -> Settings:
    """The settings of the server whose data is worked on; new: its data directory may be made.

    Raises StartupError, also for a folder that is no data directory.
    """
    settings = load_settings(flags, os.environ, config_file)
    configure_logs(msgspec.structs.replace(settings, log_level="error"))
    if not (new or (Path(settings.data_dir) / "format").exists()):
        raise StartupError(
            f"there is no data directory at {settings.data_dir}. Say where the server has its with --data-dir."
        )
    return settings


@contextmanager
def open_spot(settings: Settings) -> Iterator[Spot]:
    """The data directory, held unless a server has it. Raises StartupError."""
    path = Path(settings.data_dir)
    try:
        data, role = DataDir(path), Role.API
    except DataDirInUse:
        # A worker finds the Postgres of the server running, and leaves it alone.
        data, role = DataDir(path, attach=True), Role.WORKER
    with data:
        yield Spot(msgspec.structs.replace(settings, roles=frozenset({role})), data)
