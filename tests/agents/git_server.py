"""A git server over HTTP on the loopback: git's own http-backend behind a small front that asks who comes."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

IDENTITY = ("-c", "user.name=seed", "-c", "user.email=seed@example.com")


def git(folder: Path, *args: str, stdin: str | None = None) -> str:
    """What git says in a folder, with nobody's configuration."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
    }
    done = subprocess.run(
        ["git", *IDENTITY, *args],
        cwd=folder,
        env=env,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class GitServer:
    """The server; logins are the pairs that it was shown, in order, null for requests without."""

    root: Path
    login: tuple[str, str] | None = None
    redirect: str | None = None
    logins: list[tuple[str, str] | None] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """The address of the repository."""
        return f"http://127.0.0.1:{self.port}/team/project.git"

    @property
    def repository(self) -> Path:
        """Where the repository lies."""
        return self.root / "team" / "project.git"

    def seed(self) -> None:
        """A repository with one commit on main."""
        self.repository.mkdir(parents=True)
        git(self.repository, "init", "-q", "--bare", "--initial-branch=main", ".")
        git(self.repository, "config", "http.receivepack", "true")
        self.commit("README", "hello\n")

    def commit(self, path: str, text: str, branch: str = "main") -> str:
        """The id of a commit that adds a file to a branch."""
        work = self.root / "work"
        if not work.exists():
            work.mkdir()
            git(work, "init", "-q", "--initial-branch=main", ".")
            git(work, "remote", "add", "origin", str(self.repository))
        else:
            git(work, "fetch", "-q", "origin")
            git(work, "checkout", "-q", "-B", branch, f"origin/{branch}")
        (work / path).write_text(text, encoding="utf-8")
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", f"add {path}")
        git(work, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return git(work, "rev-parse", "HEAD")


class _Front(BaseHTTPRequestHandler):
    server: "_Http"
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def log_message(self, *_: object) -> None:
        """Nothing: tests look at what matters."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        made = self.server.made
        login = _login(self.headers.get("Authorization"))
        made.logins.append(login)
        if made.redirect is not None:
            self.send_response(302)
            self.send_header("Location", made.redirect + self.path)
            self.end_headers()
        elif made.login is not None and login != made.login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
        else:
            self._pass_on(made.root, body)

    def _pass_on(self, root: Path, body: bytes) -> None:
        parts = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=False
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)


class _Http(ThreadingHTTPServer):
    made: GitServer
    daemon_threads = True


def _login(header: str | None) -> tuple[str, str] | None:
    if header is None:
        return None
    name, _, token = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return name, token


@contextmanager
def git_server(
    root: Path, login: tuple[str, str] | None = None, *, redirect: str | None = None
) -> Iterator[GitServer]:
    """A running server. login: who may come in, null for everybody. redirect: everything is elsewhere."""
    made = GitServer(root, login, redirect)
    http = _Http(("127.0.0.1", 0), _Front)
    http.made = made
    made.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
