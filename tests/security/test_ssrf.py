"""Where the server itself connects to, and that nobody but its operator and a template's list can aim that elsewhere."""

import ast
import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from taskyard.control.appclient import AppAddress
from taskyard.control.services import Services
from taskyard.errors import AppFailed, AppUrlScheme
from taskyard.wire.tasks import CreateTaskRequest
from taskyard.wire.templates import UpdateTemplateRequest
from tests.api.apps_kit import said, yard
from tests.api.conftest import serving
from tests.api.seed import Api, connected
from tests.house.tree import ROOT
from tests.security.hostile import HostileWorld
from tests.system.kit import pushed
from tests.waiting import until

pytestmark = pytest.mark.anyio

DIALS = frozenset(
    {
        *("connect", "sock_connect", "create_connection", "create_unix_connection"),
        *("open_connection", "open_unix_connection", "getaddrinfo", "gethostbyname"),
        *("ClientSession", "urlopen", "HTTPSConnection", "AsyncClient"),
    }
)
"""Calls that reach out, by the names that the standard library and our packages give them."""

OUTGOING = {
    "control/egress.py": "looks up names that a template lists, and gives up those that are private",
    "daemon/doctor.py": "the operator's database",
    "daemon/export.py": "the operator's database",
    "daemon/listen.py": "a socket file of ours, to see whether somebody listens",
    "daemon/relay.py": "what control/egress.py found for a workspace whose template lists it",
    "db/migrate.py": "the operator's database",
    "db/pool.py": "the operator's database",
    "server/apps_socket.py": "a pair of sockets of this process, whose other end is a stream of a link",
    "server/forwarding.py": "other servers, by the addresses that they wrote into the database",
    "server/peer_sockets.py": "the same",
}
"""Every file of the server that reaches out, and who aims it. Who adds one answers here for its guard, and in the
table of docs/decisions/0036-apps.md."""

ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1:3284/",
    "http://[::ffff:169.254.169.254]/",
    "http://localhost.evil.example/",
    "http://evil.example@169.254.169.254/",
    "http://127.0.0.1@evil.example/",
    "http://2130706433/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:3284/",
    "unix:/var/run/docker.sock",
]
"""Addresses that an app must never be given by."""

BAIT = """
[template]
icon = "{url}.png"

[workspace]
repo = "{url}.git"

[task]
app = "agent"

[agent]
type = "shell"
"""
"""A template whose every address is that of a listener on the machine."""


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


@dataclass
class Bait:
    """Something on the server's own network that nobody is to reach through it."""

    port: int = 0
    visits: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def bait() -> AsyncIterator[Bait]:
    """A listener that counts who comes, on the loopback of the machine."""
    found = Bait()

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.visits.append(b"came")
        writer.close()

    async with await asyncio.start_server(note, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


def dialling() -> Iterator[str]:
    """The files of the server with a call that reaches out; the SDK and the commands run where people are."""
    source = ROOT / "src" / "taskyard"
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source).as_posix()
        if name.startswith(("sdk/", "cli/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                word = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if word in DIALS:
                    yield name
                    break


def test_every_outgoing_call_is_known() -> None:
    """The files that reach out are those of the table, no more and no fewer."""
    found = set(dialling())
    assert found - OUTGOING.keys() == set(), "say who can aim it, and what guards it"
    assert OUTGOING.keys() - found == set()


@pytest.mark.attack(
    "an app's URL that names the server's network, the metadata service or a file",
    wall="apps are on their workspace's loopback, which only its link reaches",
)
@pytest.mark.parametrize("url", ELSEWHERE)
def test_apps_are_nowhere_else(url: str) -> None:
    """No request to a task's app is even begun for such an address."""
    with pytest.raises((AppFailed, AppUrlScheme)):
        AppAddress(uuid4(), url).target("message")


@pytest.mark.attack(
    "an app's URL in the database that was changed to another host",
    wall="the port alone is used, on the workspace's side of the link",
)
async def test_previews_reach_the_workspace_only(api: Api) -> None:
    """The door connects to nothing but the link, whatever the app's URL or the request's target say."""
    async with bait() as there, yard(api) as place, place.browser() as browser:
        near = f"http://127.0.0.1:{there.port}/"
        for url in (near, *ELSEWHERE):
            await api.execute("update workspace_apps set url = $1", url)
            # The port of the bait is another one inside, where the link's own end looks for it.
            place.ports[there.port] = 1
            assert said(await browser.get()) == (502, "app_failed") or url in ELSEWHERE
            assert (await browser.get()).status_code == 502
        await api.execute("update workspace_apps set url = 'http://127.0.0.1:3284'")
        for target in (f"//127.0.0.1:{there.port}/", f"/@127.0.0.1:{there.port}/", f"/{near}"):
            assert (await browser.get(target)).status_code == 200
            assert place.app.line.startswith("GET /")
        assert there.visits == []
        _, writer = await asyncio.open_connection("127.0.0.1", there.port)  # the bait does count
        writer.close()
        async with asyncio.timeout(60):
            while not there.visits:
                await asyncio.sleep(0.005)


@pytest.mark.attack(
    "icons, links and repositories that point at the server's network",
    wall="the server shows them and fetches none; repositories are cloned inside",
)
@pytest.mark.all_tier
def test_what_people_write_is_not_fetched(hostile_world: HostileWorld) -> None:
    """A template's addresses are shown, its repository is looked for inside and not found there: to none of them
    the server connects.
    """
    world, mallory = hostile_world.world, hostile_world.attacker
    with socket.create_server(("127.0.0.1", 0)) as there:
        there.setblocking(False)
        port = there.getsockname()[1]
        url = f"http://127.0.0.1:{port}/x"
        version = pushed(world, f"bait-{port}", {"taskyard.toml": BAIT.format(url=url)})
        template = next(t for t in world.owner.list_templates() if t.name == f"bait-{port}")
        world.owner.update_template(template.id, UpdateTemplateRequest(icon=f"{url}.svg"))
        task = mallory.create_task(
            "me", CreateTaskRequest(template_version_id=version.id, input="pwd")
        )
        agent_id = world.active(task.id, client=mallory).workspace_agent_id
        assert agent_id is not None

        def failed() -> str | None:
            lines = [line.output for line in mallory.get_workspace_agent_logs(agent_id)]
            return next((line for line in lines if "cannot be cloned" in line), None)

        assert f"{url}.git" in until("the failed clone", failed)
        mallory.list_tasks()
        mallory.list_workspaces()
        mallory.delete_task("me", task.id)
        with pytest.raises(BlockingIOError):  # nobody waits to be let in
            there.accept()
        there.settimeout(60)
        with socket.create_connection(("127.0.0.1", port)):  # and whoever comes is seen
            there.accept()[0].close()
