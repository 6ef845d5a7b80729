"""That the page about coding agents is as the tests saw them and as the types are."""

from scripts.write_agents import PAGE, page, seen


def test_the_page_is_fresh() -> None:
    """Mend with ./yard docs."""
    assert PAGE.read_bytes() == page(), "docs/reference/agents.md is stale: ./yard docs"


def test_every_program_has_one_row() -> None:
    """A row for each that was seen, with something in every cell."""
    names = [row.name for row in seen()]
    assert len(names) == len(set(names)) > 0
    assert all(f"| {name} |" in page().decode() for name in names)
    cells = [
        cell.strip()
        for line in page().decode().splitlines()
        if line.startswith("| ")
        for cell in line.strip("|").split("|")
    ]
    assert all(cells)
