"""Templates are uploaded, mended, moved between versions, changed and deleted in the page."""

from pathlib import Path

import pytest

from taskyard.wire.identity import CreateUserRequest
from tests.system.kit import PASSWORD, World
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier


def test_templates(browser: Browser, world: World, tmp_path: Path) -> None:
    """A mistake is shown in its file and line; mended it becomes active; members see all of it but the buttons."""
    person = {"username": "linus", "email": "linus@example.com", "password": PASSWORD}
    world.owner.create_user(
        CreateUserRequest(username=person["username"], email=person["email"], password=PASSWORD)
    )
    folder = tmp_path / "greeter"
    (folder / "node_modules").mkdir(parents=True)
    (folder / "node_modules" / "left.js").write_text("out")
    try:
        browser.plays(
            "templates",
            tmp_path,
            address=world.server.url,
            email="ada@example.com",
            password=PASSWORD,
            template=folder,
            member=person,
        )
    finally:
        world.owner.delete_user(person["username"])
