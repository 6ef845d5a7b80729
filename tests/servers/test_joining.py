"""A second data directory joins a database on purpose, with the same key for secrets, or not at all."""

import shutil
from pathlib import Path

import pytest

from taskyard.config import load_settings
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.reach import open_sockets
from taskyard.errors import StartupError
from tests.servers.kit import Yard, joined
from tests.system.test_start_refused import refusal


@pytest.mark.all_tier
def test_who_may_join(shared_yard: Yard) -> None:
    """Not by accident, not with another key, not beside a server that knows of no others; then without being told again."""
    shared_yard.started("first", "--roles", "api")
    url = ("--postgres-url", shared_yard.url)
    other = ("--data-dir", str(shared_yard.home / "other"))
    said = refusal(*other, *url)
    assert "--join" in said
    assert shared_yard.host_id("first") in said
    key = ("--secrets-key-file", str(shared_yard.home / "other.key"))
    assert "share one key" in refusal(*other, *url, "--join", *key)
    second = shared_yard.server("second", *joined("worker"))
    assert second.start() == "worker"
    second.stop()
    again = shared_yard.server("second", "--roles", "api")
    again.start()
    again.stop()


@pytest.mark.all_tier
def test_a_copy_of_a_data_directory_is_no_second_server(shared_yard: Yard) -> None:
    """While a server of the first one lives, the copy is refused; after kill -9 the first one itself starts at once."""
    first = shared_yard.started("first", "--roles", "api")
    copy = shared_yard.home / "copy"
    shutil.copytree(shared_yard.home / "first", copy, ignore=lambda *_: ["run"])
    key = ("--secrets-key-file", str(shared_yard.home / "shared.key"))
    said = refusal("--data-dir", str(copy), "--postgres-url", shared_yard.url, *key)
    assert "one of them is a copy of the other" in said
    assert shared_yard.host_id("first") in said
    first.kill()
    first.start()
    assert "server.waits" not in (shared_yard.home / "first.log").read_text()


def test_a_server_with_a_postgres_of_its_own_cannot_be_joined(tmp_path: Path) -> None:
    """Where join is given without a database, the reason and the setting that is missing are named."""
    with pytest.raises(StartupError, match=r"for its own data directory.*--postgres-url"):
        load_settings({"join": True, "data_dir": str(tmp_path)}, {}, None)


@pytest.mark.parametrize("url", ["10.0.0.5:7082", "http://10.0.0.5/x", "unix:///x"])
def test_where_others_reach_it_is_an_address(url: str, tmp_path: Path) -> None:
    """The setting is named that cannot be used."""
    with pytest.raises(StartupError, match="peer_url"):
        load_settings({"peer_url": url, "data_dir": str(tmp_path)}, {}, None)


def test_all_addresses_are_no_address(tmp_path: Path) -> None:
    """Who listens for other servers on every address says by which one they come."""
    values = {"peer_listen": "0.0.0.0:0", "port": 0, "data_dir": str(tmp_path / "data")}
    settings = load_settings(values, {}, None)
    with DataDir(tmp_path / "data") as data, pytest.raises(StartupError, match="--peer-url"):
        open_sockets(settings, data, None)
