"""Secrets that were planted in the server and beside a workspace, and whoever looks for them."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from taskyard.control.keys import hash_agent_token
from tests.house.tree import ROOT
from tests.security.hostile import (
    Camp,
    Canary,
    HostileWorld,
    as_account,
    camp_of,
    environment_of,
    kept_files,
    why_not,
)
from tests.system.kit import processes_of

SEARCH = """
import re, stat, subprocess
needle, since = PLAN["eldeen"][::-1].encode(), PLAN["since"]
found, read = set(), {"names": 0, "files": 0, "proc": 0, "memory": 0}
def look(kind, path, data):
    read[kind] += 1
    for match in re.finditer(needle + b"[a-z-]*", data):
        found.add((path, match.group().decode()))
def content(path, most=2**26):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        pieces = []
        while most > 0 and (piece := os.read(fd, min(most, 2**20))):
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
def files(folder="/"):
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    look("names", folder, os.fsencode(" ".join(entry.name for entry in entries)))
    for entry in entries:
        try:
            if entry.is_symlink():
                look("names", entry.path, os.fsencode(os.readlink(entry.path)))
            elif entry.is_dir():
                if entry.path != "/proc":
                    files(entry.path)
            elif entry.stat().st_ctime >= since and entry.is_file():
                look("files", entry.path, content(entry.path))
        except OSError:
            pass
def processes():
    for folder, names, plain in os.walk("/proc"):
        parts = folder.split("/")
        names[:] = [n for n in names if n not in (str(os.getpid()), "task", "map_files", "cwd", "root")]
        for name in plain:
            if name in ("kmsg", "kcore", "pagemap", "mem", "clear_refs") or name.startswith("kpage"):
                continue
            try:
                look("proc", os.path.join(folder, name), content(os.path.join(folder, name), 2**20))
            except OSError:
                pass
def memory():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
                for line in maps:
                    start, end = (int(word, 16) for word in line.split()[0].split("-"))
                    if line.split()[1].startswith("r") and end - start < 2**26:
                        try:
                            mem.seek(start)
                            look("memory", f"/proc/{pid}/mem", mem.read(end - start))
                        except (OSError, ValueError, OverflowError):
                            pass
        except OSError:
            pass
child = subprocess.Popen(["/bin/sleep", "1000"], env={"MINE": needle.decode() + "-own-child"})
with open("own", "wb") as file:
    file.write(needle + b"-own-file")
files()
processes()
memory()
child.kill()
REPORT["found"] = sorted(found)
REPORT["read"] = read
"""
"""Looks everywhere, but not into files that have not changed since the secrets were made. It hides two secrets of its own and finds them, so that what it does not find is not there."""

LISTS = """
import json, os, sys
texts = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                texts[f"{pid}/{name}"] = file.read().decode(errors="replace")
        except OSError:
            pass
json.dump(texts, sys.stdout)
"""
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def labels(report: dict[str, Any], canary: Canary) -> set[str]:
    """Which secrets a search found."""
    return {secret.removeprefix(canary.needle + "-") for _, secret in report["found"]}


def is_thorough(report: dict[str, Any], canary: Canary) -> bool:
    """Whether a search found what it had hidden: in a file, an environment and the memory of a process."""
    places = {
        "memory" if path.endswith("/mem") else Path(path).name
        for path, secret in report["found"]
        if secret.removeprefix(canary.needle + "-") in ("own-file", "own-child")
    }
    return places == {"own", "environ", "memory"}


@pytest.fixture(scope="module")
def planted(account: str, backend: str) -> Iterator[tuple[Camp, Canary]]:
    """A driver whose environment and data directory hold secrets, and a workspace that is made of them."""
    canary = Canary.new()
    with camp_of(account, backend, {"TEST_SECRET": canary.of("driver-env")}) as camp:
        (camp.root.parent / "planted").write_text(canary.of("data-dir"))
        (camp.root.parent / "planted").chmod(0o644)
        body = "open('kept', 'w').write(os.environ['KEY'])"
        files = {"file": canary.of("template"), canary.of("file-name"): ""}
        token, env = canary.of("token"), {"KEY": canary.of("env")}
        hostname = canary.of("host")
        box = camp.start(body, agent_token=token, env=env, files=files, hostname=hostname)
        box.report()
        yield camp, canary


@pytest.mark.attack(
    "A program looks for the secrets of the server and of a neighbour in every file, name, link, /proc entry and readable memory",
    wall="own mount, pid and user namespaces; one host uid for each workspace as root",
)
def test_a_workspace_holds_nothing_of_its_neighbours(planted: tuple[Camp, Canary]) -> None:
    """Only what the program hid itself is found."""
    camp, canary = planted
    report = camp.inside(SEARCH, canary.plan)
    assert is_thorough(report, canary), report
    assert labels(report, canary) == {"own-file", "own-child"}, report["found"]
    assert report["read"]["names"] > 1000


@pytest.mark.attack(
    "The same search in a task, for secrets of other users, their prompts, and the server's environment and files",
    wall="own namespaces; secrets go only to workspaces whose template names them",
)
def test_a_task_holds_nothing_of_others(hostile_world: HostileWorld) -> None:
    """Of all that was planted, nothing is found beside a real agent."""
    report = hostile_world.run(SEARCH, hostile_world.canary.plan)
    assert is_thorough(report, hostile_world.canary), report
    assert labels(report, hostile_world.canary) == {"own-file", "own-child"}, report["found"]


def given(hostile: HostileWorld) -> bool:
    """Whether the victim's workspace really got the secrets, so that there was something to find."""
    hostile.send(hostile.victim, hostile.victims, "env | sort > given; echo written")
    hostile.world.says(hostile.victims.id, "written", client=hostile.victim)
    text = (hostile.home(hostile.victims) / "given").read_text()
    return all(
        hostile.canary.of(f"{owner}-secret") in text
        for owner in ("user", "organization", "template")
    )


def ask_wrongly(hostile: HostileWorld) -> list[httpx2.Response]:
    """Answers to requests that hold secrets and have something wrong with them."""
    secret = hostile.canary.of("sent")
    url, token = hostile.world.server.url, {"Coder-Session-Token": hostile.attacker._token}
    login = {"email": "victor@example.com", "password": secret}
    secrets = f"{url}/api/v2/users/me/secrets"
    with httpx2.Client(headers=token, timeout=60) as client:
        answers = [
            client.post(f"{url}/api/v2/users/login", json=login),
            client.post(f"{url}/api/v2/users/login", json={**login, "email": 1}),
            client.post(f"{url}/api/v2/users/login", content=f'{{"password": "{secret}'),
            client.put(f"{secrets}/NO-NAME", json={"value": secret}),
            client.put(f"{secrets}/KEY", json={"value": [secret]}),
            client.put(f"{secrets}/KEY", content=f'{{"value": "{secret}"'),
            client.put(f"{secrets}/KEY", json={"value": secret + "\0"}),
            client.put(f"{secrets}/TASKYARD_X", json={"value": secret}),
            client.put(
                f"{url}/api/v2/users/me/password", json={"password": secret, "old_password": secret}
            ),
            client.post(
                f"{url}/api/v2/users", json={"password": secret, "username": "x", "email": "x"}
            ),
        ]
    me = f"{url}/api/v2/users/me"
    with httpx2.Client(timeout=60) as nobody:
        return [
            *answers,
            nobody.get(me, headers={"Coder-Session-Token": secret}),
            nobody.get(f"{me}?coder_session_token={secret}"),
            nobody.get(me, headers={"Cookie": f"coder_session_token={secret}"}),
            nobody.get(me, headers={"Authorization": f"Bearer {secret}"}),
        ]


@pytest.mark.attack(
    "Passwords, tokens and secrets are sent in requests that fail, to find them in answers and logs",
    wall="errors name what is wrong and never the value",
)
def test_no_error_repeats_a_secret(hostile_world: HostileWorld) -> None:
    """Each is refused, in words that do not hold it."""
    for answer in ask_wrongly(hostile_world):
        where = (
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
        )
        assert 400 <= answer.status_code < 500, where
        assert hostile_world.canary.needle not in answer.text, where
        assert hostile_world.canary.needle not in str(answer.headers), where


@pytest.mark.attack(
    "Whoever reads the server's log, Postgres' log or the audit log looks for secrets, prompts, passwords and tokens",
    wall="logs hold names and ids, never values; tokens are stored as hashes",
)
async def test_no_log_holds_a_secret(hostile_world: HostileWorld) -> None:
    """Not even at level debug; no token of an agent or a user stands there either."""
    hostile = hostile_world
    assert given(hostile)
    ask_wrongly(hostile)
    texts = {
        "server": hostile.log.read_text(),
        "audit": hostile.world.owner.export_audit_logs().decode(),
        **logs_of(hostile),
    }
    assert "http" in texts["server"]
    hashes = {
        bytes(r[0]) for r in await hostile.world.query("select token_hash from workspace_agents")
    }
    assert len(hashes) >= 2
    for name, text in texts.items():
        assert hostile.canary.needle not in text, name
        for token in (hostile.world.token, hostile.attacker._token, hostile.victim._token):
            assert token not in text, name
        assert not {hash_agent_token(found) for found in UUID.findall(text)} & hashes, name


def logs_of(hostile: HostileWorld) -> dict[str, str]:
    """What is in whatever is called a log in the data directory, outside of homes."""
    found = {}
    for path in kept_files(hostile.world.server.data_dir):
        if "log" in path.name:
            with suppress(FileNotFoundError):
                found[str(path)] = path.read_text(errors="replace")
    return found


@pytest.mark.attack(
    "An ordinary user of the machine reads the process list for secrets in arguments and environments",
    wall="nothing secret is an argument; environments belong to another user",
)
def test_no_process_list_shows_a_secret(hostile_world: HostileWorld) -> None:
    """Neither for another user, nor, in arguments, for root."""
    if why := why_not("user"):
        pytest.skip(why)
    canary = hostile_world.canary
    for account in ("user", "root"):
        done = subprocess.run(
            [*as_account(account), "-c", LISTS],
            cwd=ROOT,
            env=environment_of(account),
            capture_output=True,
            check=True,
        )
        texts = json.loads(done.stdout)
        mine = processes_of(hostile_world.world.server.data_dir)
        assert len({name for name in texts if name.endswith("cmdline")}) > len(mine)
        seen = {n for n, text in texts.items() if canary.needle in text}
        if account == "root":
            assert seen, "the look at environments works, for whoever may"
        assert not {n for n in seen if account == "user" or n.endswith("cmdline")}
