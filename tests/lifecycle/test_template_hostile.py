"""Templates and values that are made to cost the server time or memory: each answer is cheap and short."""

import json
import tomllib
from collections.abc import Mapping

import pytest

from taskyard.lifecycle.parameter import MAX_STRAYS, ParameterViolation, validate_parameters
from taskyard.lifecycle.template import MAX_TOML_BYTES, TemplateInvalid, parse_template
from taskyard.lifecycle.template_model import Template
from taskyard.lifecycle.toml_table import MAX_PROBLEMS
from tests.effort import costs_at_most

HUGE = "0x" + "f" * 6000
"""A number that Python does not write out."""

MOST_TIMES = 20
"""What an answer costs at most, in readings of the same text as mere TOML or JSON. The dearest costs 4."""

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


def problems(toml: str, *others: str) -> TemplateInvalid:
    """What is wrong with this template."""
    with pytest.raises(TemplateInvalid) as caught:
        parsed(toml, *others)
    return caught.value


def violations(toml: str, given: Mapping[str, str]) -> list[ParameterViolation]:
    """What is wrong with these values."""
    found = validated(toml, given)
    assert isinstance(found, list)
    assert sum(len(each.sentence) for each in found) < LONGEST
    return found


def validated(toml: str, given: Mapping[str, str]) -> dict[str, str] | list[ParameterViolation]:
    """The values, or what is wrong with them: found with little more effort than it takes to read them."""
    parameters = parsed(toml).parameters
    request = json.dumps(given)
    costs_at_most(
        MOST_TIMES,
        lambda: validate_parameters(parameters, given),
        lambda: (tomllib.loads(toml), json.loads(request)),
    )
    return validate_parameters(parameters, given)


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
    assert [each.line for each in problems(toml).problems] == [toml.count("\n")]


@pytest.mark.parametrize(
    "toml",
    [
        asking(400)
        + '[[preset]]\nname = "p"\n[preset.parameters]\n'
        + "".join(f'b{n} = ""\n' for n in range(9000)),
        "".join(f'b{n} = ""\n' for n in range(20_000)),
        asking(6000),
        '[[app]]\nslug = "a"\n' * 5000,
        '[[preset]]\nname = "p"\n' * 5000,
        choosing(20_000),
    ],
    ids=["values", "keys", "parameters", "apps", "presets", "options"],
)
def test_too_much_of_anything(toml: str) -> None:
    """What nobody writes by hand is refused with little more effort than it takes to read it, and few words."""
    costs_at_most(MOST_TIMES, lambda: problems(toml), lambda: tomllib.loads(toml))
    found = problems(toml)
    assert len(toml) < MAX_TOML_BYTES
    assert len(found.problems) <= MAX_PROBLEMS
    assert len(str(found)) < LONGEST


@pytest.mark.parametrize(
    "toml",
    [
        f'[template]\nicon = "{"x" * 5000}"\n',
        f'[[app]]\nslug = "a"\nurl = "http://localhost:1"\nicon = "{"x" * 5000}"\n',
    ],
    ids=["template", "app"],
)
def test_an_icon_like_a_novel(toml: str) -> None:
    """It is refused without being quoted."""
    assert len(str(problems(toml))) < 500


def test_a_script_among_thousands_of_alike_names() -> None:
    """The hint at the file that may be meant costs about as much as to find the file."""
    names = [f"{'ab' * 95}{n:04}" for n in range(4000)]
    costs_at_most(
        MOST_TIMES,
        lambda: problems(f'[scripts]\nstart = "{"ba" * 95}"\n', *names),
        lambda: parsed(f'[scripts]\nstart = "{names[0]}"\n', *names),
    )


def test_values_for_parameters_that_there_are_not() -> None:
    """Names that nobody asked for are not answered with every name that somebody did, each time."""
    found = violations(asking(400), {f"x{n}": "" for n in range(100_000)})
    assert len(found) == MAX_STRAYS


def test_a_value_that_is_none_of_many_options() -> None:
    """Not every option is listed."""
    violations(choosing(500), {"a": '["x"]'})


def test_a_long_list_of_one_of_many_options() -> None:
    """Each entry of a list is looked up, not searched for."""
    value = json.dumps(["499"] * 9000)
    assert validated(choosing(500), {"a": value}) == {"a": value}


def test_a_value_of_one_long_word() -> None:
    """A value that is no option is quoted as far as a person reads."""
    violations('[[parameter]]\nname = "a"\noptions = ["b"]\n', {"a": "x" * 60_000})
