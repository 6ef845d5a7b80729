"""A group of commands that costs nothing until one of them is called."""

import gc
import importlib
from collections.abc import Mapping
from types import ModuleType

import click


class LazyGroup(click.Group):
    """Commands that are imported when they are called; their help lines are known without."""

    def __init__(
        self,
        *,
        table: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str],
        **settings: object,
    ) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # click's own, passed on unseen
        self._table = table
        self._aliases = aliases

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names in the order of the alphabet."""
        return sorted(self._table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name or alias."""
        place = self._table.get(self._aliases.get(cmd_name, cmd_name))
        if place is None:
            return None
        module, _, name = place[0].partition(":")
        command = getattr(_imported(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._table[name][1]) for name in sorted(self._table)])


def _imported(name: str) -> ModuleType:
    """A module; what an import makes stays, so that looking for garbage among it is time lost, now and later."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
