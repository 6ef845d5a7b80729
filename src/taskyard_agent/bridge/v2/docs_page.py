"""The bridge's API as a page for people: plain HTML, made from both OpenAPI documents, that fetches nothing."""

import hashlib
from base64 import b64encode
from functools import cache
from html import escape
from typing import Final

from taskyard_agent.bridge import openapi
from taskyard_agent.bridge.v2 import openapi as v2

Object = dict[str, object]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #d9dce3; --soft: #5a6270; --raised: #f5f6f8; --link: #0b57b0; }
@media (prefers-color-scheme: dark) {
  :root { --line: #343a45; --soft: #a2a9b5; --raised: #1d2128; --link: #84b6ff; }
}
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem; font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); }
h2 { margin-top: 2.5rem; border-top: 2px solid var(--line); padding-top: .75rem; }
h3 { margin: 1.75rem 0 .25rem; font-size: 1rem; overflow-wrap: anywhere; }
code, h3 { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
code { font-size: .9em; }
p { margin: .3rem 0; }
.soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
"""
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page may use its own style and nothing else."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bridge API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<h1>The bridge's API</h1>
<p>Programs read the same as OpenAPI: <a href="/openapi.json">AgentAPI</a>, <a href="/v2/openapi.json">/v2</a>.</p>
<h2>AgentAPI</h2>
{old}
<h2>/v2 and what watches over it</h2>
{new}
<h2>Schemas</h2>
{schemas}
</body>
</html>
"""


@cache
def page() -> str:
    """The whole page, made once when somebody first asks for it."""
    old, new = openapi.openapi("3.1.0"), v2.document()
    schemas = {**_at(old, "components", "schemas"), **_at(new, "components", "schemas")}
    return _PAGE.format(
        style=_STYLE,
        old=_operations(old),
        new=_operations(new),
        schemas="".join(_schema(name, _at(schemas, name)) for name in sorted(schemas)),
    )


def _operations(document: Object) -> str:
    paths = _at(document, "paths")
    return "".join(
        _operation(method, path, _at(paths, path, method))
        for path in paths
        for method in _at(paths, path)
    )


def _operation(method: str, path: str, operation: Object) -> str:
    """One operation with all that it takes and gives."""
    description = operation.get("description")
    return "".join(
        [
            f'<h3 id="{escape(str(operation["operationId"]))}">{method.upper()} {escape(path)}</h3>',
            f"<p>{escape(str(operation['summary']))}.</p>",
            f"<p>{escape(str(description))}</p>" if description else "",
            _parameters(operation.get("parameters")),
            _content("Body", operation.get("requestBody")),
            *(
                _content(f"Answer {status}", _at(operation, "responses", status))
                for status in _at(operation, "responses")
            ),
        ]
    )


def _parameters(found: object) -> str:
    if not isinstance(found, list):
        return ""
    rows = [
        (
            f"<code>{escape(str(one['name']))}</code>",
            str(one["in"]),
            str(one.get("description", "")),
        )
        for one in found
    ]
    return _table([(name, where, escape(told)) for name, where, told in rows])


def _content(title: str, part: object) -> str:
    if not isinstance(part, dict):
        return ""
    told = str(part.get("description", ""))
    types = [
        f"<code>{escape(media)}</code> {_type(_at(part, 'content', media).get('schema'))}"
        for media in _at(part, "content")
    ]
    return f'<p>{title}: {", ".join(types)} <span class="soft">{escape(told)}</span></p>'


def _schema(name: str, schema: Object) -> str:
    """One shape: its keys."""
    properties = schema.get("properties")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    rows = [
        (
            f"<code>{escape(key)}</code>",
            _type(value) + ("" if key in names else ", optional"),
            escape(str(value.get("description", ""))),
        )
        for key, value in (properties.items() if isinstance(properties, dict) else ())
    ]
    told = escape(str(schema.get("description", "")))
    return f'<h3 id="schema-{name}">{name}</h3><p>{told}</p>{_table(rows)}'


def _type(schema: object) -> str:
    """The type of a schema in words, with links to those that have a name."""
    match schema:
        case {"$ref": str(target)}:
            name = target.rpartition("/")[2]
            return f'<a href="#schema-{name}">{name}</a>'
        case {"anyOf": list(options)}:
            return " or ".join(map(_type, options))
        case {"enum": list(words)}:
            return " | ".join(f"<code>{escape(str(word))}</code>" for word in words)
        case {"type": "array", "items": item}:
            return f"list of {_type(item)}"
        case {"type": str(name)}:
            return escape(name)
    return "anything"


def _table(rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{lines}</table></div>'


def _at(value: object, *path: str) -> Object:
    """The object at the end of these keys; an empty one where it ends before."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
