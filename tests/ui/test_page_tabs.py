"""The tabs of a task's page, in a real browser: each shows what there is of a real workspace."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.wire.tasks import CreateTaskRequest, Task
from tests.agents.git_server import GitServer, git_server
from tests.system.kit import PASSWORD, World, pushed
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier

TOML = """
[template]
display_name = "With a repository"
[task]
app = "agent"
[agent]
type = "shell"
[workspace]
repo = "{url}"
[workspace.network]
egress = ["127.0.0.1:{port}"]
[scripts]
start = "start.sh"
[[app]]
slug = "site"
display_name = "The site"
url = "http://127.0.0.1:8123"
command = "python3 -m http.server 8123 --bind 127.0.0.1 2> /dev/null"
healthcheck = {{ url = "http://127.0.0.1:8123/", interval = 1 }}
share = "public"
[[app]]
slug = "own"
display_name = "For its owner"
url = "http://127.0.0.1:8124"
"""

START = (
    "echo the start script ran; echo and complained >&2; echo '<h1>From within</h1>' > ~/index.html"
)

WORK = """\
echo 'one more line' >> README
printf '\\e[31m<b>red</b>\\e[0m\\n' > 'a <i>file.txt'
printf 'a\\0b' > data.bin
(exec 3<>/dev/tcp/refused.example/443) 2> /dev/null
echo work is done
"""
"""A change, a file whose name and words look like markup, one of bytes, and an attempt that is refused."""


ADD_LINES = """
insert into workspace_agent_logs (agent_id, source_id, level, output, created_at)
select s.agent_id, s.id, 'info', format('line %s of the start', n), now()
from workspace_agent_log_sources s, generate_series(1, 50000) n
where s.display_name = 'start' and s.agent_id = (select id from workspace_agents where workspace_id = $1)
order by n
"""
"""More than an agent sends of one moment."""
LONG_WORK = "seq --format='row %.0f of the change' 10000 > rows.txt; echo work is done"


@pytest.fixture
def task(world: World, tmp_path: Path) -> Iterator[Task]:
    """A task whose every tab has something to show."""
    with git_server(tmp_path / "git") as server:
        server.seed()
        yield seed_tabs(world, server)


def test_tabs(browser: Browser, world: World, task: Task, tmp_path: Path) -> None:
    """Apps, files, network and log of a task show its facts; one that is paused says so and resumes."""
    _play("tabs", browser, world, task, tmp_path)


def test_long_tabs(browser: Browser, world: World, tmp_path: Path) -> None:
    """A log of 50,000 lines and a change of 10,000 are there from end to end, and drawn where somebody looks."""
    with git_server(tmp_path / "git") as server:
        server.seed()
        task = seed_tabs(world, server, work=LONG_WORK)
        asyncio.run(world.query(ADD_LINES, task.workspace_id))
        _play("tabs_long", browser, world, task, tmp_path)


def test_terminal(browser: Browser, world: World, task: Task, tmp_path: Path) -> None:
    """A shell runs what is typed, has its window's size, is come back to, and reaches nothing beyond its screen."""
    _play("terminal", browser, world, task, tmp_path)


def _play(scenario: str, browser: Browser, world: World, task: Task, folder: Path) -> None:
    browser.plays(
        scenario,
        folder,
        address=world.server.url,
        username="ada",
        email="ada@example.com",
        password=PASSWORD,
        task=task.name,
    )


def seed_tabs(world: World, server: GitServer, work: str = WORK) -> Task:
    """A task whose every tab has something to show."""
    request = CreateTaskRequest(
        template_version_id=_version(world, server), input=work, name="look-into-it"
    )
    task = world.owner.create_task("me", request)
    world.says(task.id, "work is done")
    return task


def _version(world: World, server: GitServer) -> UUID:
    toml = TOML.format(url=server.url, port=server.port)
    version = pushed(world, f"tabs-{server.port}", {"taskyard.toml": toml, "start.sh": START})
    assert not version.job.error, version.job.error
    return version.id
