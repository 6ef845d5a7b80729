"""`python -m bench.relayed URL SOCKET PORT`: a relay on a database of the crowd; prints the token that opens PORT here.

Without arguments: a server that answers GET /BYTES with so many; prints its port.
"""

import asyncio
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from uuid import uuid4

import structlog
import uvloop

from taskyard.config import Settings
from taskyard.control.keys import hash_agent_token
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import Relay
from taskyard.db.pool import Database, Doorbell

ZEROS = bytes(1 << 20)
"""What large answers are made of; their sizes are so many times its own."""

_CURRENT = """
update workspace_agents set token_hash = $1 where id = (
    select a.id from workspace_agents a
    join workspace_builds b on b.id = a.workspace_build_id
    join workspaces w on w.id = a.workspace_id and w.generation = a.generation
    join provisioner_jobs j on j.id = b.job_id
    where b.transition = 'start' and j.completed_at is not null and j.error is null and b.build_number = (
        select max(n.build_number) from workspace_builds n where n.workspace_id = w.id
    )
    order by a.id
    limit 1
)
"""

_LISTS = """
update template_versions
set has_ai_task = true,
    definition = jsonb_build_object('workspace', jsonb_build_object('egress', jsonb_build_array(
    jsonb_build_object('host', '127.0.0.1', 'port', $1::integer)
)))
"""


async def _relay(url: str, path: str, port: int) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    database = Database(url)
    await database.open()
    token = str(uuid4())
    async with database.connection() as conn:
        await conn.execute(_CURRENT, hash_agent_token(token))
        await conn.execute(_LISTS, port)
    services = Services(
        settings=Settings(data_dir="/nonexistent"),
        db=database,
        doorbell=Doorbell(url),
        links=Links(),
        server_id=uuid4(),
        deployment_id=uuid4(),
        now=lambda: datetime.now(UTC),
    )
    sock = listen_unix(Path(path))
    print(token, flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(services.doorbell.run())
        await Relay(services).run(sock)


class _Answers(BaseRequestHandler):
    """Kept-alive answers of two bytes, or of as many as the path says."""

    def handle(self) -> None:
        """Answers until the client leaves."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while head := self.request.recv(65536):
            size = int(head.split(b" ", 2)[1].strip(b"/"))
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            self.request.sendall(answer + bytes(min(size, len(ZEROS))))
            for _ in range(size // len(ZEROS) - 1):
                self.request.sendall(ZEROS)


class _Server(ThreadingTCPServer):
    daemon_threads = True


if __name__ == "__main__":
    if len(sys.argv) == 1:
        with _Server(("127.0.0.1", 0), _Answers) as server:
            print(server.server_address[1], flush=True)
            server.serve_forever()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_relay(sys.argv[1], sys.argv[2], int(sys.argv[3])))
