"""What a template lists in `workspace.network`: where its workspaces may connect to."""

from collections.abc import Callable

from msgspec.structs import replace

from taskyard.lifecycle.egress import read_rule
from taskyard.lifecycle.egress_http import read_method, read_prefix
from taskyard.lifecycle.template_model import Egress
from taskyard.lifecycle.toml_table import Table

EXAMPLE = "example.org:443"


def read_egress(network: Table) -> list[Egress]:
    """The rules of `egress`: texts like `host:port`, and tables with host, port, methods and paths."""
    found: list[Egress] = []
    for entry in network.texts_and_tables("egress"):
        rule = _text(network, entry) if isinstance(entry, str) else _table(entry)
        if rule is not None:
            found.append(rule)
    return found


def _text(network: Table, entry: str) -> Egress | None:
    try:
        return read_rule(entry)
    except ValueError as error:
        network.problem(f'"{entry}" is not like "{EXAMPLE}": {error}', "egress")
        return None


def _table(entry: Table) -> Egress | None:
    host, port = entry.needed_text("host"), entry.whole("port", least=1)
    if not entry.has("port"):
        entry.problem('"port" is missing; add port = …')
    methods = _words(entry, "methods", read_method)
    paths = _words(entry, "paths", read_prefix)
    entry.close()
    if host is None or port is None:
        return None
    # In a table, an IPv6 address needs no brackets.
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        return replace(read_rule(f"{place}:{port}"), methods=methods, paths=paths)
    except ValueError as error:
        entry.problem(f'"{host}" with port {port} is no place to connect to: {error}', "host")
        return None


def _words(entry: Table, key: str, read: Callable[[str], str]) -> list[str] | None:
    """The words of a list, each as it is understood; None where there is no list."""
    words = entry.words(key)
    if words is None:
        return None
    if not words:
        entry.problem("is empty and would allow nothing; list something, or remove the key", key)
    found: list[str] = []
    for word in words:
        try:
            found.append(read(word))
        except ValueError as error:
            entry.problem(f'"{word}": {error}', key)
    return found
