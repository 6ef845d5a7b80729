"""The reference page of the template format knows every key that the parser knows."""

import re
import tomllib
from pathlib import Path

import pytest

from taskyard.lifecycle.template import TemplateInvalid, parse_template

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "templates.md"
STRANGE = "¤¤¤"
"""A key that is near to none, so that the problem lists all keys of its section."""

SECTIONS = {
    "template": "[template]\n{}",
    "task": '[task]\napp = "a"\n{}[agent]\ntype = "shell"\n',
    "agent": '[task]\napp = "a"\n[agent]\ntype = "shell"\n{}',
    "workspace": "[workspace]\n{}",
    "workspace.network": "[workspace.network]\n{}",
    "scripts": "[scripts]\n{}",
    "parameter": '[[parameter]]\nname = "a"\n{}',
    "parameter.validation": '[[parameter]]\nname = "a"\n[parameter.validation]\n{}',
    "preset": '[[preset]]\nname = "a"\n{}',
    "app": '[[app]]\nslug = "a"\nurl = "http://localhost:1"\n{}',
    "app.healthcheck": (
        '[[app]]\nslug = "a"\nurl = "http://localhost:1"\n'
        '[app.healthcheck]\nurl = "http://localhost:1"\n{}'
    ),
}
INNER = {"network", "validation", "healthcheck"}
"""Tables within a section; the page writes their keys with a dot."""


def known_keys(toml: str) -> list[str]:
    with pytest.raises(TemplateInvalid) as caught:
        parse_template({"taskyard.toml": toml.format(f'"{STRANGE}" = 1\n').encode()})
    (problem,) = caught.value.problems
    return problem.sentence.split("known here: ")[1].split(", ")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_on_the_page(section: str) -> None:
    """Nobody has to read the parser to write a template."""
    head, _, inner = section.partition(".")
    title = rf"(?ms)^## `\[+{head}\]+`$(.*?)(?=^## |\Z)"
    found = re.search(title, PAGE.read_text(encoding="utf-8"))
    assert found is not None
    prefix = f"{inner}." if inner else ""
    expected = {prefix + key for key in known_keys(SECTIONS[section]) if key not in INNER}
    missing = {key for key in expected if f"`{key}`" not in found[1]}
    assert not missing


def test_every_section_is_on_the_page() -> None:
    """A section more needs a heading more."""
    sections = known_keys("{}")
    headings = re.findall(r"(?m)^## `\[+(\w+)\]+`$", PAGE.read_text(encoding="utf-8"))
    assert sorted(headings) == sorted(sections)


def test_the_smallest_template_of_the_page_works() -> None:
    """What a newcomer copies first."""
    first = re.search(r"(?s)```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"))
    assert first is not None
    assert tomllib.loads(first[1])
    assert parse_template({"taskyard.toml": first[1].encode()}).has_ai_task
