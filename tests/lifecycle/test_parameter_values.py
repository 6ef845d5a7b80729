"""Values of template parameters: good ones pass, each bad one names its rule."""

import pytest
from msgspec.structs import replace

from taskyard.lifecycle.parameter import check_change
from taskyard.lifecycle.template import (
    Monotonic,
    Option,
    Parameter,
    ParameterRule,
    ParameterViolation,
    parameter_environment,
    validate_parameters,
)
from taskyard.wire.enums import ParameterType

TEXT = Parameter(
    name="branch",
    display_name="",
    description="",
    icon="",
    type=ParameterType.STRING,
    form_type="input",
    default=None,
    options=[],
    mutable=False,
    ephemeral=False,
    regex=None,
    error=None,
    minimum=None,
    maximum=None,
    monotonic=None,
)
NUMBER = replace(TEXT, type=ParameterType.NUMBER, minimum=1, maximum=9)
FLAG = replace(TEXT, type=ParameterType.BOOL)
LIST = replace(TEXT, type=ParameterType.LIST_OF_STRING)
OPTIONS = [Option("One", "a", "", ""), Option("Two", "b", "", "")]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (TEXT, ""),
        (TEXT, "any text\nat all"),
        (replace(TEXT, regex="^v[0-9]+$"), "v7"),
        (replace(TEXT, options=OPTIONS), "b"),
        (NUMBER, "1"),
        (NUMBER, "9"),
        (replace(NUMBER, minimum=None), "-12"),
        (FLAG, "true"),
        (FLAG, "false"),
        (LIST, "[]"),
        (LIST, '["x", "y"]'),
        (replace(LIST, options=OPTIONS), '["a", "b", "a"]'),
    ],
)
def test_a_good_value_is_taken_as_it_is(parameter: Parameter, value: str) -> None:
    """S12: values travel as strings and are not rewritten."""
    assert validate_parameters([parameter], {"branch": value}) == {"branch": value}


@pytest.mark.parametrize(
    ("parameter", "value", "rule"),
    [
        (replace(TEXT, regex="^v[0-9]+$"), "7", ParameterRule.PATTERN),
        (replace(TEXT, regex="a"), "a" * 2000, ParameterRule.PATTERN),
        (replace(TEXT, options=OPTIONS), "c", ParameterRule.OPTION),
        (TEXT, "x" * 65537, ParameterRule.SIZE),
        (TEXT, "a\0b", ParameterRule.SIZE),
        (NUMBER, "", ParameterRule.TYPE),
        (NUMBER, "1.5", ParameterRule.TYPE),
        (NUMBER, "1" * 400, ParameterRule.TYPE),
        (NUMBER, "٣", ParameterRule.TYPE),
        (NUMBER, "0", ParameterRule.MINIMUM),
        (NUMBER, "10", ParameterRule.MAXIMUM),
        (replace(NUMBER, options=[Option("1", "1", "", "")]), "2", ParameterRule.OPTION),
        (FLAG, "True", ParameterRule.TYPE),
        (FLAG, "1", ParameterRule.TYPE),
        (LIST, "a,b", ParameterRule.TYPE),
        (LIST, '{"a": 1}', ParameterRule.TYPE),
        (LIST, "[1]", ParameterRule.TYPE),
        (LIST, "[" * 100_000, ParameterRule.SIZE),
        (LIST, "[" * 60_000, ParameterRule.TYPE),
        (replace(LIST, options=OPTIONS), '["a", "c"]', ParameterRule.OPTION),
    ],
)
def test_a_bad_value_names_the_rule_it_breaks(
    parameter: Parameter, value: str, rule: ParameterRule
) -> None:
    """S12: type, options, pattern and bounds."""
    found = validate_parameters([parameter], {"branch": value})
    assert isinstance(found, list)
    assert [(violation.name, violation.rule) for violation in found] == [("branch", rule)]


def test_absent_values_become_defaults_in_the_template_s_order() -> None:
    """What was given wins."""
    parameters = [
        replace(TEXT, name="z", default="zed"),
        replace(TEXT, name="a", default="ay"),
        replace(TEXT, name="m"),
    ]
    found = validate_parameters(parameters, {"m": "em", "a": "given"})
    assert isinstance(found, dict)
    assert list(found.items()) == [("z", "zed"), ("a", "given"), ("m", "em")]
    assert validate_parameters([], {}) == {}


def test_everything_wrong_is_said_at_once() -> None:
    """A name the template does not have, and a value that nobody gave."""
    found = validate_parameters([TEXT], {"brunch": "x"})
    assert isinstance(found, list)
    assert [(violation.name, violation.rule) for violation in found] == [
        ("brunch", ParameterRule.UNKNOWN),
        ("branch", ParameterRule.MISSING),
    ]


def test_the_template_s_own_words_explain_a_broken_rule() -> None:
    """`validation.error` is what a person reads."""
    parameter = replace(NUMBER, error="between one and nine")
    assert validate_parameters([parameter], {"branch": "0"}) == [
        ParameterViolation("branch", ParameterRule.MINIMUM, "between one and nine")
    ]


def test_values_reach_programs_as_environment_variables() -> None:
    """Capitals, `_` for `-`, and a prefix that nothing else has."""
    assert parameter_environment({"base-branch": "main", "a_b": "$(x)"}) == {
        "TASKYARD_PARAMETER_BASE_BRANCH": "main",
        "TASKYARD_PARAMETER_A_B": "$(x)",
    }


INCREASING = replace(NUMBER, mutable=True, monotonic=Monotonic.INCREASING)
DECREASING = replace(NUMBER, mutable=True, monotonic=Monotonic.DECREASING)


@pytest.mark.parametrize(
    ("parameter", "old", "new", "rule"),
    [
        (TEXT, "a", "a", None),
        (TEXT, "a", "b", ParameterRule.IMMUTABLE),
        (replace(TEXT, mutable=True), "a", "b", None),
        (INCREASING, "2", "3", None),
        (INCREASING, "9", "10", None),
        (INCREASING, "10", "9", ParameterRule.MONOTONIC),
        (DECREASING, "10", "9", None),
        (DECREASING, "9", "10", ParameterRule.MONOTONIC),
        (replace(INCREASING, mutable=False), "2", "3", ParameterRule.IMMUTABLE),
        (INCREASING, "many", "3", None),
    ],
)
def test_what_may_follow_a_value(
    parameter: Parameter, old: str, new: str, rule: ParameterRule | None
) -> None:
    """S12: immutable values stay, monotonic ones move one way, and one of another type before binds nobody."""
    violation = check_change(parameter, old, new)
    assert (None if violation is None else violation.rule) == rule


def test_a_template_says_in_its_own_words_what_may_not_follow() -> None:
    """The sentence of `validation.error` stands for the rule that was broken."""
    violation = check_change(replace(INCREASING, error="disks only grow"), "3", "2")
    assert violation is not None
    assert violation.sentence == "disks only grow"


def test_a_pattern_of_another_engine_refuses_values_and_breaks_nothing() -> None:
    """A version imported when patterns were Python's answers with a sentence, not with a failure."""
    found = validate_parameters([replace(TEXT, regex="(?=a)")], {"branch": "a"})
    assert isinstance(found, list)
    assert found[0].rule is ParameterRule.PATTERN
