"""A workspace agent with a repository, as a process: when it is cloned, where the coding agent works, what it sees."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard_agent.mux import CallFailed
from taskyard_agent.protocol import Difference, GitCredentials, Nothing, Push, Pushed, Repository
from tests.agents.fake_server import FakeServer, Kit, free_port, kit, manifest, until
from tests.agents.git_server import GitServer, git, git_server

pytestmark = pytest.mark.anyio

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A server that lets one user in, with a repository of one commit."""
    with git_server(tmp_path / "server", ("ada", TOKEN)) as made:
        made.seed()
        yield made


def repository(url: str) -> Repository:
    """What the manifest says of it."""
    return Repository(url, None, "taskyard/w", "project", GitCredentials("ada", TOKEN))


async def said(server: FakeServer, command: str) -> str:
    """What the shell agent answers to a command."""
    await server.until_stable()
    before = len(await server.messages())
    assert (await server.say(command)).status == 200
    await server.until_stable()
    return (await server.messages())[before + 1][1]


def git_log(made: Kit) -> str:
    """What the workspace's log has of git."""
    return "\n".join(text for source, text in made.server.logs if source == "git")


async def test_the_coding_agent_works_in_the_clone(tmp_path: Path, server: GitServer) -> None:
    """Cloned before the start script, worked on, compared and pushed over the link; the next start only goes on."""
    there = manifest(repository=repository(server.url), start_script="start.sh")
    async with kit(tmp_path, there) as made:
        (made.template / "start.sh").write_text('cat "$TASKYARD_REPOSITORY/README"; pwd')
        async with made.agent() as agent:
            await until(lambda: made.server.lifecycles == ["starting", "ready"])
            await until(lambda: "work branch" in git_log(made))
            await until(lambda: ("start", str(made.home)) in made.server.logs)
            assert ("start", "hello") in made.server.logs
            assert str(made.home / "project") in await said(made.server, "pwd")
            seen = await said(made.server, "env; cat /proc/$PPID/environ; git config --list")
            assert TOKEN not in seen
            await said(made.server, "echo 1 > a && git add a && git commit -qm one && echo 2 > b")
            mux = made.server.links.mux
            assert mux is not None
            diff = await mux.call("repository_diff", Nothing(), Difference)
            assert [file.path for file in diff.files] == ["a", "b"]
            order = Push(None, False, GitCredentials("ada", TOKEN))
            pushed = await mux.call("repository_push", order, Pushed)
            assert git(server.repository, "rev-parse", "taskyard/w") == pushed.commit
            assert git(server.repository, "log", "-1", "--format=%an", "taskyard/w") == "o"
            assert await agent.stop() == 0
        asked = len(server.logins)
        async with made.agent():
            await until(lambda: made.server.lifecycles[-1] == "ready")
            assert "b" in await said(made.server, "ls")
            assert len(await made.server.messages()) == 8
        assert len(server.logins) == asked
        assert TOKEN not in str(made.server.logs)


async def test_a_clone_that_fails_leaves_a_task_that_can_be_used(
    tmp_path: Path, server: GitServer
) -> None:
    """The start ends as start_error and the log says why; the coding agent runs, and the next start clones."""
    nowhere = repository(f"http://127.0.0.1:{free_port()}/team/project.git")
    async with kit(tmp_path, manifest(repository=nowhere)) as made:
        async with made.agent() as agent:
            await until(lambda: made.server.lifecycles == ["starting", "start_error"])
            await until(lambda: "tries again" in git_log(made))
            assert nowhere.url in git_log(made)
            assert "network.egress" in git_log(made)
            assert str(made.home / "project") in await said(made.server, "pwd")
            mux = made.server.links.mux
            assert mux is not None
            with pytest.raises(CallFailed) as failed:
                await mux.call("repository_diff", Nothing(), Difference)
            assert failed.value.code == "not_cloned"
            assert await agent.stop() == 0
        made.server.manifest = manifest(
            repository=repository(server.url), apps=made.server.manifest.apps
        )
        async with made.agent():
            await until(lambda: made.server.lifecycles[-1] == "ready")
            assert "README" in await said(made.server, "ls")
            assert len(await made.server.messages()) == 4


async def test_a_stop_does_not_wait_for_a_clone(tmp_path: Path) -> None:
    """SIGTERM while git waits for a server that says nothing: git is gone, and nothing is left of the clone."""
    import socket  # only this test plays a server that is silent

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/team/project.git"
        async with kit(tmp_path, manifest(repository=repository(url))) as made:
            async with made.with_grace(2).agent() as agent:
                await until(lambda: "Cloning" in git_log(made))
                await until(lambda: any((made.home / ".taskyard").glob("git-*")))
                assert await agent.stop() == 0
                assert agent.children() == []
            assert not (made.home / "project").exists()
