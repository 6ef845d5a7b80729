"""Templates and values that are made to cost the server time or memory: each answer comes soon and is short."""

import json
import time
from collections.abc import Mapping

import pytest

from taskyard.lifecycle.parameter import ParameterViolation, validate_parameters
from taskyard.lifecycle.template import TemplateInvalid, parse_template
from taskyard.lifecycle.template_model import Template

HUGE = "0x" + "f" * 6000
"""A number that Python does not write out."""

QUICK_S = 1.5
"""Seconds for any of these on a busy machine; unchecked, each takes several times that."""

LONGEST = 20_000
"""Characters of all that is said about one template or one request: what a person may want to read."""


def parsed(toml: str, *others: str) -> Template:
    """The template; raises TemplateInvalid."""
    return parse_template({"taskyard.toml": toml.encode(), **dict.fromkeys(others, b"")})


def asking(count: int) -> str:
    """So many parameters."""
    return "".join(f'[[parameter]]\nname = "a{n}"\ndefault = ""\n' for n in range(count))


def choosing(count: int) -> str:
    """A parameter of so many options."""
    options = ", ".join(f'"{n}"' for n in range(count))
    return (
        f'[[parameter]]\nname = "a"\ntype = "list(string)"\ndefault = []\noptions = [{options}]\n'
    )


def violations(toml: str, given: Mapping[str, str]) -> list[ParameterViolation]:
    """What is wrong with these values."""
    template = parsed(toml)
    began = time.monotonic()
    found = validate_parameters(template.parameters, given)
    assert time.monotonic() - began < QUICK_S
    assert isinstance(found, list)
    assert sum(len(each.sentence) for each in found) < LONGEST
    return found


@pytest.mark.parametrize(
    "toml",
    [
        f"[workspace]\nprocesses = {HUGE}\n",
        f"[workspace]\ncpu = {HUGE}\n",
        f"[workspace]\ncpu = 0x{'f' * 300}\n",
        f'[[parameter]]\nname = "a"\ntype = "number"\ndefault = {HUGE}\n',
        f'[[parameter]]\nname = "a"\ntype = "number"\noptions = [{HUGE}]\n',
        f'[[parameter]]\nname = "a"\ntype = "number"\n[parameter.validation]\nmin = {HUGE}\n',
    ],
)
def test_numbers_that_cannot_be_written_out(toml: str) -> None:
    """A number too long to be shown is a problem like any other, with its line."""
    with pytest.raises(TemplateInvalid) as caught:
        parsed(toml)
    assert [each.line for each in caught.value.problems] == [toml.count("\n")]


@pytest.mark.parametrize(
    "toml",
    [
        asking(400)
        + '[[preset]]\nname = "p"\n[preset.parameters]\n'
        + "".join(f'b{n} = ""\n' for n in range(9000)),
        "".join(f'b{n} = ""\n' for n in range(20_000)),
        asking(7000),
        '[[app]]\nslug = "a"\n' * 5000,
        '[[preset]]\nname = "p"\n' * 5000,
        choosing(20_000),
        f'[template]\nicon = "{"x" * 5000}"\n',
        f'[[app]]\nslug = "a"\nurl = "http://localhost:1"\nicon = "{"x" * 5000}"\n',
    ],
    ids=["values", "keys", "parameters", "apps", "presets", "options", "icon", "app icon"],
)
def test_too_much_of_anything(toml: str) -> None:
    """What nobody writes by hand is refused soon, and not with a word about each piece of it."""
    began = time.monotonic()
    with pytest.raises(TemplateInvalid) as caught:
        parsed(toml)
    assert time.monotonic() - began < 2 * QUICK_S
    assert len(str(caught.value)) < LONGEST


def test_a_script_among_thousands_of_alike_names() -> None:
    """The hint at the file that may be meant is not worth seconds."""
    names = [f"{'ab' * 95}{n:04}" for n in range(4000)]
    began = time.monotonic()
    with pytest.raises(TemplateInvalid):
        parsed(f'[scripts]\nstart = "{"ba" * 95}"\n', *names)
    assert time.monotonic() - began < QUICK_S


def test_values_for_parameters_that_there_are_not() -> None:
    """Names that nobody asked for are not answered with every name that somebody did, each time."""
    violations(asking(400), {f"x{n}": "" for n in range(100_000)})


def test_a_value_that_is_none_of_many_options() -> None:
    """Not every option is listed."""
    violations(choosing(500), {"a": '["x"]'})


def test_a_long_list_of_one_of_many_options() -> None:
    """Each entry of a list is looked up, not searched for."""
    template = parsed(choosing(500))
    began = time.monotonic()
    validate_parameters(template.parameters, {"a": json.dumps(["499"] * 9000)})
    assert time.monotonic() - began < QUICK_S / 10


def test_a_value_of_one_long_word() -> None:
    """A value that is no option is quoted as far as a person reads."""
    violations('[[parameter]]\nname = "a"\noptions = ["b"]\n', {"a": "x" * 60_000})
