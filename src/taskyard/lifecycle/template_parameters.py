"""Reading [[parameter]] and [[preset]]: the questions of a template and their prepared answers."""

import json
import re
from collections.abc import Sequence

from taskyard.lifecycle.parameter import check_value, environment_name
from taskyard.lifecycle.pattern import PatternInvalid, check_pattern
from taskyard.lifecycle.template_model import MAX_ICON_CHARS, Monotonic, Option, Parameter, Preset
from taskyard.lifecycle.toml_table import MAX_ENTRIES, Table, nearest
from taskyard.wire.enums import ParameterType

MAX_ERROR_CHARS = 500
"""Longest sentence of a template about a wrong value."""

_NAME = re.compile(r"(?=.{1,64}$)[A-Za-z](?: ?[A-Za-z0-9_-])*")
"""Blanks are for the names that clients have built in, such as `AI Prompt`."""


_FORMS = {
    ParameterType.STRING: "input",
    ParameterType.NUMBER: "input",
    ParameterType.BOOL: "checkbox",
    ParameterType.LIST_OF_STRING: "tag-select",
}
"""How a page asks for a value of each type that has no options. Source: S12."""


def read_parameters(root: Table) -> list[Parameter]:
    """Every [[parameter]] whose name and type could be read."""
    parameters: dict[str, Parameter] = {}
    for table in root.tables("parameter"):
        parameter = _parameter(table)
        if parameter is None:
            continue
        variable = environment_name(parameter.name)
        if variable in parameters:
            other = parameters[variable].name
            table.problem(
                f'"{parameter.name}" and "{other}" both become {variable}; rename one', "name"
            )
            continue
        parameters[variable] = parameter
    return list(parameters.values())


def _parameter(table: Table) -> Parameter | None:
    name = table.needed_text("name")
    if name is not None and not _NAME.fullmatch(name):
        table.problem(
            f'"{name}" must begin with a letter; then letters, digits, _, - and single blanks',
            "name",
        )
    kind = table.choice("type", ParameterType) or ParameterType.STRING
    options = _options(table, kind)
    default = to_value(table, "default", kind)
    rules = table.table("validation")
    parameter = Parameter(
        name=name or "",
        display_name=table.text("display_name") or "",
        description=table.text("description") or "",
        icon=table.text("icon", max_chars=MAX_ICON_CHARS) or "",
        type=kind,
        form_type=_form(kind, options),
        default=default,
        options=options,
        mutable=table.flag("mutable") or False,
        ephemeral=table.flag("ephemeral") or False,
        regex=_regex(rules, kind),
        error=rules.text("error", max_chars=MAX_ERROR_CHARS),
        minimum=_bound(rules, "min", kind),
        maximum=_bound(rules, "max", kind),
        monotonic=_monotonic(rules, kind),
    )
    rules.close()
    table.close()
    _check_rules(table, parameter)
    return parameter if name else None


def _form(kind: ParameterType, options: list[Option]) -> str:
    if not options:
        return _FORMS[kind]
    return "multi-select" if kind is ParameterType.LIST_OF_STRING else "radio"


def _options(table: Table, kind: ParameterType) -> list[Option]:
    """Options as plain values, or as tables with a name of their own; all of one form."""
    one = ParameterType.STRING if kind is ParameterType.LIST_OF_STRING else kind
    given = table.raw("options")
    if isinstance(given, list) and all(isinstance(entry, dict) for entry in given):
        options = [_option(entry, one) for entry in table.tables("options")]
    else:
        values = [_as_text(entry, one) for entry in given] if isinstance(given, list) else []
        if given is not None and (None in values or not values):
            table.problem(
                f"must be a list of {_WANTED[one]} or of tables with name and value", "options"
            )
        if len(values) > MAX_ENTRIES:
            table.problem(f"has more than the {MAX_ENTRIES} entries that are taken", "options")
        options = [Option(value, value, "", "") for value in values if value is not None]
    values_seen = [option.value for option in options]
    if len(set(values_seen)) < len(values_seen):
        table.problem("lists the same value twice", "options")
    return options


def _option(table: Table, kind: ParameterType) -> Option:
    if not table.has("value"):
        table.problem('"value" is missing')
    value = to_value(table, "value", kind) or ""
    name = table.text("name") or value
    option = Option(
        name,
        value,
        table.text("description") or "",
        table.text("icon", max_chars=MAX_ICON_CHARS) or "",
    )
    table.close()
    return option


def _regex(rules: Table, kind: ParameterType) -> str | None:
    regex = rules.text("regex")
    if regex is None:
        return None
    if kind is not ParameterType.STRING:
        rules.problem(f"is for parameters of type string, not {kind}", "regex")
    try:
        check_pattern(regex)
    except PatternInvalid as error:
        rules.problem(f"is not a pattern that can be used (RE2 syntax): {error}", "regex")
        return None
    return regex


def _bound(rules: Table, key: str, kind: ParameterType) -> int | None:
    bound = rules.whole(key)
    if bound is not None and kind is not ParameterType.NUMBER:
        rules.problem(f"is for parameters of type number, not {kind}", key)
    return bound


def _monotonic(rules: Table, kind: ParameterType) -> Monotonic | None:
    word = rules.choice("monotonic", Monotonic)
    if word is not None and kind is not ParameterType.NUMBER:
        rules.problem(f"is for parameters of type number, not {kind}", "monotonic")
    return word


def _check_rules(table: Table, parameter: Parameter) -> None:
    """Notes rules that no value can keep, and a default that breaks them."""
    if parameter.ephemeral and parameter.default is None:
        table.problem(
            "an ephemeral parameter starts anew each time; give it a default", "ephemeral"
        )
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None and low > high:
        table.problem(f"min {low} is above max {high}", "validation")
    if parameter.default is not None:
        violation = check_value(parameter, parameter.default)
        if violation is not None:
            table.problem(violation.sentence, "default")


def read_presets(root: Table, parameters: Sequence[Parameter]) -> list[Preset]:
    """Every [[preset]]; each value is checked against its parameter."""
    presets: list[Preset] = []
    for table in root.tables("preset"):
        preset = Preset(
            name=table.needed_text("name") or "",
            description=table.text("description") or "",
            icon=table.text("icon", max_chars=MAX_ICON_CHARS) or "",
            default=table.flag("default") or False,
            parameters=_preset_values(table.table("parameters"), parameters),
        )
        table.close()
        if preset.name and preset.name in {other.name for other in presets}:
            table.problem(f'there are two presets "{preset.name}"', "name")
        if preset.default and any(other.default for other in presets):
            table.problem("another preset is the default already", "default")
        presets.append(preset)
    return presets


def _preset_values(table: Table, parameters: Sequence[Parameter]) -> dict[str, str]:
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, str] = {}
    for name in table.names():
        parameter = known.get(name)
        if parameter is None:
            table.problem(f'names no parameter "{name}"; {nearest(name, list(known))}', name)
            continue
        value = to_value(table, name, parameter.type)
        violation = None if value is None else check_value(parameter, value)
        if violation is not None:
            table.problem(violation.sentence, name)
        elif value is not None:
            values[name] = value
    return values


_WANTED = {
    ParameterType.STRING: "strings",
    ParameterType.NUMBER: "whole numbers",
    ParameterType.BOOL: "true or false",
    ParameterType.LIST_OF_STRING: "lists of strings",
}


def to_value(table: Table, key: str, kind: ParameterType) -> str | None:
    """A TOML value as a parameter value: a string; None when absent or, with a problem, of another type."""
    raw = table.raw(key)
    if raw is None:
        return None
    value = _as_text(raw, kind)
    if value is None:
        table.problem(f"must be what type {kind} takes ({_WANTED[kind]})", key)
    return value


def _as_text(raw: object, kind: ParameterType) -> str | None:
    match raw, kind:
        case str(), ParameterType.STRING if "\0" not in raw:
            return raw
        case bool(), ParameterType.BOOL:
            return "true" if raw else "false"
        case bool(), _:
            return None
        case int(), ParameterType.NUMBER:
            return str(raw) if abs(raw) < 2**53 else None
        case list(), ParameterType.LIST_OF_STRING if all(map(_is_text, raw)):
            return json.dumps(raw, ensure_ascii=False)
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
