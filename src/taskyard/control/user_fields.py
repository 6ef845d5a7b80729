"""What the fields of a user may hold, and what is wrong with those that hold something else."""

import re

from asyncpg import UniqueViolationError

from taskyard.control.passwords import password_problem
from taskyard.errors import Invalid
from taskyard.lifecycle import names

EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+.-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}"
)
"""What the strictest client takes for an address: it refuses a whole answer for the sake of one. Source: S14."""

MAX_EMAIL = 254
"""Characters; the longest that mail can be sent to."""

MAX_FULL_NAME = 128
"""Characters of how a user is shown."""

RESERVED = frozenset({"me", "first", "login", "logout", "authmethods"})
"""Names that lead elsewhere at the place of a user in a path."""

ID_LIKE = re.compile(r"[0-9a-fA-F]{32}")
"""What is read as a UUID at the place of a user in a path, and so would stand for whoever had that id."""

UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls, ends of lines, and marks that turn text around: shown on a terminal or a page they feign something else."""


def check_fields(
    *, username: str | None = None, email: str | None = None, name: str | None = None
) -> None:
    """Nothing when the fields that are given are good; else raises Invalid, which names each that is not."""
    violations: list[tuple[str, str]] = []
    if username is not None and (problem := username_problem(username)):
        violations.append(("username", problem))
    if email is not None and not (len(email) <= MAX_EMAIL and EMAIL.fullmatch(email)):
        violations.append(("email", "give an address such as ada@example.com"))
    if name is not None and len(name) > MAX_FULL_NAME:
        violations.append(("name", f"use at most {MAX_FULL_NAME} characters"))
    if name is not None and UNREADABLE.search(name):
        violations.append(("name", "use characters that can be seen, all on one line"))
    if violations:
        raise Invalid("A field is not valid.", violations)


def username_problem(username: str) -> str | None:
    """Why a username is refused, as a sentence; None when it is good. Source: supporting-api 3."""
    if not username:
        return "this field is required"
    if username.lower() in RESERVED:
        return f'"{username}" is a word of the API; choose another name'
    if ID_LIKE.fullmatch(username):
        return "this reads as the id of a user; choose another name"
    return names.name_problem(username)


def check_password(password: str, *, username: str, email: str) -> None:
    """Nothing when a password is accepted; else raises Invalid on `password`."""
    weak = password_problem(password, username=username, email=email)
    if weak:
        raise Invalid("The password is not accepted.", [("password", weak)])


def taken_fields(error: UniqueViolationError) -> list[tuple[str, str]]:
    """Which field of a user another has already, from the index that said so."""
    fields = {
        "users_username": "username",
        "users_email": "email",
        "users_github": "github_com_user_id",
    }
    return [(fields.get(error.constraint_name or "", "username"), "this value is in use")]
