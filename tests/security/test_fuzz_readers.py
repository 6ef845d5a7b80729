"""Readers of what others wrote, given what nobody would write: queries, templates, archives, frames of the link."""

import asyncio
import contextlib
import io
import tarfile
import zipfile
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import strategies as st

from taskyard.control.archives import read_archive, tar_to_zip, zip_to_tar
from taskyard.errors.templates import ArchiveInvalid, ArchiveTooLarge
from taskyard.lifecycle.search import explain, parse_query
from taskyard.lifecycle.template import TemplateInvalid, parse_template
from taskyard.lifecycle.template_model import TOML_NAME
from taskyard_agent import protocol
from taskyard_agent.mux import Handlers, Mux, ProtocolError
from tests.house.tree import ROOT
from tests.security.fuzzing import fuzz

KEYS = ("owner", "name", "status", "template", "has-ai-task", "organization")
SPICE = st.sampled_from(['"', ":", ",", " ", "\\", "me", "\0", "\u202e", "İ", "ß", *KEYS])


@pytest.mark.attack(
    "Any text is a search query",
    wall="a small grammar: each query is a table of values or violations with sentences",
)
def test_queries(figure: Callable[[str], None]) -> None:
    """Nothing is raised, and each violation has words."""

    def check(text: str) -> None:
        found = parse_query(text, KEYS, "name")
        if isinstance(found, list):
            assert all(explain(violation, KEYS) for violation in found)
        else:
            assert set(found) <= set(KEYS)

    texts = st.lists(SPICE | st.text(max_size=4), max_size=30).map("".join)
    figure(f"fuzz of queries: {fuzz(texts, check, examples=400)}")


STARTERS = [
    path.read_bytes() for path in sorted((ROOT / "src/taskyard/starters").glob("*/taskyard.toml"))
]
WORDS = sorted({word for text in STARTERS for word in text.split()})
LITERALS = [
    *(
        b"-1",
        b"0",
        b"1e400",
        b"nan",
        b"0x" + b"f" * 40,
        b'""',
        b'"\\u0000"',
        b"[]",
        b"{}",
        b"[[[[]]]]",
        b"true",
    ),
    *(
        b"1979-05-27",
        b"[workspace]",
        b"[[app]]",
        b"[[parameter]]",
        b"[[preset]]",
        b'"127.0.0.1:80"',
        b'"10TiB"',
    ),
    *(b"[workspace.network]\negress = ", b"={a={a={a=1}}}", b'"""', b"\n", b"=", b".", b"a.b.c"),
]
PIECES = st.sampled_from(WORDS) | st.sampled_from(LITERALS) | st.binary(max_size=4)
EDITS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 40), PIECES), max_size=8)


def edited(text: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The text with pieces put in place of others."""
    for place, length, piece in edits:
        at = place % (len(text) + 1)
        text = text[:at] + piece + text[at + length :]
    return text


@pytest.mark.attack(
    "A template's taskyard.toml says anything",
    wall="one reader that names every problem and raises nothing else",
)
def test_templates(figure: Callable[[str], None]) -> None:
    """It is a template, or it is invalid."""

    def check(text: bytes) -> None:
        with contextlib.suppress(TemplateInvalid):
            parse_template({TOML_NAME: text, "setup.sh": b"", "start.sh": b""})

    texts = st.builds(edited, st.sampled_from(STARTERS), EDITS)
    figure(f"fuzz of templates: {fuzz(texts, check, examples=250)}")


def tar_in(format_: int) -> bytes:
    """A tar with long names and an extended header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for name in ("taskyard.toml", "a/b.sh", "x" * 90 + "/" + "y" * 90, "ä"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 20, 1.5 if format_ == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(bytes(20)))
    return buffer.getvalue()[: 512 * 20]


TARS = [
    tar_in(format_) for format_ in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
]
FIELDS = st.sampled_from([0, 100, 108, 116, 124, 136, 156, 157, 257, 265, 329, 345, 512])
HEADER_BYTES = st.sampled_from(
    [b"0", b"1", b"2", b"3", b"5", b"7", b"L", b"K", b"S", b"x", b"g", b"\0", b"../", b"/"]
)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 19),
        FIELDS,
        HEADER_BYTES
        | st.sampled_from([b"\x80" + b"\xff" * 11, b"77777777777"])
        | st.binary(max_size=12),
    ),
    max_size=6,
)


def summed(tar: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The tar with fields changed, and checksums that are right again, so that a reader goes on."""
    blocks = bytearray(tar)
    for block, place, piece in changes:
        at = min(block * 512 + place, len(blocks))
        blocks[at : at + len(piece)] = piece
        head = at // 512 * 512
        if blocks[head + 257 : head + 262] == b"ustar":
            blocks[head + 148 : head + 156] = b" " * 8
            blocks[head + 148 : head + 156] = b"%06o\0 " % sum(blocks[head : head + 512])
    return bytes(blocks)


@pytest.mark.attack(
    "A template's tar has any header",
    wall="names, sizes, kinds and extended headers are checked before tarfile reads on",
)
def test_tars(figure: Callable[[str], None]) -> None:
    """It is read, with names that stay inside, or refused."""

    def check(data: bytes) -> None:
        with contextlib.suppress(ArchiveInvalid):
            for file in read_archive(data).files:
                assert not file.name.startswith("/")
                assert ".." not in file.name.split("/")
        with contextlib.suppress(ArchiveInvalid):
            tar_to_zip(data)

    tars = st.builds(summed, st.sampled_from(TARS), CHANGES) | st.binary(max_size=1100)
    figure(f"fuzz of tars: {fuzz(tars, check, examples=250)}")


def plain_zip() -> bytes:
    """A zip of two files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("taskyard.toml", b"[task]\n" * 9)
        archive.writestr("a/b", b"x")
    return buffer.getvalue()


@pytest.mark.attack(
    "A template's zip has any bytes", wall="whatever the zip reader raises is one refusal"
)
def test_zips(figure: Callable[[str], None]) -> None:
    """It becomes a tar that can be read or refused, or is refused itself."""

    def check(data: bytes) -> None:
        with contextlib.suppress(ArchiveInvalid, ArchiveTooLarge):
            read_archive(zip_to_tar(data))

    pieces = st.sampled_from(
        [
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"\xff\xff\xff\xff",
            b"\0\0",
            b"\x0e",
            b"\x01",
        ]
    )
    edits = st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 6), pieces | st.binary(max_size=3)),
        max_size=6,
    )
    figure(
        f"fuzz of zips: {fuzz(st.builds(edited, st.just(plain_zip()), edits), check, examples=250)}"
    )


METHODS: dict[str, type[msgspec.Struct]] = {
    "hello": protocol.Hello,
    "lifecycle": protocol.LifecycleReport,
    "app_health": protocol.AppHealthReport,
    "logs": protocol.LogLines,
    "items": protocol.Items,
}
TAGS = st.sampled_from(["call", "reply", "open", "opened", "data", "credit", "close"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=8)
)
THINGS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
FRAMES = st.fixed_dictionaries(
    {"type": TAGS},
    optional={
        "id": st.integers(-2, 9) | THINGS,
        "method": st.sampled_from([*METHODS, "heartbeat"]) | THINGS,
        "params": st.binary(max_size=40) | THINGS.map(msgspec.msgpack.encode),
        **dict.fromkeys(("result", "error", "port", "data", "size_bytes"), THINGS),
    },
).map(msgspec.msgpack.encode)


@pytest.mark.attack(
    "A workspace sends any bytes over its link",
    wall="frames of known shapes and sizes; the first other one ends the link",
)
def test_frames(figure: Callable[[str], None]) -> None:
    """feed returns or raises ProtocolError, whatever the calls' parameters are."""

    async def taken(_: msgspec.Struct) -> protocol.Nothing:
        return protocol.Nothing()

    async def nowhere(_: bytes) -> None:
        await asyncio.sleep(0)

    async def play(frames: list[bytes]) -> None:
        handlers = Handlers()
        for method, kind in METHODS.items():
            handlers.add(method, kind, taken, ordered=True)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            mux = Mux(nowhere, group, handlers)
            with contextlib.suppress(ProtocolError):
                for frame in frames:
                    await mux.feed(frame)
            await asyncio.sleep(0)
            mux.end("over")

    frames = st.lists(FRAMES | st.binary(max_size=30), max_size=12)
    figure(
        f"fuzz of the link's frames: {fuzz(frames, lambda f: asyncio.run(play(f)), examples=150)}"
    )
