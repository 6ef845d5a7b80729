"""A server's certificate: what is refused at start, and what happens to its files afterwards."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from taskyard.config import Settings
from taskyard.daemon.listen import listen_tcp
from taskyard.daemon.tls import Certificate, certificate
from taskyard.errors import StartupError
from tests.daemon.certificates import ONE, ONE_KEY, TWO, TWO_KEY
from tests.daemon.test_guard import listening


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The first certificate and its key, as files."""
    (tmp_path / "cert.pem").write_text(ONE)
    (tmp_path / "key.pem").write_text(ONE_KEY)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def shown(context: ssl.SSLContext, *, version: ssl.TLSVersion | None = None) -> str:
    """The name in the certificate that a client is shown; raises ssl.SSLError."""
    client = ssl.create_default_context(cadata=ONE + TWO)
    client.check_hostname = False
    if version is not None:
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        client.maximum_version = version
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = context.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server)
    for _ in range(4):
        for end in (here, there):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return name_in(here.getpeercert())


def name_in(found: Mapping[str, object] | None) -> str:
    """The name that a certificate is for, as Python shows certificates."""
    return str(found).partition("'commonName', '")[2].partition("'")[0]


def test_a_pair_is_shown(pair: tuple[Path, Path]) -> None:
    """With TLS 1.2 and newer, and nothing older."""
    context = Certificate(*pair).context
    assert shown(context) == "one"
    assert shown(context, version=ssl.TLSVersion.TLSv1_2) == "one"
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        (None, ONE_KEY, ("--tls-cert", "cert.pem", "No such file")),
        (ONE, None, ("--tls-key", "key.pem", "No such file")),
        (ONE, TWO_KEY, ("--tls-key", "key.pem", "not the key", "cert.pem")),
        (ONE_KEY, ONE_KEY, ("--tls-cert", "cert.pem", "holds a key")),
        ("hunter2", ONE_KEY, ("--tls-cert", "cert.pem", "no certificate")),
        (ONE, ONE, ("--tls-key", "key.pem", "no key")),
        (ONE, "", ("--tls-key", "key.pem", "no key")),
    ],
)
def test_a_pair_that_is_none(
    tmp_path: Path, cert: str | None, key: str | None, words: tuple[str, ...]
) -> None:
    """The setting and the file that is wrong are named, and what is wrong with it."""
    for name, text in (("cert.pem", cert), ("key.pem", key)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(StartupError) as refused:
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert [word for word in words if word not in str(refused.value)] == []


def test_one_file_without_the_other(pair: tuple[Path, Path]) -> None:
    """Half a pair is a mistake, none is plain HTTP."""
    with pytest.raises(StartupError, match="together"):
        certificate(Settings(data_dir="/nowhere", tls_cert=str(pair[0])))
    assert certificate(Settings(data_dir="/nowhere")) is None


@pytest.mark.anyio
async def test_files_that_change(pair: tuple[Path, Path]) -> None:
    """New files are shown once both fit; until then, what was good stays."""
    cert, key = pair
    pem = Certificate(cert, key)
    cert.write_text(TWO)
    pem.reload_if_new()
    assert shown(pem.context) == "one"
    key.write_text(TWO_KEY)
    os.utime(key, (1, 1))
    pem.reload_if_new()
    assert shown(pem.context) == "two"
    cert.unlink()
    pem.reload_if_new()
    assert shown(pem.context) == "two"


@pytest.mark.anyio
async def test_somebody_says_so(pair: tuple[Path, Path]) -> None:
    """SIGHUP loads the files although nothing about them looks new."""
    cert, key = pair
    pem = Certificate(cert, key)
    before = [file.stat() for file in pair]
    cert.write_text(TWO)
    key.write_text(TWO_KEY)
    for file, facts in zip(pair, before, strict=True):
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    pem.reload_if_new()
    assert shown(pem.context) == "one"
    pem.told.set()
    pem.reload_if_new()
    assert shown(pem.context) == "two"


@pytest.mark.anyio
async def test_a_listener_speaks_it(pair: tuple[Path, Path]) -> None:
    """Requests and WebSockets over TLS are answered by the same guarded listener."""
    sock = listen_tcp("127.0.0.1", 0)
    async with listening(sock, Certificate(*pair).context):
        port = sock.getsockname()[1]
        client = ssl.create_default_context(cadata=ONE)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in await reader.read()
        writer.close()
        async with connect(f"wss://localhost:{port}/ws", ssl=client, proxy=None) as socket:
            await (await socket.ping())
