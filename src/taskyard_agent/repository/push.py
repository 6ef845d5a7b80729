"""Pushing the work branch from a repository of our own, to the address that the server named and to no other."""

import asyncio
import re
from dataclasses import replace

from taskyard_agent.protocol import GitCredentials, Push, Pushed
from taskyard_agent.repository.clone import hint
from taskyard_agent.repository.copy import STEP_TIMEOUT_S, Copy, NoRepository
from taskyard_agent.repository.credentials import mask, signing_in
from taskyard_agent.repository.git import Command, GitFailed, Output
from taskyard_agent.repository.place import Ground, Scratch, scratch

PUSH_TIMEOUT_S = 50.0
"""Seconds for the whole; whoever asks waits 55. What a task changed is small, however large the repository is."""

OUTPUT_CHARS = 4_000
"""Characters of what the other side said that are passed on."""

_LINE = re.compile(r"^([ +\-*=!])\t(\S+)\t(.*)$", re.MULTILINE)


class PushRejected(Exception):
    """The other side has commits that are not here; str() is what it said."""


async def push(ground: Ground, order: Push) -> Pushed:
    """What was pushed. Raises NoRepository, PushRejected, GitFailed, OSError."""
    try:
        async with asyncio.timeout(PUSH_TIMEOUT_S), scratch(ground) as place:
            return await _push(ground, place, order)
    except TimeoutError:
        raise GitFailed(f"the push took longer than {PUSH_TIMEOUT_S:g} s") from None


async def _push(ground: Ground, place: Scratch, order: Push) -> Pushed:
    if order.commit is not None:
        await _commit(ground, place, order.commit)
    copy = await Copy.make(ground, place)
    work = copy.refs.work
    if work is None:
        raise NoRepository(
            "no_work_branch",
            f"The repository has no branch {ground.repository.work_branch} with commits.",
        )
    uncommitted = await copy.differs(await copy.tree())
    said = await _send(ground, place, copy, order)
    await _remember(ground, place, work)
    return Pushed(
        branch=ground.repository.work_branch,
        url=ground.repository.url,
        commit=work,
        changed=not said.text.startswith("=") and "\n=" not in said.text,
        uncommitted=uncommitted,
        output=mask(said.err, order.credentials)[-OUTPUT_CHARS:],
    )


async def _commit(ground: Ground, place: Scratch, message: str) -> None:
    """Commits everything to the work branch, in the workspace's own repository: this knows no credentials.

    Raises NoRepository where another branch is checked out, GitFailed.
    """
    if not ground.is_cloned:
        raise NoRepository("not_cloned", f"There is no repository in ~/{ground.repository.folder}.")

    async def git(*args: str, stdin: bytes = b"", codes: tuple[int, ...] = (0,)) -> Output:
        return await place.git.run(
            Command(
                args=args,
                cwd=ground.folder,
                timeout_s=PUSH_TIMEOUT_S,
                stdin=stdin,
                codes=codes,
            )
        )

    work = ground.repository.work_branch
    current = (await git("symbolic-ref", "-q", "--short", "HEAD", codes=(0, 1))).text
    if current != work:
        raise NoRepository(
            "wrong_branch",
            f"Checked out is {current or 'no branch'}, not {work}: have the coding agent switch to it first.",
        )
    await git("add", "-A", "--", ".")
    if (await git("diff", "--cached", "--quiet", "--no-ext-diff", codes=(0, 1))).code == 1:
        args = ("commit", "-q", "--no-verify", "--no-gpg-sign", "--file=-")
        await git(*args, stdin=message.encode())


async def _send(ground: Ground, place: Scratch, copy: Copy, order: Push) -> Output:
    """What the push said. Raises PushRejected, GitFailed."""
    repository, refs = ground.repository, copy.refs
    ref = f"refs/heads/{repository.work_branch}"
    await copy.git("update-ref", ref, refs.work or "")
    lease = [f"--force-with-lease={ref}:{refs.pushed or ''}"] if order.force_with_lease else []
    args = ["push", "--porcelain", "--no-verify", "--no-signed", "--recurse-submodules=no", *lease]
    with signing_in(repository.url, order.credentials) as askpass:
        command = copy.command(*args, "--", repository.url, f"{ref}:{ref}", codes=(0, 1, 128))
        said = await place.git.run(
            replace(command, timeout_s=PUSH_TIMEOUT_S, abroad=True, askpass=askpass)
        )
    if said.code != 0:
        raise _failure(said, order.credentials)
    return said


def _failure(said: Output, credentials: GitCredentials | None) -> PushRejected | GitFailed:
    """What went wrong with a push, as an error."""
    rejected = [line[2] for line in _LINE.findall(said.text) if line[0] == "!"]
    told = mask("\n".join([*rejected, said.err]).strip(), credentials)
    if any("rejected" in line for line in rejected):
        return PushRejected(told)
    return GitFailed(
        "\n".join(filter(None, (told or f"exit code {said.code}", hint(told, credentials))))
    )


async def _remember(ground: Ground, place: Scratch, commit: str) -> None:
    """Notes in the workspace's repository what was pushed, as a push from there would have."""
    ref = f"refs/remotes/origin/{ground.repository.work_branch}"
    noting = Command(
        args=["update-ref", ref, commit],
        cwd=ground.folder,
        timeout_s=STEP_TIMEOUT_S,
        codes=(0, 1, 128),  # whoever breaks their repository loses only this note
    )
    await place.git.run(noting)
