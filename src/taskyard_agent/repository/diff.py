"""What changed in a workspace's repository since its work branch began."""

import asyncio
from dataclasses import replace

from taskyard_agent.protocol import ChangedFile, Difference
from taskyard_agent.repository.copy import Copy
from taskyard_agent.repository.git import GitFailed
from taskyard_agent.repository.place import Ground, scratch

MAX_DIFF_BYTES = 768 * 1024
"""Largest difference that is told: it goes in one message of 1 MiB, with the list of files."""

MAX_FILES = 1_000
MAX_FILES_BYTES = 128 * 1024
"""Most files that are listed, and most bytes of their names."""

DIFF_TIMEOUT_S = 28.0
"""Seconds for the whole: whoever asks waits 30."""

_FORM = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "-M")


async def difference(ground: Ground) -> Difference:
    """What changed, committed or not. Raises NoRepository, GitFailed, OSError."""
    try:
        async with asyncio.timeout(DIFF_TIMEOUT_S), scratch(ground) as place:
            copy = await Copy.make(ground, place)
            tree, base = await copy.tree(), await copy.merge_base()
            showing = replace(copy.command("diff", *_FORM, base, tree), limit=MAX_DIFF_BYTES)
            text = await place.git.run(showing)
            names = await place.git.run(copy.command("diff", *_FORM, "--numstat", "-z", base, tree))
            files, all_files = _files(names.out)
            return Difference(
                branch=ground.repository.work_branch,
                base_branch=copy.refs.base_branch,
                base=base,
                diff=text.out,
                files=files,
                truncated=text.cut or names.cut or not all_files,
                uncommitted=await copy.differs(tree),
            )
    except TimeoutError:
        raise GitFailed(f"comparing took longer than {DIFF_TIMEOUT_S:g} s") from None


def _files(listed: bytes) -> tuple[list[ChangedFile], bool]:
    """The files of a `--numstat -z`, and whether these are all."""
    parts = iter(listed.split(b"\0"))
    found: list[ChangedFile] = []
    size = 0
    for part in parts:
        if not part:
            break
        added, _, rest = part.partition(b"\t")
        removed, _, path = rest.partition(b"\t")
        if not path:  # a rename: the old and the new name follow
            next(parts, b"")
            path = next(parts, b"")
        size += len(path)
        if len(found) >= MAX_FILES or size > MAX_FILES_BYTES:
            return found, False
        found.append(ChangedFile(path.decode(errors="replace"), _count(added), _count(removed)))
    return found, True


def _count(text: bytes) -> int | None:
    return int(text) if text.isdigit() else None
