"""A hostile program beside the workspace agent, which has the token of its generation."""

import pytest

from tests.security.hostile import Camp

TOKEN_HALVES = ("tyw-token-", "b6d1-of-the-agent")
TOKEN_THIEF = """
import subprocess, time
agent = subprocess.Popen(["/opt/taskyard/bin/python3", "-I", "-m", "taskyard_agent", "run"], pass_fds=[7])
needle = ("".join(PLAN["halves"])[::-1]).encode()[::-1]
decoy = subprocess.Popen(["/bin/sleep", "1000"], env={"DECOY": needle.decode()})
def held(path):
    try:
        with open(path, "rb") as file:
            return needle in file.read()
    except OSError as error:
        return name(error.errno)
def in_memory(pid):
    try:
        maps = open(f"/proc/{pid}/maps").read().splitlines()
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            for line in maps:
                where = [int(n, 16) for n in line.split()[0].split("-")]
                if line.split()[1][0] != "r" or "[v" in line:
                    continue
                file.seek(where[0])
                try:
                    if needle in file.read(where[1] - where[0]):
                        return True
                except OSError:
                    continue
        return False
    except OSError as error:
        return name(error.errno)
until = time.monotonic() + 50
while not isinstance(held(f"/proc/{agent.pid}/environ"), str) and time.monotonic() < until:
    time.sleep(0.01)
def all_of(pid):
    try:
        fds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    except OSError as error:
        fds = name(error.errno)
    return {"environ": held(f"/proc/{pid}/environ"), "cmdline": held(f"/proc/{pid}/cmdline"), "mem": in_memory(pid), "fd": fds}
REPORT.update({"agent": all_of(agent.pid), "first": all_of(1), "decoy": all_of(decoy.pid), "alive": agent.poll(),
    "trace": call("ptrace", 16, agent.pid, 0, 0), "log": os.readlink("/proc/self/fd/1"), "token": os.readlink("/proc/self/fd/7"), "late": tried(lambda: os.read(7, 100))})
agent.kill(); decoy.kill()
"""
"""Runs a real agent as its child, which takes the token out of the pipe; then looks for it as any program could."""


@pytest.mark.attack(
    "takes the agent's token, or secrets of the walls, from /proc/1, the agent's memory, or a descriptor",
    wall="the token comes by a pipe that is read once; the agent is not dumpable",
)
def test_the_token(camp: Camp) -> None:
    """The same search finds a decoy, and the token nowhere: neither in process 1 nor in the agent."""
    token = "".join(TOKEN_HALVES)
    seen = camp.inside(TOKEN_THIEF, {"halves": TOKEN_HALVES}, agent_token=token)
    assert seen["decoy"]["environ"] is True
    assert seen["decoy"]["mem"] is True
    assert seen["alive"] is None
    assert (seen["agent"]["environ"], seen["agent"]["mem"], seen["agent"]["fd"]) == (
        "EACCES",
        "EACCES",
        "EACCES",
    )
    assert seen["trace"] == "EPERM"
    first = seen["first"]
    assert True not in (first["environ"], first["cmdline"], first["mem"])
    # As an answer, or a list in which the log's pipe is the only one.
    held = [first["fd"]] if isinstance(first["fd"], str) else first["fd"]
    assert {file for file in held if "pipe" in file} <= {seen["log"]}
    assert seen["log"] != seen["token"]
    assert seen["late"] == "done: b''"
