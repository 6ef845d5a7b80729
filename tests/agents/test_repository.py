"""A workspace's repository against a real git server: cloned, compared, pushed, and nobody else gets the token."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.mux import CallFailed
from taskyard_agent.protocol import GitCredentials, Push, Repository
from taskyard_agent.repository.clone import clone
from taskyard_agent.repository.place import Ground
from taskyard_agent.repository.serve import serve_diff, serve_push
from tests.agents.git_server import GitServer, git, git_server

pytestmark = pytest.mark.anyio

TOKEN = "s3cr3t-t0ken"
WORK = "taskyard/fix-it"


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A server that lets one user in, with a repository of one commit."""
    with git_server(tmp_path / "server", ("x-access-token", TOKEN)) as made:
        made.seed()
        yield made


class Logged:
    """A log that is kept."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, level: str, text: str) -> None:
        """Keeps a line."""
        self.lines.append((level, text))

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(text for _, text in self.lines)


def ground(
    tmp_path: Path, url: str, *, token: str | None = TOKEN, branch: str | None = None
) -> Ground:
    """A workspace for the repository of this address."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    known = None if token is None else GitCredentials("x-access-token", token)
    repository = Repository(url, branch, WORK, "project", known)
    return Ground(repository, home, {"PATH": os.environ["PATH"]}, "ada")


async def cloned(tmp_path: Path, server: GitServer) -> Ground:
    """A workspace with its clone."""
    made, log = ground(tmp_path, server.url), Logged()
    assert await clone(made, log), log.text
    return made


def order(*, commit: str | None = None, force: bool = False, token: str = TOKEN) -> Push:
    """An order to push."""
    return Push(commit, force, GitCredentials("x-access-token", token))


def files(folder: Path) -> list[Path]:
    """Every plain file below a folder."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]


def write(made: Ground, path: str, text: str) -> None:
    """A file of the work tree with this text."""
    file = made.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def commit(made: Ground, path: str, text: str) -> str:
    """The id of a commit of the coding agent's."""
    write(made, path, text)
    git(made.folder, "add", "-A")
    git(made.folder, "commit", "-q", "-m", f"change {path}")
    return git(made.folder, "rev-parse", "HEAD")


async def test_a_clone_is_on_its_work_branch_and_holds_no_token(
    tmp_path: Path, server: GitServer
) -> None:
    """The first start clones with the token, the next fetches nothing; nothing on disk or in the log has it."""
    made, log = ground(tmp_path, server.url), Logged()
    assert await clone(made, log)
    assert (made.folder / "README").read_text(encoding="utf-8") == "hello\n"
    assert git(made.folder, "branch", "--show-current") == WORK
    assert git(made.folder, "remote", "get-url", "origin") == server.url
    asked = len(server.logins)
    assert ("x-access-token", TOKEN) in server.logins
    assert await clone(made, log)
    assert len(server.logins) == asked
    assert not [file for file in files(made.home) if TOKEN.encode() in file.read_bytes()]
    assert TOKEN not in log.text
    assert list((made.home / ".taskyard").iterdir()) == []


async def test_a_branch_is_cloned_by_its_name(tmp_path: Path, server: GitServer) -> None:
    """The work branch is made from the branch that the template names."""
    git(server.repository, "branch", "release", "main")
    server.commit("NEWS", "new\n", "release")
    made = ground(tmp_path, server.url, branch="release")
    assert await clone(made, Logged())
    assert (made.folder / "NEWS").exists()
    assert (await serve_diff(made)).base_branch == "release"


@pytest.mark.parametrize("token", [None, "wrong-token"])
async def test_a_clone_that_is_refused_says_what_to_do(
    tmp_path: Path, server: GitServer, token: str | None
) -> None:
    """Without a good token there is a folder to work in, a sentence in the log, and the next start tries again."""
    made, log = ground(tmp_path, server.url, token=token), Logged()
    assert not await clone(made, log)
    assert "GIT_TOKEN" in log.text
    assert server.url in log.text
    assert "wrong-token" not in log.text
    assert list(made.folder.iterdir()) == []
    assert await clone(ground(tmp_path, server.url), log)


async def test_what_is_there_already_is_left_alone(tmp_path: Path, server: GitServer) -> None:
    """A folder with something else in it is never cloned over."""
    made, log = ground(tmp_path, server.url), Logged()
    write(made, "mine", "keep")
    assert not await clone(made, log)
    assert "something else" in log.text
    assert [file.name for file in made.folder.iterdir()] == ["mine"]


async def test_the_token_goes_to_one_host_only(tmp_path: Path, server: GitServer) -> None:
    """A server that sends git elsewhere does not make it sign in there."""
    thief = f"http://localhost:{server.port}"
    with git_server(tmp_path / "front", redirect=thief) as front:
        log = Logged()
        assert not await clone(ground(tmp_path, front.url), log)
        assert server.logins != []
        assert all(login is None for login in [*front.logins, *server.logins])


async def test_a_difference_holds_commits_changes_and_new_files(
    tmp_path: Path, server: GitServer
) -> None:
    """From where the work began to the files as they are, binary ones by name; ignored files stay out."""
    made = await cloned(tmp_path, server)
    assert (await serve_diff(made)).files == []
    commit(made, "src/a.py", "print(1)\n")
    server.commit("LATER", "not ours\n")
    write(made, "README", "hello\nworld\n")
    write(made, "new.txt", "new\n")
    write(made, ".gitignore", "secret.env\n")
    write(made, "secret.env", "KEY=1\n")
    (made.folder / "picture").write_bytes(bytes(range(256)) * 40)
    (made.folder / "cut").symlink_to("/etc/passwd")
    found = await serve_diff(made)
    assert (found.branch, found.base_branch, found.truncated) == (WORK, "main", False)
    assert found.uncommitted
    counts = {file.path: (file.added, file.removed) for file in found.files}
    assert counts == {
        ".gitignore": (1, 0),
        "README": (1, 0),
        "cut": (1, 0),
        "new.txt": (1, 0),
        "picture": (None, None),
        "src/a.py": (1, 0),
    }
    text = found.diff.decode()
    assert "+world" in text
    assert "+print(1)" in text
    assert "KEY=1" not in text
    assert "root:" not in text
    assert "Binary files /dev/null and b/picture differ" in text


async def test_a_long_difference_is_cut(tmp_path: Path, server: GitServer) -> None:
    """What does not fit into one message is left out, and that is told; the files are all named."""
    made = await cloned(tmp_path, server)
    write(made, "long", "".join(f"line {number}\n" for number in range(200_000)))
    found = await serve_diff(made)
    assert found.truncated
    assert len(found.diff) == 768 * 1024
    assert [file.path for file in found.files] == ["long"]
    assert len(msgspec.msgpack.encode(found)) < 1024 * 1024


async def test_a_push_sends_commits_of_the_work_branch(tmp_path: Path, server: GitServer) -> None:
    """Commits go out under the name of the work branch; what is not committed is told of, and kept."""
    made = await cloned(tmp_path, server)
    head = commit(made, "a", "1\n")
    write(made, "b", "2\n")
    pushed = await serve_push(made, order())
    assert (pushed.branch, pushed.url, pushed.commit) == (WORK, server.url, head)
    assert pushed.changed
    assert pushed.uncommitted
    assert git(server.repository, "rev-parse", WORK) == head
    assert git(made.folder, "status", "--porcelain") == "?? b"
    again = await serve_push(made, order())
    assert not again.changed
    assert TOKEN not in pushed.output


async def test_a_push_can_commit_everything_first(tmp_path: Path, server: GitServer) -> None:
    """With a message all changes become one commit of the owner's, which is pushed."""
    made = await cloned(tmp_path, server)
    write(made, "b", "2\n")
    pushed = await serve_push(made, order(commit="Do it\n\nall"))
    assert pushed.changed
    assert not pushed.uncommitted
    shown = git(server.repository, "log", "-1", "--format=%an %s", WORK)
    assert shown == "ada Do it"


async def test_a_push_goes_over_others_only_with_a_lease(tmp_path: Path, server: GitServer) -> None:
    """A branch that was rewritten is refused, goes out by force, and never over what somebody else has pushed."""
    made = await cloned(tmp_path, server)
    commit(made, "a", "1\n")
    await serve_push(made, order())
    git(made.folder, "commit", "-q", "--amend", "-m", "better")
    with pytest.raises(CallFailed) as refused:
        await serve_push(made, order())
    assert refused.value.code == "push_rejected"
    assert (await serve_push(made, order(force=True))).changed
    server.commit("theirs", "x\n", WORK)
    git(made.folder, "commit", "-q", "--amend", "-m", "best")
    with pytest.raises(CallFailed) as refused:
        await serve_push(made, order(force=True))
    assert refused.value.code == "push_rejected"


async def test_a_push_that_fails_shows_what_git_said(tmp_path: Path, server: GitServer) -> None:
    """The last lines of git, without the token, and what to do."""
    made = await cloned(tmp_path, server)
    commit(made, "a", "1\n")
    with pytest.raises(CallFailed) as failed:
        await serve_push(made, order(token="wrong-token"))
    assert failed.value.code == "git_failed"
    assert "GIT_TOKEN" in str(failed.value)
    assert "wrong-token" not in str(failed.value)


async def test_without_a_repository_there_is_a_word_for_it(
    tmp_path: Path, server: GitServer
) -> None:
    """No repository, none cloned, and no work branch are told apart."""
    codes = []
    made = ground(tmp_path, server.url)
    for where in (None, made):
        with pytest.raises(CallFailed) as failed:
            await serve_diff(where)
        codes.append(failed.value.code)
    await clone(made, Logged())
    git(made.folder, "checkout", "-q", "-b", "elsewhere")
    git(made.folder, "branch", "-q", "-D", WORK)
    for commits in (None, "x"):
        with pytest.raises(CallFailed) as failed:
            await serve_push(made, order(commit=commits))
        codes.append(failed.value.code)
    assert codes == ["no_repository", "not_cloned", "no_work_branch", "wrong_branch"]


TRAP = '#!/bin/sh\nenv > "$TRAP_FOLDER/caught.$$"; cat "$@" 2>/dev/null; exit 0\n'


async def test_a_hostile_repository_gets_neither_token_nor_push(
    tmp_path: Path, server: GitServer
) -> None:
    """Hooks, filters, drivers, helpers, proxies and rewritten addresses of the workspace take no part."""
    made = await cloned(tmp_path, server)
    commit(made, "a", "1\n")
    folder, caught = made.folder, tmp_path / "caught"
    caught.mkdir()
    inner = folder / "inner"
    inner.mkdir()
    git(inner, "init", "-q", ".")
    git(inner, "commit", "-q", "--allow-empty", "-m", "x")
    git(folder, "add", "inner")
    git(folder, "commit", "-q", "-m", "inner")
    head = git(folder, "rev-parse", "HEAD")
    trap = tmp_path / "trap"
    trap.write_text(TRAP.replace("$TRAP_FOLDER", str(caught)), encoding="utf-8")
    trap.chmod(0o755)
    with git_server(tmp_path / "thief") as thief:
        for name in ("pre-push", "reference-transaction", "post-checkout", "pre-auto-gc"):
            hook = folder / ".git" / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.symlink_to(trap)
        here = f"http://127.0.0.1:{server.port}/"
        there = f"http://127.0.0.1:{thief.port}/"
        (made.home / ".gitconfig").write_text(
            f'[credential]\nhelper = "!{trap}"\n[url "{there}"]\ninsteadOf = "{here}"\n',
            encoding="utf-8",
        )
        (made.home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        for key, value in {
            "remote.origin.url": there,
            "remote.origin.pushurl": there,
            f"url.{there}.insteadOf": here,
            f"url.{there}.pushInsteadOf": here,
            "http.proxy": there,
            f"http.{here}.proxy": there,
            "core.askPass": str(trap),
            "core.sshCommand": str(trap),
            "core.fsmonitor": str(trap),
            "core.gitProxy": str(trap),
            "core.alternateRefsCommand": str(trap),
            "credential.helper": f"!{trap}",
            "uploadpack.packObjectsHook": str(trap),
            "diff.external": str(trap),
            "diff.x.textconv": str(trap),
            "diff.x.command": str(trap),
            "filter.x.clean": str(trap),
            "filter.x.process": str(trap),
            "filter.x.required": "true",
            "gpg.program": str(trap),
            "commit.gpgSign": "true",
            "push.gpgSign": "true",
            "http.sslVerify": "false",
            "include.path": str(made.home / ".gitconfig"),
        }.items():
            git(folder, "config", key, value)
        write(made, ".gitattributes", "* filter=x diff=x\n")
        write(made, "b", "2\n")
        git(inner, "config", "core.fsmonitor", str(trap))
        found = await serve_diff(made)
        assert {file.path for file in found.files} == {".gitattributes", "a", "b"}
        assert list(caught.iterdir()) == []
        pushed = await serve_push(made, order())
        assert pushed.commit == head
        assert git(server.repository, "rev-parse", WORK) == head
        assert thief.logins == []
        said = [file.read_text(encoding="utf-8") for file in caught.iterdir()]
        assert not [text for text in said if TOKEN in text or "ASKPASS" in text]
        assert said == []
        with suppress(AssertionError):
            git(folder, "status")
        assert list(caught.iterdir()) != []  # it is a trap indeed
