"""That every source named in code leads to a statement or a section of the wire pages, and these are whole."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.house.tree import ROOT, modules, project_files

STATEMENTS = ROOT / "tests" / "contract" / "statements.toml"
REFERENCE = ROOT / "docs" / "reference"

PAGES = {
    "wire": "wire.md",
    "tasks-api": "wire-tasks.md",
    "supporting-api": "wire-supporting.md",
    "clients": "wire-clients.md",
    "agentapi": "wire-agentapi.md",
}
"""The label by which sources name a page, and its file."""

LISTED = re.compile(r"(?m)^- \*\*([A-Z]\d+b?)\*\* (.+)$")
HEADED = re.compile(r"(?m)^### (S\d+) .+\n\n(.+)$")
"""The two ways in which a page makes a statement: a line of a list, or a heading with its first line."""

SECTION = re.compile(r"(?m)^#{2,4} (\d+(?:\.\d+)?) ")

LABEL = re.compile(r"\bSo" r"urce:\s+(?=\w)")
"""What begins a source; in halves, so as not to find itself, and not in the pattern of another program."""

GAP = r"(?: |\s*\n\s*(?:#|--)?\s*)"
"""A blank, or the end of a line in prose or in a comment of Python or SQL."""

ID = r"[A-Z]\d+b?"
NUMBER = rf"(?:(?:{'|'.join(PAGES)}){GAP})?\d+(?:\.\d+)?(?:{GAP}rows?{GAP}\d+(?:-\d+)?)?"
ONE = rf"(?:{NUMBER}|{ID}(?:-{ID})?|decisions/\d{{4}}-[a-z0-9-]+\.md)"
SOURCES = re.compile(rf"{ONE}(?:,{GAP}{ONE})*(?=[.;:)\"\n](?!\d)|$)")
"""All that may stand behind it: `T20, U7-U9, tasks-api 8.6 rows 3-5, 8.7, clients 2.3, decisions/0004-….md`."""

IN_DOCS = re.compile(rf"`({'|'.join(PAGES)})` (\d+(?:\.\d+)?)")
"""How pages name sections of each other."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the list; kind is `wire` for what clients know from elsewhere, `ours` for the rest."""

    id: str
    page: str
    kind: str
    text: str


@cache
def statements() -> dict[str, Statement]:
    """All statements by id."""
    found = tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))["statement"]
    return {item.id: item for item in msgspec.convert(found, list[Statement])}


@cache
def page(label: str) -> str:
    """The text of a wire page."""
    return (REFERENCE / PAGES[label]).read_text(encoding="utf-8")


@cache
def sections(label: str) -> dict[str, str]:
    """The text of each numbered section of a page up to the next heading."""
    parts = re.split(r"(?m)^(?=#{1,4} )", page(label))
    heads = [(SECTION.match(part), part) for part in parts]
    return {head[1]: part for head, part in heads if head is not None}


def test_statements_are_listed_once() -> None:
    """Each statement has one entry in the list, with a page and a kind that exist."""
    listed = tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))["statement"]
    assert len(listed) == len(statements())
    assert {item.page for item in statements().values()} <= PAGES.keys()
    assert {item.kind for item in statements().values()} == {"wire", "ours"}


@pytest.mark.parametrize("label", PAGES)
def test_pages_hold_the_listed_statements(label: str) -> None:
    """A page makes exactly the statements that the list gives it, each once and in the same words."""
    made = LISTED.findall(page(label)) + HEADED.findall(page(label))
    assert len(made) == len({name for name, _ in made}), Counter(name for name, _ in made)
    assert dict(made) == {i.id: i.text for i in statements().values() if i.page == label}


@pytest.mark.parametrize("label", PAGES)
def test_sections_have_their_own_numbers(label: str) -> None:
    """No two sections of a page share a number."""
    numbers = Counter(SECTION.findall(page(label)))
    assert numbers.total() == len(numbers) > 0, numbers


def test_sources_lead_somewhere() -> None:
    """Every source in src and tests is spelled as wire.md says, and what it names exists."""
    wrong = [
        f"{path}: {trouble}"
        for path in project_files()
        if path.startswith(("src/", "tests/"))
        for source in sources(ROOT / path)
        for trouble in troubles(source)
    ]
    assert not wrong, "see docs/reference/wire.md:\n" + "\n".join(wrong)


def test_pages_lead_somewhere() -> None:
    """Where a page of the documentation names a section of a wire page, it exists."""
    wrong = [
        f"{path}: {label} {number}"
        for path in project_files()
        if path.startswith("docs/") and path.endswith(".md")
        for label, number in IN_DOCS.findall((ROOT / path).read_text(encoding="utf-8"))
        if number not in sections(label)
    ]
    assert not wrong, wrong


KINDS = "TUSCAND"
"""Kinds of statements, each of which must have a test named by it."""

TESTED = re.compile(r"(?m)^ *(?:async )?def test_((?:[TUSCAND]\d+b?_)+)")
"""The statements that a test is named by."""


@cache
def with_tests() -> frozenset[str]:
    """The statements with a test of their own."""
    found = [word for m in modules("tests") for word in TESTED.findall(m.text)]
    return frozenset(name for word in found for name in word.split("_") if name)


def untested(letter: str) -> list[str]:
    """The statements of a kind that have no test of their own, in order."""
    wanted = {name for name in statements() if name.startswith(letter)}
    return sorted(wanted - with_tests(), key=lambda name: (int(name[1:].rstrip("b")), name))


def test_tests_name_statements_that_exist() -> None:
    """No test is named by a number that no page has."""
    assert with_tests() <= statements().keys(), with_tests() - statements().keys()


@pytest.mark.parametrize("letter", KINDS)
def test_every_statement_has_a_test(letter: str) -> None:
    """Each statement of the wire pages has a test named by it."""
    assert not untested(letter)


def test_count_statements_with_tests(figure: Callable[[str], None]) -> None:
    """How many statements have a test named by them, and which have none, is printed."""
    for letter in KINDS:
        wanted = {name for name in statements() if name.startswith(letter)}
        figure(
            f"{letter}: {len(wanted & with_tests())} of {len(wanted)} have a test; not {untested(letter)}"
        )


def sources(path: Path) -> Iterator[str]:
    """What stands behind each source label of a file, and a little more."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for label in LABEL.finditer(text):
        yield text[label.end() : label.end() + 300]


def troubles(source: str) -> Iterator[str]:
    """What is wrong with one label."""
    found = SOURCES.match(source)
    if found is None:
        yield f"cannot read {source[:60]!r}"
        return
    label = None
    for one in re.sub(GAP, " ", found[0]).split(", "):
        if one.startswith("decisions/"):
            if not (ROOT / "docs" / one).is_file():
                yield f"there is no docs/{one}"
        elif re.fullmatch(rf"{ID}(?:-{ID})?", one):
            yield from (f"{name} is no statement" for name in absent(one))
        else:
            named, _, rest = one.rpartition(" ") if " row" not in one else split_rows(one)
            label = named or label
            yield from no_section(label, rest)


def split_rows(one: str) -> tuple[str, str, str]:
    """`clients 3 rows 1-2` and `3 rows 1-2` as label, blank and the rest."""
    head, word, rows = one.partition(" row")
    label, blank, number = head.rpartition(" ")
    return label, blank, number + word + rows


def absent(one: str) -> list[str]:
    """Of `T20` or `T20-T23`, the ends that are no statement, and the whole if it is no range."""
    ends = one.split("-")
    if len(ends) == 2 and (ends[0][0] != ends[1][0] or int(ends[0][1:]) >= int(ends[1][1:])):
        return [one]
    return [name for name in ends if name not in statements()]


def no_section(label: str | None, rest: str) -> Iterator[str]:
    """What is missing of `8.6` or `8.6 rows 3-5` on a page."""
    number, _, rows = rest.partition(" ")
    if label is None or number not in sections(label):
        yield f"{label or 'no page'} has no section {number}"
        return
    table = set(re.findall(r"(?m)^\| (\d+) \|", sections(label)[number]))
    wanted = set(re.findall(r"\d+", rows))
    if not wanted <= table:
        yield f"{label} {number} has no {rows}"
