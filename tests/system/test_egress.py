"""What a task reaches: what its template lists, through the server's relay, and nothing else."""

import http.server
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from taskyard.wire.templates import CreateTemplateVersionRequest
from tests.archives import tar_of
from tests.system.kit import World, pushed
from tests.waiting import until

TOML = """
[task]
app = "agent"

[agent]
type = "shell"

[workspace.network]
egress = [{egress}]

[scripts]
start = "start.sh"
"""
START = "curl -sS {url} > at-start 2>&1 || true\n"
BODY = b"the model's answer"
SIZE_BYTES = 30_000_000
"""What one answer to /much holds: enough to measure by."""


class Model(http.server.BaseHTTPRequestHandler):
    """A stand-in for a model: answers, answers much, or begins an answer and never ends it."""

    protocol_version = "HTTP/1.1"
    holding: threading.Event
    left: threading.Event

    def do_GET(self) -> None:
        if self.path == "/hold":
            self._hold()
        elif self.path == "/much":
            self.holding.set()
            self._answer([bytes(1_000_000)] * (SIZE_BYTES // 1_000_000))
        else:
            self._answer([BODY])

    def _answer(self, pieces: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def _hold(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.holding.set()
        self.connection.recv(1)  # nothing comes but the end
        self.left.set()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def served(host: str = "127.0.0.1") -> Iterator[tuple[int, type[Model]]]:
    """The port of a server on this machine's loopback, and what it has seen."""
    seen = type("Seen", (Model,), {"holding": threading.Event(), "left": threading.Event()})
    with http.server.ThreadingHTTPServer((host, 0), seen) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], seen
        server.shutdown()


def task_of(world: World, name: str, port: int, *commands: str, listed: Sequence[str] = ()) -> Task:
    """A new task of a new template that lists this port of the loopback, and more, with this to do."""
    egress = ", ".join(f'"{entry}"' for entry in (f"127.0.0.1:{port}", *listed))
    files = {
        "taskyard.toml": TOML.format(egress=egress),
        "start.sh": START.format(url=f"http://127.0.0.1:{port}/"),
    }
    version = pushed(world, name, files)
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    request = CreateTaskRequest(template_version_id=version.id, input="\n".join(commands))
    return world.owner.create_task("me", request)


def proxied(url: str) -> str:
    """curl by the proxy, for an address that it would ask for directly."""
    return f"curl -sS --noproxy '' -x $http_proxy {url}"


UDP = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('1.1.1.1', 53)); "
    "s.send(b'x'); s.send(b'x')"
)
"""The second one tells that nobody got the first."""
IPV6 = "import socket; socket.create_connection(('2606:4700:4700::1111', 443), 3)"


def test_a_task_reaches_its_model_and_nothing_else(shared: World) -> None:
    """The listed port answers, by the proxy and on the same port inside, in scripts too; all else does not."""
    with served() as (port, _), served() as (other, _):
        url = f"http://127.0.0.1:{port}/"
        task = task_of(
            shared,
            "model",
            port,
            "cat at-start && echo '(start)'",
            f"curl -sS {url} && echo '(same port)'",
            f"{proxied(url)} && echo '(plain)'",
            f"{proxied(url)} -p && echo '(connect)'",
            f"python3 -c \"import urllib.request as u; print(u.urlopen('{url}').read().decode() + '(urllib)')\"",
            f'{proxied(f"http://127.0.0.1:{other}/")} -p; echo "(other) $?"',
            f'curl -sS http://127.0.0.1:{other}/; echo "(other inside) $?"',
            'curl -sS https://example.com/; echo "(public) $?"',
            'curl -sS --noproxy "*" http://93.184.216.34/; echo "(public address) $?"',
            'curl -sS -f http://169.254.169.254/latest/meta-data; echo "(metadata) $?"',
            f'python3 -c "{UDP}" 2>/dev/null; echo "(udp) $?"',
            f'python3 -c "{IPV6}" 2>/dev/null; echo "(ipv6) $?"',
            'grep -c 00000000 /proc/net/route; echo "(routes) $(env | grep -c AGENT_TOKEN)"',
            'echo "(confined) $TASKYARD_CONFINED $NODE_USE_ENV_PROXY $NO_PROXY"',
        )
        text = shared.says(task.id, "(confined) 1")
    for way in ("start", "same port", "plain", "connect"):
        assert f"{BODY.decode()}({way})" in text
    assert f"{BODY.decode()}(urllib)" in text
    assert (
        f'Add "127.0.0.1:{other}" to workspace.network.egress' not in text
    )  # curl shows no body here
    for word, status in (("other", 56), ("other inside", 7), ("public", 56), ("metadata", 22)):
        assert f"\n({word}) {status}" in text, text
    assert "\n(public address) 7" in text
    assert "\n(udp) 1\n" in text
    assert "\n(ipv6) 1\n" in text
    assert "\n0\n(routes) 0\n" in text
    assert "(confined) 1 1 localhost,127.0.0.1,::1" in text
    wanted = {
        ("93.184.216.34", 80, "host_not_listed"),
        ("2606:4700:4700::1111", 443, "host_not_listed"),
        ("1.1.1.1", 53, "not_tcp"),
    }
    until("a trace of each", lambda: wanted <= refused(shared, task) or None)


def refused(world: World, task: Task) -> set[tuple[str, int | None, str]]:
    """What the task's owner reads of it."""
    found = world.owner.get_task_network("me", task.id)
    return {(d.host, d.port, d.reason) for d in found.decisions if d.verdict == "refused"}


def test_a_task_whose_programs_know_no_proxy_reaches_what_is_listed(shared: World) -> None:
    """A listed address answers without any proxy, a listed name has an address; of others the owner reads the name."""
    with served("127.0.0.2") as (port, _):
        task = task_of(
            shared,
            "redirected",
            port,
            "unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY",
            f"curl -sS http://127.0.0.2:{port}/ && echo '(address)'",
            'getent hosts a.example.org | sed "s/\\.[0-9]* .*/ (listed)/"',
            'getent hosts a.example.com; echo "(other) $?"',
            listed=(f"127.0.0.2:{port}", "*.example.org:443"),
        )
        text = shared.says(task.id, "(other) 2")

        def told() -> bool | None:
            found = shared.owner.get_task_network("me", task.id).decisions
            named = [each for each in found if each.host == "a.example.com"]
            return named[0].port is None and named[0].reason == "host_not_listed" if named else None

        assert until("the name among the decisions", told)
    assert f"{BODY.decode()}(address)" in text
    assert "198.18.0 (listed)" in text


def test_connections_end_with_a_pause(shared: World) -> None:
    """What a paused task had open is closed, whoever was still sending; after the resume it is reached again."""
    with served() as (port, model):
        task = task_of(shared, "held", port, f"curl -sSN http://127.0.0.1:{port}/hold")
        assert model.holding.wait(60)
        shared.owner.pause_task("me", task.id)
        until("a paused task", lambda: shared.status(task.id, TaskStatus.PAUSED))
        assert model.left.wait(60)
        shared.owner.resume_task("me", task.id)
        shared.active(task.id)
        send(shared, task, f"curl -sS http://127.0.0.1:{port}/ && echo '(again)'")
        shared.says(task.id, f"{BODY.decode()}(again)")


def test_the_relay_comes_back_with_the_server(world: World) -> None:
    """kill -9 and a new server: the same running workspace reaches its model again."""
    with served() as (port, _):
        task = task_of(
            world, "lasting", port, f"curl -sS http://127.0.0.1:{port}/ && echo '(once)'"
        )
        world.says(task.id, f"{BODY.decode()}(once)")
        world.server.kill()
        world.restart()
        send(world, task, f"curl -sS http://127.0.0.1:{port}/ && echo '(twice)'")
        world.says(task.id, f"{BODY.decode()}(twice)")


def test_what_is_listed_is_not_a_member_s_choice(shared: World) -> None:
    """A member makes tasks of templates, not versions of them."""
    member = shared.member("erin")
    file_id = shared.owner.upload_file(tar_of({"taskyard.toml": ""}), "application/x-tar").hash
    request = CreateTemplateVersionRequest(
        file_id=file_id, storage_method="file", provisioner="echo"
    )
    with pytest.raises(ApiError) as refused:
        member.create_template_version("default", request)
    assert refused.value.status == 403


def test_figure_throughput(shared: World) -> None:
    """30 MB through the relay and directly, and how long others wait meanwhile: printed, not judged."""
    with served() as (port, model):
        url = f"http://127.0.0.1:{port}/much"
        speed = "-o /dev/null -w '(speed) %{speed_download}\\n'"
        task = task_of(
            shared, "much", port, *[f"curl -sS {url} {speed}"] * 5, f"{proxied(url)} -p {speed}"
        )
        waits: list[float] = []

        def all_there() -> bool | None:
            before = time.perf_counter()
            shared.owner.get_user("me")
            if model.holding.is_set():
                waits.append((time.perf_counter() - before) * 1000)
            return shared.text(task.id).count("\n(speed) ") == 6 or None

        until("all figures", all_there)
        text = shared.text(task.id)
        direct = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download}", url],
            capture_output=True, check=True, text=True,
        )  # fmt: skip
    lines = [line.split() for line in text.splitlines() if line.startswith("(speed)")]
    figures = [round(float(line[1]) / 1e6) for line in lines]
    print(
        f"MB/s by the relay, five on the same port and one by CONNECT: {figures}; directly: {float(direct.stdout) / 1e6:.0f}"
    )
    print(
        f"a request to the API meanwhile, ms: median {median(waits):.1f}, most {max(waits):.1f}, n = {len(waits)}"
    )
    assert all(figures)


def send(world: World, task: Task, text: str) -> None:
    """Tells the task more, once it listens."""

    def sent() -> bool | None:
        try:
            world.owner.send_task_input("me", task.id, TaskSendRequest(input=text))
        except ApiError:
            return None
        return True

    until("the task to listen", sent)
