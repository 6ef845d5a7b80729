"""That the pages are whole: decisions in their shape, links that lead somewhere, every setting described."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from taskyard.config import Settings
from tests.house.tree import ROOT, project_files

DECISIONS = ROOT / "docs" / "decisions"
PAGES = [path for path in project_files() if path.endswith(".md")]
RECORDS = [path for path in PAGES if re.match(r"docs/decisions/(?!README)", path)]

PARTS = ["Context", "Decision", "Consequences", "Alternatives"]
"""What every decision tells, in this order."""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"(?ms)^(```|~~~).*?^\1|`[^`\n]*`")
"""Code in a page, in which nothing is a link."""


@pytest.mark.parametrize("path", RECORDS)
def test_decisions_have_their_shape(path: str) -> None:
    """A decision is `NNNN-words.md`, titled `# NNNN Words`, with the four parts in order."""
    name = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", Path(path).name)
    assert name, f"{path}: name it NNNN-some-words.md"
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.match(rf"# {name[1]} \S", text), f"{path}: begin with '# {name[1]} Title'"
    headings = re.findall(r"(?m)^## (.+)$", text)
    assert [heading for heading in headings if heading in PARTS] == PARTS, path


def test_decisions_are_listed_once() -> None:
    """Each number is used once, and the index links each decision."""
    numbers = [Path(path).name[:4] for path in RECORDS]
    assert len(numbers) == len(set(numbers)), numbers
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    missing = [Path(path).name for path in RECORDS if f"({Path(path).name})" not in index]
    assert not missing, f"add to docs/decisions/README.md: {missing}"


def test_every_page_is_listed() -> None:
    """docs/README.md links each page below docs; decisions have an index of their own."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.removeprefix("docs/") for path in PAGES if path.startswith("docs/")]
    listed = [page for page in pages if page != "README.md" and not re.match(r"decisions/\d", page)]
    missing = [page for page in listed if f"({page})" not in index]
    assert not missing, f"add to docs/README.md: {missing}"


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: str) -> None:
    """A link to a file of the project finds it, and the heading in it."""
    text = FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    dead = [
        target
        for target in LINK.findall(text)
        if not re.match(r"[a-z]+:", target) and not leads_somewhere(ROOT / path, target)
    ]
    assert not dead, f"{path}: {dead}"


def test_every_setting_is_described() -> None:
    """docs/reference/settings.md has a row for each setting, with its variable and its default, and no other."""
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)` \| ([^|]*) \| [^|]+ \|$", text)
    assert {name: default for name, _, default in rows} == {
        field.name: default_text(field) for field in msgspec.structs.fields(Settings)
    }
    assert [variable for _, variable, _ in rows] == [
        f"TASKYARD_{name.upper()}" for name, *_ in rows
    ]


def test_generated_pages_are_fresh() -> None:
    """The reference pages made from code are as the code is now; mend with ./yard docs."""
    checked = subprocess.run(
        [sys.executable, "scripts/write_reference.py", "--check"], cwd=ROOT, check=False
    )
    assert checked.returncode == 0, "a generated page is stale: ./yard docs"


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether a relative link finds its file and, where it names one, its heading."""
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file)


def anchors(file: Path) -> set[str]:
    """The names under which the headings of a page can be linked."""
    headings = re.findall(r"(?m)^#+ (.+)$", file.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """The default of a setting as the page writes it."""
    value = field.default
    if value is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
        return "see below"
    match value:
        case None | ():
            return "not set"
        case bool():
            return f"`{str(value).lower()}`"
        case frozenset():
            return f"`{','.join(sorted(value))}`"
        case _:
            return f"`{value}`"
