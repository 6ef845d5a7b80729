"""What a template demands of the machine: how it is written, and what is said where it cannot be had."""

import pytest

from taskyard.lifecycle.template import TemplateInvalid, parse_template
from taskyard.lifecycle.walls import Backend, Wall, demands, unmet


def test_demands_are_read_and_keys_demand_by_themselves() -> None:
    """require, backend and overlay are demands, each once with the line that says so; limits and pauses are none."""
    text = b'[workspace]\nbackend = "runc"\noverlay = "kept"\npause = "freeze"\nmemory = "1GiB"\nrequire = ["disk", "runc", "disk"]\n'
    workspace = parse_template({"taskyard.toml": text}).workspace
    assert workspace.backend is Backend.RUNC
    assert demands(workspace) == {
        Wall.DISK: 'require = ["disk"]',
        Wall.RUNC: 'require = ["runc"]',
        Wall.OVERLAY: 'overlay = "kept"',
    }


def test_an_unknown_demand_is_a_problem() -> None:
    """The nearest word is named."""
    with pytest.raises(TemplateInvalid, match=r'workspace\.require: .*did you mean "memory"'):
        parse_template({"taskyard.toml": b'[workspace]\nrequire = ["memry"]\n'})


def test_what_is_lacking_is_a_sentence() -> None:
    """It holds the line of the template, and cause and cure as the machine has them."""
    lacks = {Wall.RUNC: "no program runc was found. To change it: install it"}
    [(wall, sentence)] = unmet({Wall.RUNC: 'backend = "runc"', Wall.DISK: "x"}, lacks)
    assert wall is Wall.RUNC
    assert 'backend = "runc"' in sentence
    assert sentence.endswith(lacks[Wall.RUNC])
