"""A server that is reached in every way at once, and what whoever has the machine may do beside it."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskyard.sdk import ApiError, Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.identity import LoginRequest
from tests.daemon.certificates import ONE, ONE_KEY, TWO, TWO_KEY
from tests.daemon.test_tls import name_in
from tests.system.kit import open_folder
from tests.waiting import until

SERVER = [sys.executable, "-P", "-m", "taskyard.cli.main", "server"]
NAME = "yard.example.com"


@dataclass(frozen=True, slots=True)
class Reached:
    """A running server, its files, and what the service manager was told."""

    server: LocalServer
    home: Path
    told: list[str]

    def get(self, path: str, *, host: str = NAME) -> http.client.HTTPResponse:
        """The answer to a GET over TLS."""
        port = urlsplit(self.server.url).port
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting(), timeout=60)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def at(self, name: str) -> Client:
        """A client of a Unix socket, who is nobody yet."""
        return Client(f"unix://{self.home / name}", "")

    def admin(self, *arguments: str, stdin: str = "") -> dict[str, str]:
        """What a command beside the server prints, by name."""
        return admin(self.home / "data", *arguments, stdin=stdin)


def trusting() -> ssl.SSLContext:
    """What a client needs to believe either certificate."""
    return ssl.create_default_context(cadata=ONE + TWO)


def admin(data_dir: Path, *arguments: str, stdin: str = "") -> dict[str, str]:
    """What a command on a data directory prints, by name."""
    name, *rest = arguments
    argv = [*SERVER, name, "--data-dir", str(data_dir), *rest]
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def reached() -> Iterator[Reached]:
    """A server with TLS, a Unix socket, figures and a service manager."""
    with open_folder() as home, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        for name, text in (("cert.pem", ONE), ("key.pem", ONE_KEY)):
            (home / name).write_text(text)
        manager.bind(str(home / "notify"))
        manager.settimeout(60)
        options = [
            *("--listen", "127.0.0.1:0", "--listen", f"unix:{home / 'api.sock'}"),
            *("--tls-cert", str(home / "cert.pem"), "--tls-key", str(home / "key.pem")),
            *("--metrics-listen", f"unix:{home / 'metrics.sock'}"),
            *("--access-url", f"https://{NAME}", "--no-starter-templates"),
        ]
        environment = {"NOTIFY_SOCKET": str(home / "notify")}
        with LocalServer(home / "data", options=options, environment=environment) as server:
            yield Reached(server, home, [manager.recv(64).decode()])


def test_the_service_manager_is_told(reached: Reached) -> None:
    """Once requests are answered."""
    assert reached.told == ["READY=1"]


def test_tls(reached: Reached) -> None:
    """The first place speaks https, and only to the names that it knows."""
    assert reached.server.url.startswith("https://127.0.0.1:")
    assert reached.get("/healthz").status == 200
    assert reached.get("/healthz", host="rebound.example.com").status == 421


def test_a_new_certificate(reached: Reached) -> None:
    """SIGHUP loads it, and what goes on goes on."""
    port = urlsplit(reached.server.url).port
    assert port is not None

    def name() -> str:
        with (
            socket.create_connection(("127.0.0.1", port)) as sock,
            trusting().wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            return name_in(tls.getpeercert())

    assert name() == "one"
    (reached.home / "cert.pem").write_text(TWO)
    (reached.home / "key.pem").write_text(TWO_KEY)
    os.kill(reached.server.process.pid, signal.SIGHUP)
    until("the new certificate", lambda: name() == "two" or None)


def test_an_admin_without_a_browser(reached: Reached) -> None:
    """The first one, one more, and one who forgot the password, while the server runs."""
    first = reached.admin("create-admin")
    more = reached.admin(
        "create-admin",
        "--username",
        "eve",
        "--email",
        "eve@example.com",
        "--password-stdin",
        stdin="a long enough one\n",
    )
    assert more == {"email": "eve@example.com"}
    with reached.at("api.sock") as nobody:
        session = nobody.login(LoginRequest(**first)).session_token
        with Client(f"unix://{reached.home / 'api.sock'}", session) as admin_client:
            assert [role.name for role in admin_client.get_user("eve").roles] == ["owner"]
            again = reached.admin("reset-password", "admin")
            assert again["password"] != first["password"]
            with pytest.raises(ApiError):
                admin_client.get_user("me")
        with pytest.raises(ApiError):
            nobody.login(LoginRequest(**first))
        assert nobody.login(LoginRequest(**again)).session_token


def test_figures(reached: Reached) -> None:
    """Requests by route and status, jobs, workspaces, links and the pool; nobody's name among the labels."""
    reached.get("/api/v2/organizations/hunter2")
    text = scraped(reached.home / "metrics.sock")
    for line in (
        'taskyard_requests_total{method="GET",route="/api/v2/organizations/{organization}",status="401"} 1.0',
        'taskyard_jobs{kind="workspace_build",state="queued"} 0.0',
        "taskyard_workspaces_running 0.0",
        "taskyard_links 0.0",
        "taskyard_database_up 1.0",
        "taskyard_transcript_items_total 0.0",
    ):
        assert line in text
    for name in (
        "taskyard_request_seconds_bucket",
        "taskyard_job_seconds",
        "process_resident_memory_bytes",
    ):
        assert name in text
    assert "hunter2" not in text
    assert reached.get("/metrics").status == 404


def scraped(path: Path) -> str:
    """What Prometheus would read."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with sock.makefile("rb") as stream:
            return stream.read().decode()


def test_an_admin_of_a_stopped_server(data_dir: Path) -> None:
    """The database is started for the moment, and stopped again; the server then starts with that user."""
    made = admin(data_dir, "create-admin", "--username", "ada")
    assert made["email"] == "ada@taskyard.invalid"
    again = admin(data_dir, "reset-password", "ada@taskyard.invalid")
    with (
        LocalServer(data_dir, options=["--no-starter-templates"]) as server,
        Client(server.url, "") as nobody,
    ):
        assert nobody.login(LoginRequest(**again)).session_token
