"""Requests that mean harm: one hidden in another, floods, bombs, and guesses by the thousand."""

import asyncio
import io
import mmap
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from taskyard.control import sign_in
from taskyard.control.actors import Origin
from taskyard.control.archives import read_archive, zip_to_tar
from taskyard.control.passwords import password_matches
from taskyard.control.services import Services
from taskyard.control.sign_in import MAX_PER_ACCOUNT
from taskyard.errors import LoginLimited, LoginRefused
from taskyard.errors.templates import ArchiveInvalid, ArchiveTooLarge
from taskyard.wire.identity import LoginRequest
from tests.api.conftest import serving
from tests.api.edge_kit import ask, edged
from tests.api.seed import Api, connected
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

HOST = b"Host: localhost\r\n"
LOGIN = b"POST /api/v2/users/login HTTP/1.1\r\n" + HOST
PLAIN = b"GET /healthz HTTP/1.1\r\n" + HOST
HIDDEN = PLAIN + b"Connection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: %d\r\n" % (len(HIDDEN) + 5)
TWO_MINDS = {
    "length, then chunks": LOGIN + LENGTH + CHUNKED,
    "chunks, then length": LOGIN + CHUNKED + LENGTH,
    "a coding that is none": LOGIN + LENGTH + b"Transfer-Encoding: xchunked\r\n",
    "a coding behind a tab": LOGIN + LENGTH + b"Transfer-Encoding:\tchunked\r\n",
    "a coding in capitals": LOGIN + LENGTH + b"TRANSFER-ENCODING: CHUNKED\r\n",
    "a coding twice": LOGIN + CHUNKED + b"Transfer-Encoding: identity\r\n",
    "a coding behind a vertical tab": LOGIN + LENGTH + b"Transfer-Encoding: \x0bchunked\r\n",
    "a space before the colon": LOGIN + LENGTH + b"Transfer-Encoding : chunked\r\n",
    "a name with a NUL": LOGIN + LENGTH + b"Transfer-Encoding\x00: chunked\r\n",
    "a folded coding": LOGIN + LENGTH + b"Transfer-Encoding:\r\n chunked\r\n",
    "a bare line feed": LOGIN + LENGTH + b"X: y\nTransfer-Encoding: chunked\r\n",
    "a bare carriage return": LOGIN + LENGTH + b"X: y\rTransfer-Encoding: chunked\r\n",
    "two lengths": LOGIN + b"Content-Length: 5\r\n" + LENGTH,
}
"""Heads that one reader takes for a request with one body, and another for a request with another."""


@pytest.fixture
async def port(services: Services) -> AsyncIterator[int]:
    """A server as the daemon runs it."""
    async with edged(services) as port:
        yield port


async def answers(port: int, raw: bytes, *, end: bool = False) -> bytes:
    """All that comes back for these bytes until the server hangs up, also in their midst; `end` closes our side."""
    pieces = []
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(raw)
            if end:
                writer.write_eof()
            while piece := await reader.read(2**16):
                pieces.append(piece)
        except ConnectionError:
            pass
        finally:
            writer.close()
    return b"".join(pieces)


class Memory:
    """What this process, server and all, holds at most from now on, beyond what it holds now."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark falls to what is held
        self._before = self._kib("VmRSS")

    @property
    def most_kib(self) -> int:
        """KiB more than at the beginning, at the worst moment since."""
        return self._kib("VmHWM") - self._before

    @staticmethod
    def _kib(word: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{word}:"))


def test_memory_is_seen() -> None:
    """What was held for a moment is seen, also below what this process once held."""
    for _ in range(2):
        memory = Memory()
        assert memory.most_kib < 1000
        # Bytes of their own: for an object the heap may have as many free, which count as held already.
        with mmap.mmap(-1, 2**25) as held:
            held.write(bytes(2**25))
        assert memory.most_kib > 30_000


@pytest.mark.attack(
    "A request hides in the body of another, for a proxy in front that takes its end for elsewhere",
    wall="a request that can be read in two ways is refused, and its connection ends",
)
async def test_no_request_hides_in_another(port: int) -> None:
    """Of a head with two minds at most one answer comes, an error; what stands behind is answered by nobody."""
    plain = await answers(port, PLAIN + b"\r\n" + HIDDEN)
    assert plain.count(b"HTTP/1.1 200 ") == 2, "two requests in a row are two"
    for name, head in TWO_MINDS.items():
        answer = await answers(port, head + b"\r\n0\r\n\r\n" + HIDDEN)
        assert answer.count(b"HTTP/1.1 ") == 1, f"{name}: {answer!r}"
        assert answer.startswith(b"HTTP/1.1 4"), f"{name}: {answer!r}"


FLOODS = {
    "a header of a megabyte": PLAIN + b"X: " + b"y" * 2**20 + b"\r\n\r\n",
    "a hundred thousand headers": PLAIN + b"X: y\r\n" * 100_000 + b"\r\n",
    "a target of a megabyte": b"GET /" + b"y" * 2**20 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of a megabyte": b"G" * 2**20 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a chunk extension of a megabyte": LOGIN
    + CHUNKED
    + b"\r\n2;x="
    + b"y" * 2**20
    + b"\r\n{}\r\n0\r\n\r\n",
    "a megabyte of zeros in front of a chunk's size": LOGIN
    + CHUNKED
    + b"\r\n"
    + b"0" * 2**20
    + b"2\r\n{}\r\n0\r\n\r\n",
    "a megabyte of trailers": LOGIN
    + CHUNKED
    + b"\r\n2\r\n{}\r\n0\r\n"
    + b"X: y\r\n" * 170_000
    + b"\r\n",
    "a megabyte of chunks of a byte": LOGIN
    + CHUNKED
    + b"\r\n"
    + b"1\r\n \r\n" * 170_000
    + b"2\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.attack(
    "Headers, trailers, chunk extensions and one-byte chunks by the megabyte",
    wall="bounded heads; a bounded body, however it is cut",
)
async def test_floods_are_cut_off(port: int) -> None:
    """Each is answered by an error soon, and is never held; the next request is answered."""
    memory = Memory()
    for name, raw in FLOODS.items():
        answer = await answers(port, raw, end=True)
        assert answer.startswith(b"HTTP/1.1 4"), f"{name}: {answer[:200]!r}"
    assert memory.most_kib < 20_000
    assert (await ask(port, "GET", "/healthz")).status == 200


async def guess(services: Services, number: int, found: Counter[type[Exception]]) -> None:
    """One wrong password for the same account, from one of two networks."""
    origin = Origin(ip=f"198.51.100.{number % 2}", user_agent="")
    request = LoginRequest(email="owner@example.com", password=f"guess number {number}")
    try:
        await sign_in.login(services, request, origin, services.now())
    except (LoginLimited, LoginRefused) as error:
        found[type(error)] += 1


@pytest.mark.all_tier
@pytest.mark.attack(
    "10,000 wrong passwords for one account from two networks",
    wall="tries are counted per account and network before anything is hashed; two hashes at once",
)
async def test_ten_thousand_passwords(services: Services, figure: Callable[[str], None]) -> None:
    """Ten of each network are looked at in a window, the others cost a line of a table each; memory stays flat."""
    found: Counter[type[Exception]] = Counter()
    numbers = iter(range(10_000))
    began, memory = time.monotonic(), Memory()

    async def keep_guessing() -> None:
        for number in numbers:
            await guess(services, number, found)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(keep_guessing())
    took_s = time.monotonic() - began
    grown = memory.most_kib
    windows = 2 + int(took_s // sign_in.WINDOW.total_seconds())
    assert found[LoginRefused] <= 2 * MAX_PER_ACCOUNT * windows
    assert found[LoginRefused] + found[LoginLimited] == 10_000
    assert grown < 300_000, "KiB: two hashes at once, and nothing that stays"
    figure(f"10,000 wrong passwords: {took_s:.1f} s, {found[LoginRefused]} looked at")


@pytest.fixture
async def api_of_abuse(services: Services) -> AsyncIterator[Api]:
    """A running server with an owner."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


@pytest.mark.attack(
    "Tokens are guessed: right names with wrong secrets, wrong names, beginnings, endless ones",
    wall="256 bits compared in constant time; a guess costs one look-up and no hash of a password",
)
async def test_guessed_tokens_are_cheap_and_fruitless(api_of_abuse: Api) -> None:
    """None gets in, and two hundred guesses cost less than sixty looks at a password would."""
    api = api_of_abuse
    began = time.process_time()
    assert not await password_matches(None, "a password of nobody")
    look_s = time.process_time() - began
    key_id, _, secret = api.owner.token.partition("-")
    guesses = [
        f"{key_id}-{secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
        key_id,
        f"{key_id}-",
        secret,
    ]
    guesses += [
        f"{key_id}-{secret}x",
        f"{key_id}-{secret[:-1]}",
        "x" * 4000,
        api.owner.token.swapcase(),
    ]
    guesses += [f"{key_id}-{n:022d}" for n in range(200)]
    began = time.process_time()
    for token in guesses:
        answer = await api.client.get("/api/v2/users/me", headers={"Coder-Session-Token": token})
        assert answer.status_code == 401, token
    assert time.process_time() - began < 60 * look_s, "s of processor time; of 208 looks"
    mine = await api.client.get(
        "/api/v2/users/me", headers={"Coder-Session-Token": api.owner.token}
    )
    assert mine.status_code == 200


def tar_with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    """A tar of one good file and one entry."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("taskyard.toml"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, size
        tar.addfile(info, io.BytesIO(bytes(size)))
    return buffer.getvalue()


def zip_with(name: str, content: bytes = b"", mode: int = 0o100644) -> bytes:
    """A zip of one entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return buffer.getvalue()


TARS = {
    "../": tar_with("../../etc/cron.d/x"),
    "a/../../": tar_with("a/../../x"),
    "an absolute name": tar_with("/etc/passwd"),
    "a link out": tar_with("x", tarfile.SYMTYPE, "/etc/shadow"),
    "a hard link": tar_with("x", tarfile.LNKTYPE, "taskyard.toml"),
    "a device": tar_with("x", tarfile.CHRTYPE),
    "a block device": tar_with("x", tarfile.BLKTYPE),
    "a pipe": tar_with("x", tarfile.FIFOTYPE),
    "a NUL in a name": tar_with("x\n\x1b[2J"),
    "gzip": b"\x1f\x8b" + bytes(100),
    "11,000 entries": b"".join(tarfile.TarInfo(str(n)).tobuf() for n in range(11_000))
    + bytes(1024),
    "a size of 8 GiB": tarfile.TarInfo("x").tobuf().replace(b"00000000000\0", b"77777777777\0", 1),
}
BOMB = zip_with("x", bytes(200 * 2**20))
ZIPS = {
    "../": zip_with("../../x"),
    "an absolute name": zip_with("/etc/passwd"),
    "no name": zip_with(""),
    "a link": zip_with("x", b"/etc/shadow", 0o120777),
    "a bomb": BOMB,
    "11,000 entries": zip_with("x") + b"PK\x01\x02" * 11_000,
}


@pytest.mark.parametrize("name", TARS)
@pytest.mark.attack(
    "A template's tar has ../, absolute names, links, devices, endless or compressed content",
    wall="only plain files and folders with names from the top are read, in memory, within limits",
)
def test_a_tar_that_leads_elsewhere(name: str) -> None:
    """It is refused before anything is written anywhere."""
    with pytest.raises(ArchiveInvalid):
        read_archive(TARS[name])


@pytest.mark.parametrize("name", ZIPS)
@pytest.mark.attack(
    "A template's zip has ../, links, too much, or unpacks to far more than it is",
    wall="the sum of sizes is read first; what it becomes is a tar like any other",
)
def test_a_zip_that_leads_elsewhere(name: str) -> None:
    """It is refused, the bomb without being unpacked."""
    began = time.process_time()
    with pytest.raises((ArchiveInvalid, ArchiveTooLarge)):
        read_archive(zip_to_tar(ZIPS[name]))
    assert time.process_time() - began < 0.2
    assert len(BOMB) < 2**20
