"""What people do with the page, in a real browser on a real server; each scenario is a file of steps."""

from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import PASSWORD, World
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier

PERSON = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
"""Who owns the servers of these tests."""


def test_first_visit(browser: Browser, unused_server: LocalServer, tmp_path: Path) -> None:
    """From a new server to an answered prompt: the first user, the first shell task, its words as they come."""
    browser.plays("first_visit", tmp_path, address=unused_server.url, **PERSON)


def test_sign_in(browser: Browser, world: World, tmp_path: Path) -> None:
    """A link leads through the login to its page; a wrong password does not; after signing out nothing is shown."""
    browser.plays("sign_in", tmp_path, address=world.server.url, **PERSON)
