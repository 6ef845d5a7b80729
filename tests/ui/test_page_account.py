"""What people do with their own account, and administrators with the users of a server."""

from pathlib import Path

import pytest

from taskyard.wire.identity import CreateUserRequest
from tests.system.kit import PASSWORD, World
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier


def test_account(browser: Browser, world: World, tmp_path: Path) -> None:
    """A token works until it is expired, then it is 401; a new password ends the sessions elsewhere, and only these."""
    person = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    user = CreateUserRequest(username=person["username"], email=person["email"], password=PASSWORD)
    world.owner.create_user(user)
    try:
        browser.plays("account", tmp_path, address=world.server.url, **person)
    finally:
        world.owner.delete_user("grace")


def test_admin(browser: Browser, world: World, tmp_path: Path) -> None:
    """A member who is suspended is led to the sign-in, and the audit says who did it; members see no administration."""
    person = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    browser.plays("admin", tmp_path, address=world.server.url, **person)
