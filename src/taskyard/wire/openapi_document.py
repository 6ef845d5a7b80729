"""The parts of an OpenAPI 3.1 document that ours uses, spelt as its specification spells them."""

import msgspec
from msgspec import UNSET, UnsetType

Schema = dict[str, object]
"""A JSON Schema of 2020-12, the one that OpenAPI 3.1 speaks."""


class MediaType(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shape of a body, UNSET where it is bytes as they are, and one that was really seen."""

    schema: Schema | UnsetType = UNSET
    example: object = UNSET


class Header(msgspec.Struct, frozen=True):
    """A header of a response."""

    description: str
    schema: Schema


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One response of an operation, or a pointer to a component that is one: then the rest is empty."""

    reference: str = msgspec.field(name="$ref", default="")
    description: str = ""
    headers: dict[str, Header] = msgspec.field(default_factory=dict)
    content: dict[str, MediaType] = msgspec.field(default_factory=dict)


class RequestBody(msgspec.Struct, frozen=True):
    """What an operation takes as its body."""

    required: bool
    content: dict[str, MediaType]


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One segment of a path, key of a query, or header."""

    name: str
    place: str = msgspec.field(name="in")
    schema: Schema
    required: bool = False
    description: str = ""


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One method of one path. An empty security means that anybody may ask."""

    operation_id: str
    summary: str
    description: str = ""
    tags: list[str]
    security: list[dict[str, list[str]]]
    parameters: list[Parameter] = msgspec.field(default_factory=list)
    request_body: RequestBody | UnsetType = UNSET
    responses: dict[str, Answer]


class SecurityScheme(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way of showing who asks."""

    type: str
    scheme: str = ""
    place: str = msgspec.field(name="in", default="")
    name: str = ""
    description: str


class Components(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What operations point to, by name."""

    schemas: dict[str, Schema]
    responses: dict[str, Answer]
    security_schemes: dict[str, SecurityScheme]


class Info(msgspec.Struct, frozen=True):
    """What the document is about; version is that of the API, not of a release."""

    title: str
    version: str
    description: str


class Tag(msgspec.Struct, frozen=True):
    """A group of operations, with a sentence on what they are about."""

    name: str
    description: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole; paths hold operations by method, in lower case."""

    openapi: str
    info: Info
    tags: list[Tag]
    paths: dict[str, dict[str, Operation]]
    components: Components
