"""The option `--parameter` of commands that make a build."""

import click

from taskyard.wire.workspaces import ParameterValue

parameter_option = click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another value for a parameter of the template; may be given several times.",
)


def parameter_values(texts: tuple[str, ...]) -> list[ParameterValue]:
    """What was given, for a request; raises UsageError for a parameter without a name or a value."""
    return [_value(text) for text in texts]


def _value(text: str) -> ParameterValue:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise click.UsageError(f"{text!r} is no parameter; write it like NAME=VALUE.")
    return ParameterValue(name=name, value=value)
