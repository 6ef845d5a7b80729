"""Two places: one with something in every table, one with nothing."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from taskyard.control.vault import Place, Vault
from taskyard.daemon.datadir import DataDir
from taskyard.lifecycle.secret_names import SecretOwner
from tests.moving.moving_kit import Spot, spot, user_id

FULL = Path(__file__).with_name("full.sql")


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """A command sets up the logs of its process, which other tests have too: they find them as they were."""
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)


@pytest.fixture
def here(postgres_url: str) -> Iterator[Spot]:
    """A server's data with something in every table."""
    with spot(postgres_url) as made:
        with DataDir(made.data):
            vault = Vault(made.data / "secrets.key")
            vault.make()
        made.migrate()
        owner = SecretOwner.USER
        sealed = vault.seal(Place(owner, user_id(), "TOKEN"), "open sesame")
        text = FULL.read_text().replace("{key_id}", vault.key_id)
        text = text.replace("000102030405060708090a0b", sealed.nonce.hex())
        made.execute(text.replace("{sealed}", sealed.sealed.hex()))
        yield made


@pytest.fixture
def there(postgres_url: str) -> Iterator[Spot]:
    """Where it shall go."""
    with spot(postgres_url) as made:
        yield made
