"""A bare repository of our own that sees the workspace's objects, and nothing else of it.

Refs are asked for as another machine would ask; objects are looked up where they are; the work tree is read by an
index of our own. So neither configuration nor hooks, filters or drivers of the workspace's repository take part.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from taskyard_agent.repository.git import Command, GitFailed
from taskyard_agent.repository.place import Ground, Scratch

STEP_TIMEOUT_S = 25.0
"""Seconds for one step: whoever asks waits 30 for the whole."""

MAX_EXCLUDE_BYTES = 64 * 1024
"""Bytes of the list of files that a repository leaves out by itself, and of where its history was cut."""

GITLINK = "160000"
"""The mode of an entry that is another repository; those are left out."""

_REF = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)$", re.MULTILINE)
_BASE = re.compile(r"^ref: refs/remotes/origin/(\S+)\trefs/remotes/origin/HEAD$", re.MULTILINE)


class NoRepository(Exception):
    """There is nothing to work on; code is a stable word, str() a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Refs:
    """Commits by their ids, null where there is none: checked out, of the work branch, of the base, pushed last.

    base_branch is empty where the repository does not tell which it is.
    """

    head: str | None
    work: str | None
    base: str | None
    pushed: str | None
    base_branch: str


class Copy:
    """The copy. make() first."""

    def __init__(self, ground: Ground, place: Scratch, refs: Refs) -> None:
        self.refs = refs
        self._ground = ground
        self._place = place
        self._bare = place.path / "copy.git"

    @classmethod
    async def make(cls, ground: Ground, place: Scratch) -> "Copy":
        """The copy of a workspace's repository. Raises NoRepository, GitFailed, OSError."""
        if not ground.is_cloned:
            raise NoRepository(
                "not_cloned", f"There is no repository in ~/{ground.repository.folder}."
            )
        copy = cls(ground, place, await _refs(ground, place))
        await copy._prepare()
        return copy

    async def git(self, *args: str) -> str:
        """What a command says that works in the copy. Raises GitFailed."""
        return (await self._place.git.run(self.command(*args))).text

    def command(self, *args: str, codes: tuple[int, ...] = (0,)) -> Command:
        """A command that works in the copy."""
        return Command(
            args=[f"--git-dir={self._bare}", *args],
            cwd=self._place.path,
            timeout_s=STEP_TIMEOUT_S,
            codes=codes,
        )

    def _in_tree(self, *args: str) -> Command:
        """A command that works on the workspace's files, by the copy's index."""
        tree = self._ground.folder
        return replace(self.command(f"--work-tree={tree}", *args), cwd=tree)

    async def tree(self) -> str:
        """The id of a tree that holds the work tree as it is, new files too. Raises GitFailed."""
        if self.refs.head is not None:
            await self.git("read-tree", self.refs.head)
            await self._drop_gitlinks()
        adding = self._in_tree("add", "-A", "--ignore-errors", "--", ".")
        await self._place.git.run(replace(adding, codes=(0, 1)))  # 1: some file could not be read
        await self._drop_gitlinks()
        return await self.git("write-tree")

    async def differs(self, tree: str) -> bool:
        """Whether a tree is another than that of the commit that is checked out."""
        if self.refs.head is None:
            return tree != await self.empty_tree()
        command = self.command(
            "diff", "--quiet", "--no-ext-diff", self.refs.head, tree, codes=(0, 1)
        )
        return (await self._place.git.run(command)).code == 1

    async def empty_tree(self) -> str:
        """The id of the tree without files."""
        return await self.git("hash-object", "-w", "-t", "tree", "--stdin")

    async def merge_base(self) -> str:
        """Where the work left the base branch; the tree without files when it never was on it."""
        head, base = self.refs.head, self.refs.base
        if head is None or base is None:
            return await self.empty_tree()
        command = self.command("merge-base", base, head, codes=(0, 1))
        return (await self._place.git.run(command)).text or await self.empty_tree()

    async def _prepare(self) -> None:
        inner = self._ground.folder / ".git"
        some = self.refs.head or self.refs.base or ""
        form = ["--object-format=sha256"] if len(some) == 64 else []
        init = ["init", "-q", "--bare", "--template=", *form, str(self._bare)]
        await self._place.git.run(
            Command(args=init, cwd=self._place.path, timeout_s=STEP_TIMEOUT_S)
        )
        objects = inner / "objects"
        if "\n" in str(objects):
            raise NoRepository("not_cloned", "The home directory's name holds a line break.")
        info = self._bare / "objects" / "info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        (self._bare / "info").mkdir(exist_ok=True)
        (self._bare / "info" / "exclude").write_bytes(_small(inner / "info" / "exclude"))
        if cut := _small(inner / "shallow"):
            (self._bare / "shallow").write_bytes(cut)

    async def _drop_gitlinks(self) -> None:
        """Takes other repositories out of the index: git would start in each, with its configuration."""
        listed = await self._place.git.run(self.command("ls-files", "-s", "-z"))
        links = [
            path
            for entry in listed.out.split(b"\0")
            for head, _, path in [entry.partition(b"\t")]
            if head.startswith(GITLINK.encode())
        ]
        if links:
            dropping = self._in_tree("update-index", "-z", "--force-remove", "--stdin")
            await self._place.git.run(replace(dropping, stdin=b"\0".join(links) + b"\0"))


async def _refs(ground: Ground, place: Scratch) -> Refs:
    """The commits of a workspace's repository, as it tells them to anybody who asks."""
    repository = ground.repository
    base = f"refs/remotes/origin/{repository.branch or 'HEAD'}"
    work = f"refs/heads/{repository.work_branch}"
    pushed = f"refs/remotes/origin/{repository.work_branch}"
    ask = ["ls-remote", "--symref", str(ground.folder), "HEAD", base, work, pushed]
    said = await place.git.run(Command(args=ask, cwd=place.path, timeout_s=STEP_TIMEOUT_S))
    found = {ref: commit for commit, ref in _REF.findall(said.text)}
    if said.text and not found:
        raise GitFailed("the repository does not tell its branches")
    named = _BASE.search(said.text)
    branch = repository.branch or ("" if named is None else named[1])
    return Refs(found.get("HEAD"), found.get(work), found.get(base), found.get(pushed), branch)


def _small(path: Path) -> bytes:
    """A small plain file; empty where there is none."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_EXCLUDE_BYTES:
        return b""
    return path.read_bytes()
