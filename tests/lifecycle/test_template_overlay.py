"""`workspace.overlay` of a template: its words, and that it is a demand."""

import msgspec
import pytest

from taskyard.lifecycle.template import Template, TemplateInvalid, parse_template
from taskyard.lifecycle.walls import Overlay, Wall, demands


def parsed(line: str) -> Template:
    return parse_template({"taskyard.toml": f"[workspace]\n{line}\n".encode()})


@pytest.mark.parametrize("overlay", list(Overlay))
def test_its_words_are_read(overlay: Overlay) -> None:
    """Each of them, and all but none are demanded of the machine by the line that says so."""
    workspace = parsed(f'overlay = "{overlay}"').workspace
    assert workspace.overlay is overlay
    line = None if overlay is Overlay.NONE else f'overlay = "{overlay}"'
    assert demands(workspace).get(Wall.OVERLAY) == line


def test_another_word_is_a_problem() -> None:
    """Named by its key."""
    with pytest.raises(TemplateInvalid) as refused:
        parsed('overlay = "keep"')
    assert [problem.key for problem in refused.value.problems] == ["workspace.overlay"]


def test_templates_of_before_have_none() -> None:
    """A document without the key is read."""
    document = msgspec.to_builtins(parsed(""))
    del document["workspace"]["overlay"]
    assert msgspec.convert(document, Template).workspace.overlay is Overlay.NONE
