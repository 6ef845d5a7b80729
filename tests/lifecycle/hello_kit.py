"""ClientHellos for tests: as Python's OpenSSL writes them, and by hand as nobody should."""

import contextlib
import ssl


def python_hello(name: str | None, *, curves: str | None = None) -> bytes:
    """What Python's ssl says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if curves is not None:
        context.set_ecdh_curve(curves)
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


def vector(size: int, data: bytes) -> bytes:
    """Data behind its length of so many bytes."""
    return len(data).to_bytes(size, "big") + data


def server_name(name: bytes, *, kind: int = 0) -> tuple[int, bytes]:
    """The extension that asks for a name."""
    return 0, vector(2, bytes([kind]) + vector(2, name))


def message(*extensions: tuple[int, bytes], has_extensions: bool = True) -> bytes:
    """A ClientHello as a handshake message."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    if has_extensions:
        body += vector(2, b"".join(k.to_bytes(2, "big") + vector(2, d) for k, d in extensions))
    return b"\x01" + vector(3, body)


def records(data: bytes, *, each: int = 1 << 14, kind: int = 22, version: int = 0x0301) -> bytes:
    """Data in records of so many bytes each."""
    pieces = [data[at : at + each] for at in range(0, len(data), each)]
    return b"".join(bytes([kind]) + version.to_bytes(2, "big") + vector(2, p) for p in pieces)


def hello(name: str) -> bytes:
    """A plain one for this name."""
    return records(message(server_name(name.encode())))
