"""The network of a workspace as the launcher makes it, or does not."""

import subprocess
import sys
from pathlib import Path

from taskyard.drivers.sandbox import launch_network

PROGRAM = f"""
import os, sys
sys.path.append({str(Path(launch_network.__file__).parents[3])!r})
from taskyard.drivers.sandbox.launch_network import prepare
def names():
    return os.readlink("/proc/self/ns/net")
before = names()
print(repr(prepare()), before != names(), sorted(name for name in sys.modules if name in ("socket", "asyncio", "enum")))
"""
REFUSING = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$0" "$@"'


def said(*before: str) -> str:
    """What a process that asks for a network prints."""
    python = [sys.executable, "-I", "-S", "-c", PROGRAM]
    done = subprocess.run([*before, *python], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_network_is_made_with_little() -> None:
    """The process is in another one, and no module was read that takes long."""
    assert said() == "'' True []"


def test_a_machine_that_allows_none_says_so() -> None:
    """The cause comes back, and the process goes on where it was."""
    refused = said("unshare", "--user", "--map-root-user", "sh", "-c", REFUSING)
    assert refused == "'making a network: No space left on device' False []"
