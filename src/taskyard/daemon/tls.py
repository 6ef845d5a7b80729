"""The certificate of a server: loaded at start, and again whenever its files change or SIGHUP comes."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import structlog

from taskyard.config import Settings
from taskyard.errors import StartupError

log = structlog.get_logger()

LOOK_S = 30.0
"""Seconds between looks at the files: a certificate is renewed weeks before it ends."""


class Certificate:
    """A certificate with its key; `context` serves whatever was loaded last. Raises StartupError."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self.told = asyncio.Event()
        self._seen = self._looks()
        self.context = _load(cert, key)

    async def run(self) -> None:
        """Loads the files again when they change, or when `told` is set; those that are no good are left alone."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.told.wait()
            self.reload_if_new()

    def reload_if_new(self) -> None:
        """Loads the files if they changed or if somebody told us to."""
        looks = self._looks()
        if looks == self._seen and not self.told.is_set():
            return
        self.told.clear()
        self._seen = looks
        try:
            _load(
                self._cert, self._key
            )  # into something of no use first: half a pair would break what works
            self.context.load_cert_chain(self._cert, self._key)
        except (StartupError, OSError) as error:
            log.exception("tls.not_reloaded", exc_info=error)
        else:
            log.info("tls.reloaded", certificate=str(self._cert))

    def _looks(self) -> tuple[tuple[int, int] | None, ...]:
        """What changes when the files do; null for one that is not there."""
        return tuple(_look(file) for file in (self._cert, self._key))


def certificate(settings: Settings) -> Certificate | None:
    """The certificate that the settings name; null for a server without TLS. Raises StartupError."""
    match settings.tls_cert, settings.tls_key:
        case None, None:
            return None
        case str(cert), str(key):
            return Certificate(Path(cert), Path(key))
        case _:
            raise StartupError(
                "TLS takes a certificate and its key: give --tls-cert and --tls-key together"
            )


def _load(cert: Path, key: Path) -> ssl.SSLContext:
    for name, file in (("--tls-cert", cert), ("--tls-key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise StartupError(f"{name} {file} cannot be read: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without the empty password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        raise StartupError(_what_is_wrong(cert, key, error)) from error
    return context


def _what_is_wrong(cert: Path, key: Path, error: ssl.SSLError) -> str:
    """What to tell whoever gave these files."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"--tls-key {key} is not the key of the certificate in --tls-cert {cert}"
    if "PRIVATE KEY" in cert.read_text(errors="replace") and "BEGIN CERT" not in cert.read_text(
        errors="replace"
    ):
        return (
            f"--tls-cert {cert} holds a key; give the certificate, with those that lead to its root"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except ssl.SSLError:
        return f"--tls-cert {cert} holds no certificate in PEM form"
    return f"--tls-key {key} holds no key in PEM form that opens without a password"


def _look(file: Path) -> tuple[int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino
