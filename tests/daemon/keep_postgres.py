"""A server of the smallest kind: runs the Postgres of a folder until it is ended, or says why not.

Run by the tests as a process of its own: `keep_postgres.py FOLDER [NAMESPACES]`. Prints one line of
JSON, {"pid", "url"} once Postgres answers, or {"refused"}. With NAMESPACES, it first becomes the root
of a user namespace in which nobody else exists and which can have no namespace in it.
"""

import asyncio
import ctypes
import json
import os
import sys
from pathlib import Path

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.errors import StartupError


def become_a_lonely_root() -> None:
    uid, gid = os.geteuid(), os.getegid()
    assert ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


async def keep(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder, durable=False)
    try:
        await postgres.start()
    except StartupError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return
    print(json.dumps({"pid": postgres.pid, "url": postgres.url}), flush=True)
    await postgres.wait_dead()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        become_a_lonely_root()
    asyncio.run(keep(Path(sys.argv[1])))
