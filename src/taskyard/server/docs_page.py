"""The API as a page for people: made from the OpenAPI document, plain HTML that runs and fetches nothing."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

import msgspec

from taskyard.server.docs_schema import note_of, properties, type_of
from taskyard.wire.openapi_document import Document, MediaType, Operation, Parameter, Schema

_ALIAS: Final = re.compile(r"_alias$")
"""Operations of a second path are told by those of the first."""

_STYLE: Final = files("taskyard.server").joinpath("docs_page.css").read_text(encoding="utf-8")
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

_TOKENS: Final[Mapping[str, str]] = {
    "sessionHeader": "Token of a session",
    "agentToken": "Token of a workspace agent",
}
"""What each way to authenticate is called; ways that are not listed say the same again."""


@cache
def document_file() -> bytes:
    """The OpenAPI document, as it was checked in."""
    return files("taskyard.server").joinpath("openapi.json").read_bytes()


@cache
def page() -> bytes:
    """The whole page, made once when somebody first asks for it."""
    return render(msgspec.json.decode(document_file(), type=Document)).encode()


def render(document: Document) -> str:
    """The page of a document."""
    groups = {tag.name: list[tuple[str, str, Operation]]() for tag in document.tags}
    for path, methods in document.paths.items():
        for method, operation in methods.items():
            if not _ALIAS.search(operation.operation_id):
                groups[operation.tags[0]].append((method, path, operation))
    sections = [
        f'<section id="{_slug(tag.name)}"><h2>{_title(tag.name)}</h2>{_prose(tag.description)}'
        + "".join(_operation(document, *found) for found in groups[tag.name])
        + "</section>"
        for tag in document.tags
    ]
    return _PAGE.format(
        title=escape(document.info.title),
        style=_STYLE,
        intro=_prose(document.info.description),
        index=_index(groups),
        sections="".join(sections),
        schemas="".join(_schema(name, s) for name, s in document.components.schemas.items()),
    )


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="frame">
<nav aria-label="Operations">{index}</nav>
<main id="content">
<h1>{title} API</h1>
{intro}
<p>Programs read the same as <a href="/api/openapi.json">OpenAPI 3.1</a>. In the examples, <code>$URL</code> is
the address of this server and <code>$TOKEN</code> a token, which <code>taskyard tokens create</code> makes.</p>
{sections}
<section id="schemas"><h2>Schemas</h2>
<p>A key is always there unless it says <em>optional</em>.</p>
{schemas}</section>
</main>
</div>
</body>
</html>
"""


def _index(groups: Mapping[str, list[tuple[str, str, Operation]]]) -> str:
    """The list of all operations, in their groups."""
    parts = ['<p><a href="#content">Top</a> · <a href="#schemas">Schemas</a></p>']
    for name, operations in groups.items():
        links = "".join(
            f'<li><a href="#{o.operation_id}">{escape(o.summary.rstrip("."))}</a></li>'
            for _, _, o in operations
        )
        parts.append(f'<h2><a href="#{_slug(name)}">{_title(name)}</a></h2><ul>{links}</ul>')
    return "".join(parts)


def _operation(document: Document, method: str, path: str, operation: Operation) -> str:
    """One operation with all that it takes and gives."""
    name = operation.operation_id
    return "".join(
        [
            f'<article id="{name}"><h3><a class="anchor" href="#{name}">',
            f'<span class="method {method}">{method.upper()}</span>',
            f'<span class="path">{escape(path)}</span></a></h3>',
            f"<p>{_inline(operation.summary)} {_token(operation)}</p>",
            _prose(operation.description),
            _parameters(operation.parameters),
            _body(operation),
            _answers(document, operation),
            _curl(method, path, operation),
            "</article>",
        ]
    )


def _token(operation: Operation) -> str:
    names = [_TOKENS[way] for ways in operation.security for way in ways if way in _TOKENS]
    return f'<span class="token">{" or ".join(names) or "No token needed"}.</span>'


def _parameters(parameters: Iterable[Parameter]) -> str:
    rows = [
        (
            f"<code>{escape(p.name)}</code>",
            f"{p.place}{', required' if p.required and p.place != 'path' else ''}",
            type_of(p.schema),
            _inline(p.description) or note_of(p.schema),
        )
        for p in parameters
    ]
    return _table("Parameters", ("Name", "In", "Type", ""), rows)


def _body(operation: Operation) -> str:
    """What the request holds."""
    if not isinstance(operation.request_body, msgspec.Struct):
        return ""
    return f"<h4>Request</h4><p>{_contents(operation.request_body.content)}</p>"


def _answers(document: Document, operation: Operation) -> str:
    """Every status with what it means and holds, and a body that was really seen."""
    rows, examples = [], []
    for code, given in operation.responses.items():
        named = given.reference.rpartition("/")[2]
        answer = document.components.responses[named] if named else given
        headers = "".join(f"<br>Header <code>{escape(name)}</code>" for name in given.headers)
        rows.append(
            (
                f"<code>{code}</code>",
                _inline(answer.description) + headers,
                _contents(answer.content),
            )
        )
        examples += [m.example for m in given.content.values() if m.example is not msgspec.UNSET]
    shown = "".join(f"<details><summary>Example</summary>{_json(e)}</details>" for e in examples)
    return _table("Responses", ("Status", "Meaning", "Body"), rows) + shown


def _contents(content: Mapping[str, MediaType]) -> str:
    """The shapes of a body, each with its media type where that is not JSON."""
    said = []
    for media, shape in content.items():
        is_json = media == "application/json" and isinstance(shape.schema, dict)
        said.append(type_of(shape.schema) if is_json else f"<code>{escape(media)}</code>")
    return " or ".join(said) or '<span class="soft">none</span>'


def _curl(method: str, path: str, operation: Operation) -> str:
    """A command that does it, with names in capitals where something must be filled in."""
    if "101" in operation.responses:
        return ""
    usual = {"user": "me", "organization": "default"}
    target = re.sub(r"\{(\w+)\}", lambda m: usual.get(m[1], m[1].upper()), path)
    parts = ["curl" if method == "get" else f"curl -X {method.upper()}"]
    if operation.security:
        parts.append('-H "Coder-Session-Token: $TOKEN"')
    parts.append(f'"$URL{target}"')
    if isinstance(operation.request_body, msgspec.Struct):
        media = operation.request_body.content.get("application/json")
        example = media.example if media else msgspec.UNSET
        body = "{}" if example is msgspec.UNSET else msgspec.json.encode(example).decode()
        parts.append(f"-d '{body}'" if media else "--data-binary @template.tar")
    return f"<pre><code>{escape(' '.join(parts))}</code></pre>"


def _schema(name: str, schema: Schema) -> str:
    """One shape: its keys, or its words."""
    rows = [
        (f"<code>{escape(p.name)}</code>", p.type + ("" if p.required else ", optional"), p.note)
        for p in properties(schema)
    ]
    words = "" if rows else f"<p>{type_of(schema)}</p>"
    return "".join(
        [
            f'<article id="schema-{name}"><h3><a class="anchor" href="#schema-{name}">{name}</a></h3>',
            _prose(str(schema.get("description", ""))),
            _table("", ("Key", "Type", ""), rows),
            words,
            "</article>",
        ]
    )


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table under its title; nothing when it has no rows. A last column that is empty is left out."""
    if not rows:
        return ""
    width = len(heads) if heads[-1] or any(row[-1] for row in rows) else len(heads) - 1
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads[:width])
    lines = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row[:width])}</tr>" for row in rows
    )
    label = f"<h4>{title}</h4>" if title else ""
    return f'{label}<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'


def _json(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre><code>{escape(text)}</code></pre>"


def _prose(text: str) -> str:
    """Paragraphs."""
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    """Text with what stands in backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _title(name: str) -> str:
    return escape(name[:1].upper() + name[1:])


def _slug(name: str) -> str:
    return "group-" + re.sub(r"\W+", "-", name)
