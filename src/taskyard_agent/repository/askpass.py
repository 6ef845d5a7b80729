"""Asks the workspace agent what git wants to know, over a socket that git's starter left open. Run as a file."""

import os
import socket
import sys

FD = "TASKYARD_ASKPASS_FD"
"""The variable that tells which file descriptor the socket is."""

MAX_BYTES = 128 * 1024
"""More than a secret can have."""

YES = b"+"
"""Begins an answer; anything else is a refusal."""


def main() -> int:
    """Prints the answer; the exit status is 1 without one."""
    agent = socket.socket(fileno=int(os.environ[FD]))
    agent.sendall(" ".join(sys.argv[1:]).encode(errors="replace")[:4096])
    answer = agent.recv(MAX_BYTES)
    if not answer.startswith(YES):
        return 1
    sys.stdout.buffer.write(answer.removeprefix(YES) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
