"""What the page shows of an import that no worker begins."""

from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import PASSWORD, first_user, open_folder
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier


def test_an_import_is_canceled(browser: Browser, tmp_path: Path) -> None:
    """While it waits it can be canceled; the form is as it was, and is sent again."""
    template = tmp_path / "greeter"
    template.mkdir()
    (template / "taskyard.toml").write_text("[agent]\ntype = 'shell'\n[task]\napp = 'agent'\n")
    with (
        open_folder() as home,
        LocalServer(
            home / "data",
            options=("--roles", "api", "--no-starter-templates"),
            log=tmp_path / "server.log",
        ) as server,
    ):
        first_user(server.url)
        browser.plays(
            "import_waits",
            tmp_path,
            address=server.url,
            email="ada@example.com",
            password=PASSWORD,
            template=template,
        )
