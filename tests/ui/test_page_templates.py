"""Templates are uploaded, mended, moved between versions, changed and deleted in the page."""

import gzip
import zipfile
from pathlib import Path

import pytest

from taskyard.wire.identity import CreateUserRequest
from tests.archives import tar_of
from tests.system.kit import PASSWORD, World
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier

GREETER = "[template]\ndisplay_name = 'Greeter'\n[task]\napp = 'agent'\n[agent]\ntype = 'shell'\n"


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
            archives=archives(tmp_path),
            member=person,
        )
    finally:
        world.owner.delete_user(person["username"])


def archives(folder: Path) -> dict[str, Path]:
    """The same template as each kind of archive, by a name for its version."""
    packed = tar_of({"taskyard.toml": GREETER})
    made = {kind: folder / f"greeter.{kind}" for kind in ("tar", "tar.gz", "zip")}
    made["tar"].write_bytes(packed)
    made["tar.gz"].write_bytes(gzip.compress(packed))
    with zipfile.ZipFile(made["zip"], "w") as archive:
        archive.writestr("taskyard.toml", GREETER)
    return {kind.replace(".", "-"): path for kind, path in made.items()}
