"""The one reader of request bodies."""

import contextlib
import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskyard.errors import BodyInvalid
from taskyard.wire.base import NIL_UUID, ZERO_TIME, encode, unless_empty
from taskyard.wire.identity import CreateTokenRequest
from taskyard.wire.reading import MAX_DEPTH, MAX_VALUES, read_json
from taskyard.wire.routes import ROUTES
from taskyard.wire.tasks import CreateTaskRequest, SnapshotUpload, TaskSendRequest
from taskyard.wire.templates import CreateTemplateVersionRequest
from taskyard.wire.workspaces import AppendAgentLogsRequest, CreateWorkspaceBuildRequest

VERSION = UUID("497f6eca-6276-4993-bfeb-53cbbbba6f08")

REQUESTS = [
    route.request
    for route in ROUTES
    if isinstance(route.request, type) and issubclass(route.request, msgspec.Struct)
]

KEYS = sorted({field.encode_name for kind in REQUESTS for field in msgspec.structs.fields(kind)})

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from([str(NIL_UUID), str(VERSION), "", "0001-01-01T00:00:00+05:00", "queue"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
    max_leaves=12,
)


def invalid(raw: bytes, kind: type[object] = TaskSendRequest) -> str:
    """The detail with which a body is refused."""
    with pytest.raises(BodyInvalid) as caught:
        read_json(raw, kind)
    return caught.value.detail


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" \n",
        b"{",
        b"nul",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"\xff",
        b'{"input":"\xff"}',
        b'\xef\xbb\xbf{"input":"x"}',
        b'{"input":1}',
        b'{"input":["x"]}',
        b'{"input":"a\nb"}',
        b"{'input':'x'}",
        b'{"input":"x",}',
        b'{"input":NaN}',
        b'{"other":NaN}',
        b'{"other":-Infinity}',
        b'{"when":"later"}',
    ],
)
def test_bad_bodies(raw: bytes) -> None:
    """What is not a JSON object of the right types is refused with a sentence. Source: T37."""
    assert invalid(raw).startswith("The body ")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"input":"x"}',
        b' \t\r\n{"input":"x"}',
        b'{"input":"x"} and more',
        b'{"input":"x"}{"input":"y"}',
        b'{"INPUT":"x"}',
        b'{"iNpUt":"x","when":null}',
        b'{"input":"y","Input":"x"}',
        b'{"input":"y","input":"x"}',
        b'{"input":"x","when2":1e999,"n":' + b"9" * 5000 + b"}",
        b'{"input":"x","":[{"a":null}]}',
        b'{"input":"\\u0078"}',
    ],
)
def test_tolerated_bodies(raw: bytes) -> None:
    """Case of keys, unknown keys, white space before and anything after the value do not matter. Source: T36."""
    assert read_json(raw, TaskSendRequest) == TaskSendRequest(input="x")


def test_keys_fold_at_every_level() -> None:
    """Nested objects are read like the outer one, but the keys of a free map are kept."""
    raw = b'{"User_Variable_Values":[{"NAME":"a","Value":"b","x":1}],"TAGS":{"Scope":"U"}}'
    read = read_json(raw, CreateTemplateVersionRequest)
    assert [(value.name, value.value) for value in read.user_variable_values] == [("a", "b")]
    assert read.tags == {"Scope": "U"}


@pytest.mark.parametrize("value", ["absent", None, str(NIL_UUID), NIL_UUID.hex])
def test_unset_uuid(value: str | None) -> None:
    """An absent key, null and the nil UUID all mean not set. Source: T33."""
    body = {} if value == "absent" else {"template_version_preset_id": value}
    read = read_json(json.dumps(body).encode(), CreateTaskRequest)
    assert read.template_version_preset_id is None


@pytest.mark.parametrize("value", ["", "x", "497f6eca-6276-4993-bfeb", 5, {"uuid": str(VERSION)}])
def test_malformed_uuid(value: object) -> None:
    """A UUID that is none, the empty text included, makes the body unreadable."""
    invalid(json.dumps({"template_version_id": value}).encode(), CreateTaskRequest)


def test_uuid_without_dashes() -> None:
    """The 32 bare digits are a UUID too."""
    raw = json.dumps({"template_version_id": VERSION.hex}).encode()
    assert read_json(raw, CreateTaskRequest).template_version_id == VERSION


def test_input_is_kept_to_the_byte() -> None:
    """Blanks, line breaks and any character that can be stored come through as sent. Source: T21."""
    sent = " \n\t☃😀\u2028\x01 "
    raw = json.dumps({"input": sent}).encode()
    assert read_json(raw, CreateTaskRequest).input == sent


def test_lone_surrogates_are_replaced() -> None:
    """Half a surrogate pair, which no store and no response can hold, becomes the replacement character."""
    assert read_json(b'{"input":"a\\ud83dz\\ud83d\\ude00"}', TaskSendRequest).input == "a\ufffdz😀"


def test_nul_is_refused() -> None:
    """The character U+0000 cannot be stored and is named as the cause; where it is ignored it does no harm."""
    assert "U+0000" in invalid(b'{"input":"a\\u0000"}')
    assert read_json(b'{"other":"\\u0000"}', TaskSendRequest) == TaskSendRequest()


@pytest.mark.parametrize("number", ["1" * 19 + "00", "9" * 5000, "-" + "9" * 400, "1e999", "1.5"])
def test_numbers_no_column_holds(number: str) -> None:
    """An integer beyond 64 bits is a refusal, however long, never a crash."""
    invalid(f'{{"lifetime":{number}}}'.encode(), CreateTokenRequest)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_numbers_at_the_edge(number: int) -> None:
    """The whole range of a 64-bit integer is read exactly."""
    raw = json.dumps({"lifetime": number}).encode()
    assert read_json(raw, CreateTokenRequest).lifetime == number


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_depth(pair: tuple[str, str]) -> None:
    """As many arrays and objects as allowed nest, one more is refused, and so are a million."""

    def nested(depth: int) -> bytes:
        inner = pair[0] * (depth - 1) + ("1" if pair[0] != "[" else "") + pair[1] * (depth - 1)
        return f'{{"input":"x","other":{inner or "1"}}}'.encode()

    assert read_json(nested(MAX_DEPTH), TaskSendRequest).input == "x"
    assert str(MAX_DEPTH) in invalid(nested(MAX_DEPTH + 1))
    assert str(MAX_DEPTH) in invalid(nested(10_000))


MANY = [
    b'{"input":"x","other":[%s]}' % b",".join([b"1"] * (MAX_VALUES + 1)),
    b'{"input":"x","other":[%s]}' % b",".join([b"[]"] * MAX_VALUES),
    b'{"input":"x","other":[%s]}' % (b'"\\"",' * MAX_VALUES + b"{}"),
    b"[]," * (MAX_VALUES + 1),
]


@pytest.mark.parametrize("body", MANY)
def test_too_many_values(body: bytes) -> None:
    """A body of more values than any request has is refused before it is read, which would hold up everybody."""
    assert str(MAX_VALUES) in invalid(body)


@pytest.mark.parametrize("end", ["", "\\", '\\"', '"', '"}'])
def test_a_text_of_brackets_is_one_value(end: str) -> None:
    """However much of a text looks like JSON, it is one value; a text that never ends is no JSON."""
    text = '[{"a": [1, 2]}, ' * MAX_VALUES
    assert (
        read_json(json.dumps({"input": text + end}).encode(), TaskSendRequest).input == text + end
    )
    invalid(b'{"input":"' + b'\\"[,' * MAX_VALUES)


def test_unclosed_depth() -> None:
    """A million open brackets are refused."""
    invalid(b"[" * 1_000_000)


def test_times_become_utc() -> None:
    """A time with another offset is the same moment in UTC; one without offset, or beyond all years, is refused."""
    raw = b'{"logs":[{"created_at":"2026-03-01T05:30:00.1234567+05:30"},{}]}'
    first, second = read_json(raw, AppendAgentLogsRequest).logs
    assert encode(first.created_at) == b'"2026-03-01T00:00:00.123457Z"'
    assert second.created_at == ZERO_TIME
    for at in ("2026-03-01T05:30:00", "0001-01-01T00:00:00+05:00", ""):
        invalid(json.dumps({"logs": [{"created_at": at}]}).encode(), AppendAgentLogsRequest)


def test_snapshot_leniency() -> None:
    """Null messages are told from none, extra keys are dropped, missing ones are zero. Source: T140, T146."""
    assert read_json(b'{"$schema":"x","messages":null}', SnapshotUpload).messages is None
    assert read_json(b'{"messages":[]}', SnapshotUpload).messages == []
    (message,) = read_json(b'{"messages":[{"content":"c","x":1}]}', SnapshotUpload).messages or []
    assert (message.id, message.role, message.time) == (0, "", ZERO_TIME)


@settings(max_examples=150, deadline=None)
@given(body=VALUES, kind=st.sampled_from(REQUESTS), tail=st.binary(max_size=4))
def test_any_json_is_read_or_refused(body: object, kind: type[msgspec.Struct], tail: bytes) -> None:
    """Any JSON text is the wanted type, which can be written again, or BodyInvalid; nothing else happens."""
    with contextlib.suppress(BodyInvalid):
        read = read_json(json.dumps(body).encode() + tail, kind)
        assert type(read) is kind
        assert read_json(encode(read), kind) == read


@settings(max_examples=150, deadline=None)
@given(raw=st.binary() | st.text(alphabet='{}[]",:\\u0dNaIinfty-+.eE019 \n').map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Any bytes at all are the wanted type or BodyInvalid."""
    with contextlib.suppress(BodyInvalid):
        assert isinstance(read_json(raw, CreateWorkspaceBuildRequest), CreateWorkspaceBuildRequest)


def test_zero_time() -> None:
    """The time that means none, and the shortest and longest spelling of a time."""
    assert encode(ZERO_TIME) == b'"0001-01-01T00:00:00Z"'
    assert encode(datetime(2026, 3, 1, tzinfo=UTC)) == b'"2026-03-01T00:00:00Z"'
    assert encode(datetime(2026, 3, 1, 0, 0, 0, 10, tzinfo=UTC)) == b'"2026-03-01T00:00:00.000010Z"'


@pytest.mark.parametrize("value", ["", 0, False, None, [], {}])
def test_empty_values_are_left_out(value: object) -> None:
    """Empty, zero, false and none all leave their key out."""
    assert unless_empty(value) is msgspec.UNSET
    assert unless_empty("x") == "x"
