"""Which names secrets may have, and which of them a workspace gets: from whom, and what is missing."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from taskyard.lifecycle.wording import listed

GIT_TOKEN = "GIT_TOKEN"  # noqa: S105 - the name, not the token
"""The secret by which a repository is cloned and pushed to; git alone gets it."""

GIT_USERNAME = "GIT_USERNAME"
"""The secret that says as whom; it comes with GIT_TOKEN, from the same owner."""

MAX_NAME_CHARS = 128
"""Longest name of a secret; those that programs ask for have some 30."""

MAX_VALUE_BYTES = 64 * 1024
"""Largest value: a private key has 3 KiB, and the kernel takes 128 KiB in one variable of the environment."""

MAX_OWNED_BYTES = 128 * 1024
"""Most that all values of one owner have together: what a workspace gets from three goes in one message of 1 MiB."""

MAX_OWNED = 100
"""Secrets of one owner: more than a page shows at once, few enough to go through at each start."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_GUARDED = re.compile(
    r"TASKYARD_\w*|LD_\w*|DYLD_\w*|GLIBC_\w*|MALLOC_\w*"
    r"|BASH_\w*|GIT_\w*|PYTHON[A-Z]*|NODE_(OPTIONS|PATH|EXTRA_CA_CERTS)|PERL5\w*|RUBY(OPT|LIB)"
    r"|XDG_\w*|LC_\w*|SSL_CERT_\w*"
    r"|(?i:https?_proxy|all_proxy|no_proxy|ftp_proxy)"
    r"|HOME|PATH|SHELL|USER|LOGNAME|HOSTNAME|PWD|OLDPWD|IFS|ENV|PS4|PROMPT_COMMAND|TMPDIR|LANG|TERM"
)
"""Names that decide how programs run: a secret under one of them would change a workspace, not just be known in it."""


class SecretOwner(StrEnum):
    """Whose a secret is; in the order in which a name is looked for."""

    USER = "user"
    ORGANIZATION = "organization"
    TEMPLATE = "template"


def secret_name_problem(name: str) -> str | None:
    """Why a secret cannot have this name, as half a sentence; None when it can."""
    if len(name) > MAX_NAME_CHARS:
        return f"is longer than {MAX_NAME_CHARS} characters"
    if not _NAME.fullmatch(name):
        return "is no name of an environment variable: letters, digits and _, no digit first"
    if name not in {GIT_TOKEN, GIT_USERNAME} and _GUARDED.fullmatch(name):
        return "is taken: it decides how programs of a workspace run. Choose another name"
    return None


def secret_value_problem(value: str) -> str | None:
    """Why this cannot be the value of a secret, as half a sentence; None when it can."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "is not text that can be written in UTF-8"
    if size == 0:
        return "is empty"
    if size > MAX_VALUE_BYTES:
        return f"has {size} bytes; {MAX_VALUE_BYTES} are the most"
    if "\0" in value:
        return "holds a NUL character, which no environment variable can"
    return None


def requirement_problem(entry: str) -> str | None:
    """Why this is no entry of requires_env, as half a sentence; None when it is one."""
    names = _names(entry)
    if not names:
        return 'names nothing; write a name, or "A|B" where one of two is needed'
    if GIT_USERNAME in names:
        return f"asks for {GIT_USERNAME}, which comes by itself with {GIT_TOKEN}: name that"
    for name in names:
        if problem := secret_name_problem(name):
            return f"asks for {name[:40]!r}, which {problem}"
    return None


@dataclass(frozen=True, slots=True)
class SecretChoice:
    """What a workspace gets: owners by the name of the secret; and the entries that nobody satisfies."""

    given: Mapping[str, SecretOwner]
    missing: Sequence[str]


def choose_secrets(
    requires: Sequence[str],
    provided: AbstractSet[str],
    owned: Mapping[SecretOwner, AbstractSet[str]],
) -> SecretChoice:
    """Which secrets a workspace gets.

    requires: the template's entries. provided: names that the template's own environment has. owned: names by
    owner. An entry is met by one secret: the user's before the organization's before the template's, and with
    one owner the name that stands first. Of the user and the organization nothing else is given, of the template
    all that no entry names. An entry with an empty part, as `"A|"`, may stay without.
    """
    given: dict[str, SecretOwner] = {}
    missing: list[str] = []
    for entry in requires:
        names = _names(entry)
        if not provided.isdisjoint(names):
            continue
        found = _first(names, owned)
        if found is not None:
            given[found[0]] = found[1]
        elif "" not in entry.split("|"):
            missing.append(entry)
    named = {name for entry in requires for name in _names(entry)}
    unnamed = owned.get(SecretOwner.TEMPLATE, set()) - named - {GIT_USERNAME}
    given |= dict.fromkeys(sorted(unnamed), SecretOwner.TEMPLATE)
    git_owner = given.get(GIT_TOKEN)
    if git_owner is not None and GIT_USERNAME in owned.get(git_owner, set()):
        given[GIT_USERNAME] = git_owner
    return SecretChoice(given, missing)


def missing_sentence(missing: Sequence[str]) -> str:
    """What keeps a workspace from starting, and the command that helps."""
    first = _names(missing[0])
    needed = listed([" or ".join(_names(entry)) for entry in missing])
    more = "" if len(missing) == 1 else ", and the others likewise"
    return (
        f"the template needs {needed}, which is not set. Set it with `taskyard secrets set {first[0]}`{more}, "
        "then start again; an administrator can set it for all, with --organization or --template"
    )


def _first(
    names: Sequence[str], owned: Mapping[SecretOwner, AbstractSet[str]]
) -> tuple[str, SecretOwner] | None:
    for owner in SecretOwner:
        for name in names:
            if name in owned.get(owner, set()):
                return name, owner
    return None


def _names(entry: str) -> list[str]:
    return [name.strip() for name in entry.split("|") if name.strip()]
