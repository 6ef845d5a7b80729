"""The world outside of a workspace, played by the test: the server's relay, and hosts with packages and repositories.

Hosts are names that exist nowhere, so whatever reaches them came by the relay.
"""

import asyncio
import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_S = 60.0
"""Seconds that anything here may take to begin or to end."""
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"
DOOR = """
import asyncio, json, os, sys
from pathlib import Path
from taskyard_agent.relay import Relay
async def main():
    log = lambda level, text: os.write(2, (text + "\\n").encode())
    relay = Relay(Path("/run/taskyard/relay.sock"), "a-token", json.loads(sys.argv[1]), log, way_out=True, attempts_fd=int(os.environ.get("TASKYARD_ATTEMPTS_FD", -1)))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relay.run())
        await relay.ready.wait()
        print(json.dumps(relay.env), flush=True)
asyncio.run(main())
"""
"""The agent's way out and nothing else of it, as a program: says what leads others to it."""

Files = dict[str, bytes]
"""Content by path, of one host."""


@dataclass
class Outside:
    """A relay that takes each listed target to a port of the test's, and what it was asked for.

    names: those that it was told of, as programs want them and they are not listed; others likewise, with the word.
    """

    places: Mapping[str, int]
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def close(self) -> None:
        """Ends what is still served, and returns once each connection is closed."""
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)
        for writer in self.writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split(b" ")[1].decode()
        if (word := head.split(b" ")[0].decode()) in {"NAME", "TCP", "OTHER"}:
            self.names.append(target) if word == "NAME" else self.others.append(f"{word} {target}")
            writer.write(REFUSAL)
            writer.close()
            return
        self.heads.append(head)
        self.asked.append(target)
        try:
            if target not in self.places:
                writer.write(REFUSAL)
                return
            answer, question = await asyncio.open_connection("127.0.0.1", self.places[target])
            self.writers.append(question)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_pump(reader, question))
                    tasks.create_task(_pump(answer, writer))
            finally:
                question.close()
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextmanager
def relayed(socket: Path, places: Mapping[str, int], owner: int | None = None) -> Iterator[Outside]:
    """A relay at that socket, which every user may connect to."""
    outside = Outside(places)
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        over = asyncio.Event()
        server = await asyncio.start_unix_server(outside.serve, str(socket))
        socket.chmod(0o666)
        if owner is not None:
            os.chown(socket, owner, owner)
        loop = asyncio.get_running_loop()
        ready.set_result((loop, over))
        await over.wait()
        server.close()
        await outside.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    loop, over = ready.result(DEADLINE_S)
    try:
        yield outside
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(DEADLINE_S)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A file with a server's key and certificate, and the authority that programs are to trust."""

    both: Path
    authority: bytes


def certificate(folder: Path, *names: str) -> Certificate:
    """One for these names, by an authority of its own."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2"]
    ours = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=host"]
    said = ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    leaf = [*said, "-addext", "basicConstraints=CA:FALSE"]
    for words in (
        [*made, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*made, *ours, *leaf, "-keyout", "host.key", "-out", "host.pem"],
    ):
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
    both = folder / "both.pem"
    both.write_text((folder / "host.key").read_text() + (folder / "host.pem").read_text())
    return Certificate(both, (folder / "ca.pem").read_bytes())


@contextmanager
def hosts(files: Mapping[str, Files], certified: Certificate | None = None) -> Iterator[int]:
    """The port of a server for these hosts; with TLS, if there is a certificate."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = files.get(self.headers["Host"].partition(":")[0], {})
            body = host.get(self.path.partition("?")[0].replace("/./", "/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            if self.path.startswith("/wheels/"):
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the base class names it so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certified is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified.both)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def python_index() -> Files:
    """An index with one wheel, tiny 1.0, as pip and uv ask for it."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny.py", "said = 'from the index'\n")
        about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        file.writestr("tiny-1.0.dist-info/METADATA", about)
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr("tiny-1.0.dist-info/WHEEL", tag)
        names = ("tiny.py", *(f"tiny-1.0.dist-info/{n}" for n in ("METADATA", "WHEEL", "RECORD")))
        file.writestr("tiny-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    name = "tiny-1.0-py3-none-any.whl"
    page = f'<!DOCTYPE html><a href="/files/{name}">{name}</a>'
    return {"/wheels/tiny/": page.encode(), f"/files/{name}": wheel.getvalue()}


def npm_registry() -> Files:
    """A registry with one package, tiny 1.0.0."""
    about = {"name": "tiny", "version": "1.0.0", "main": "index.js"}
    code = "module.exports = 'from the registry'\n"
    packed = _tar_gz({"package/package.json": json.dumps(about), "package/index.js": code})
    digest = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
    dist = {"tarball": "https://npm.example/tiny-1.0.0.tgz", "integrity": digest}
    versions = {"1.0.0": {**about, "dist": dist}}
    whole = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": versions}
    return {"/tiny": json.dumps(whole).encode(), "/tiny-1.0.0.tgz": packed}


def crates() -> Files:
    """A sparse index with one crate, tiny 1.0.0."""
    toml = '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n'
    packed = _tar_gz({"tiny-1.0.0/Cargo.toml": toml, "tiny-1.0.0/src/lib.rs": "\n"})
    entry = {"name": "tiny", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
    entry["cksum"] = hashlib.sha256(packed).hexdigest()
    config = {"dl": "https://crates.example/dl/{crate}-{version}.crate"}
    return {
        "/index/config.json": json.dumps(config).encode(),
        "/index/ti/ny/tiny": json.dumps(entry).encode() + b"\n",
        "/dl/tiny-1.0.0.crate": packed,
    }


def debian_repository(folder: Path) -> Files:
    """A flat repository with one package, tiny 1.0."""
    (folder / "deb/DEBIAN").mkdir(parents=True)
    control = "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@example>\nDescription: t\n"
    (folder / "deb/DEBIAN/control").write_text(control)
    made = folder / "tiny_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", folder / "deb", made], check=True, capture_output=True)
    packed = made.read_bytes()
    about = f"Filename: ./{made.name}\nSize: {len(packed)}\nSHA256: {hashlib.sha256(packed).hexdigest()}\n"
    packages = (control + about + "\n").encode()
    digest = f"{hashlib.sha256(packages).hexdigest()} {len(packages)} Packages"
    release = f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n {digest}\n"
    return {
        "/Packages": packages,
        "/Packages.gz": gzip.compress(packages),
        "/Release": release.encode(),
        f"/{made.name}": packed,
    }


def repository(folder: Path) -> Path:
    """A bare repository, r.git, with one file in one commit, as any server of files can serve it."""
    work, bare = folder / "work", folder / "r.git"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=t", "-c", "user.email=t@example"]
    (work / "sub").mkdir(parents=True)
    (work / "said").write_text("from the repository\n")
    steps: tuple[list[str | Path], ...] = (
        ["init", "-q", "-b", "main", work],
        ["-C", work, "add", "said"],
        ["-C", work, *who, "commit", "-q", "-m", "one"],
        ["clone", "-q", "--bare", work, bare],
        ["-C", bare, "update-server-info"],
    )
    for words in steps:
        subprocess.run(["git", *words], check=True, env=env, capture_output=True)
    return bare


def files_of(folder: Path, prefix: str) -> Files:
    """All files below a folder, by their path behind the prefix."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {f"{prefix}/{path.relative_to(folder)}": path.read_bytes() for path in found}


def _tar_gz(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()
