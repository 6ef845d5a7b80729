"""Values of template parameters: checked against their rules, filled up with defaults."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import assert_never

from taskyard.lifecycle.pattern import PatternInvalid, found_in
from taskyard.lifecycle.template_model import Monotonic, Parameter
from taskyard.lifecycle.wording import cut, listed
from taskyard.wire.enums import ParameterType

MAX_VALUE_BYTES = 64 * 1024
"""Largest value of one parameter: Linux takes 128 KiB an environment variable, and this leaves room."""

MAX_REGEX_CHARS = 1024
"""Longest value that a template's pattern is tried on: with the limits of patterns it bounds the time that takes."""


MAX_STRAYS = 100
"""Unknown names that are answered one by one; a request has room for a hundred thousand."""


class ParameterRule(StrEnum):
    """What a parameter value can break."""

    UNKNOWN = "parameter_unknown"
    MISSING = "parameter_missing"
    TYPE = "parameter_type"
    OPTION = "parameter_option"
    PATTERN = "parameter_pattern"
    MINIMUM = "parameter_minimum"
    MAXIMUM = "parameter_maximum"
    SIZE = "parameter_size"
    IMMUTABLE = "parameter_immutable"
    MONOTONIC = "parameter_monotonic"


@dataclass(frozen=True, slots=True)
class ParameterViolation:
    """One value that cannot be taken: whose, which rule, and a sentence for people."""

    name: str
    rule: ParameterRule
    sentence: str


def validate_parameters(
    parameters: Sequence[Parameter], given: Mapping[str, str]
) -> dict[str, str] | list[ParameterViolation]:
    """A value for each parameter, in the template's order, or everything that is wrong.

    Absent values become their defaults. Whether a value may follow that of the build before is
    check_change. Source: S12.
    """
    known = {parameter.name for parameter in parameters}
    strays = (name for name in given if name not in known)
    violations = [_unknown(name, known) for name in islice(strays, MAX_STRAYS)]
    values: dict[str, str] = {}
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        violation = _missing(parameter) if value is None else check_value(parameter, value)
        if violation is not None:
            violations.append(violation)
        elif value is not None:
            values[parameter.name] = value
    return violations or values


def parameter_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that carry parameter values to scripts, apps and the coding agent.

    Each is TASKYARD_PARAMETER_ and the name in capitals, with `_` for `-` and for a blank.
    """
    return {environment_name(name): value for name, value in values.items()}


def environment_name(parameter: str) -> str:
    """The environment variable that carries the value of the parameter of that name."""
    return "TASKYARD_PARAMETER_" + parameter.upper().replace("-", "_").replace(" ", "_")


def check_value(parameter: Parameter, value: str) -> ParameterViolation | None:
    """The first rule of the parameter that the value breaks, None when it is good."""
    if "\0" in value or len(value.encode(errors="replace")) > MAX_VALUE_BYTES:
        sentence = f"the value must be at most {MAX_VALUE_BYTES} bytes, without a NUL"
        return ParameterViolation(parameter.name, ParameterRule.SIZE, sentence)
    match parameter.type:
        case ParameterType.STRING:
            return _in_options(parameter, [value]) or _in_pattern(parameter, value)
        case ParameterType.NUMBER:
            return _number(parameter, value)
        case ParameterType.BOOL:
            return _bool(parameter, value)
        case ParameterType.LIST_OF_STRING:
            return _list(parameter, value)
    assert_never(parameter.type)


def check_change(parameter: Parameter, old: str, new: str) -> ParameterViolation | None:
    """Why a good value may not follow that of the build before; None when it may. Source: S12."""
    if old == new:
        return None
    if not parameter.mutable:
        sentence = f'it was set to "{old[:80]}" when the workspace was made and cannot be changed'
        return ParameterViolation(parameter.name, ParameterRule.IMMUTABLE, sentence)
    if parameter.monotonic is None or not _is_number(old) or not _is_number(new):
        return None
    if parameter.monotonic is Monotonic.INCREASING and int(new) < int(old):
        return _broken(parameter, ParameterRule.MONOTONIC, f"it may only grow, and is {old}")
    if parameter.monotonic is Monotonic.DECREASING and int(new) > int(old):
        return _broken(parameter, ParameterRule.MONOTONIC, f"it may only shrink, and is {old}")
    return None


def _unknown(name: str, known: set[str]) -> ParameterViolation:
    have = listed(sorted(known)) or "none"
    sentence = f'the template has no parameter "{cut(name)}"; its parameters are: {have}'
    return ParameterViolation(name, ParameterRule.UNKNOWN, sentence)


def _missing(parameter: Parameter) -> ParameterViolation:
    sentence = f'parameter "{parameter.name}" has no default; give it a value'
    return ParameterViolation(parameter.name, ParameterRule.MISSING, sentence)


def _number(parameter: Parameter, value: str) -> ParameterViolation | None:
    if not _is_number(value):
        return _wrong_type(parameter, value, "a whole number")
    number = int(value)
    if parameter.minimum is not None and number < parameter.minimum:
        return _broken(
            parameter, ParameterRule.MINIMUM, f"{value} is less than {parameter.minimum}"
        )
    if parameter.maximum is not None and number > parameter.maximum:
        return _broken(
            parameter, ParameterRule.MAXIMUM, f"{value} is more than {parameter.maximum}"
        )
    return _in_options(parameter, [value])


def _is_number(value: str) -> bool:
    """Whether this is a whole number as values are written; it may have been of another type before."""
    return re.fullmatch(r"-?[0-9]{1,18}", value) is not None


def _bool(parameter: Parameter, value: str) -> ParameterViolation | None:
    if value not in {"true", "false"}:
        return _wrong_type(parameter, value, '"true" or "false"')
    return _in_options(parameter, [value])


def _list(parameter: Parameter, value: str) -> ParameterViolation | None:
    wanted = 'a JSON array of strings, like ["a", "b"]'
    try:
        entries = json.loads(value)
    except (ValueError, RecursionError):
        return _wrong_type(parameter, value, wanted)
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        return _wrong_type(parameter, value, wanted)
    return _in_options(parameter, entries)


def _in_options(parameter: Parameter, values: list[str]) -> ParameterViolation | None:
    options = {option.value for option in parameter.options}
    stray = next((value for value in values if value not in options), None)
    if not options or stray is None:
        return None
    have = listed([f'"{option.value}"' for option in parameter.options])
    return ParameterViolation(
        parameter.name, ParameterRule.OPTION, f'"{cut(stray)}" is none of its options: {have}'
    )


def _in_pattern(parameter: Parameter, value: str) -> ParameterViolation | None:
    if parameter.regex is None:
        return None
    if len(value) > MAX_REGEX_CHARS:
        sentence = (
            f"the value is longer than the {MAX_REGEX_CHARS} characters a pattern is tried on"
        )
        return ParameterViolation(parameter.name, ParameterRule.PATTERN, sentence)
    try:
        if found_in(parameter.regex, value):
            return None
    except PatternInvalid as error:
        sentence = f"the template's pattern {parameter.regex} cannot be used: {error}"
        return ParameterViolation(parameter.name, ParameterRule.PATTERN, sentence)
    return _broken(
        parameter, ParameterRule.PATTERN, f'"{value[:80]}" does not match {parameter.regex}'
    )


def _broken(parameter: Parameter, rule: ParameterRule, sentence: str) -> ParameterViolation:
    """A violation in the template's own words where it has some."""
    return ParameterViolation(parameter.name, rule, parameter.error or sentence)


def _wrong_type(parameter: Parameter, value: str, wanted: str) -> ParameterViolation:
    sentence = f'"{value[:80]}" is not {wanted}'
    return ParameterViolation(parameter.name, ParameterRule.TYPE, sentence)
