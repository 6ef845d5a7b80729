"""Servers that share the database, the data directories they serve, and which of them holds an agent's link.

Times are compared by the database's clock: those of the servers may differ by more than a sign of life takes.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.builds import CountRow
from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement
from taskyard.lifecycle.job import SERVER_SILENCE_S

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

ALIVE = timedelta(seconds=SERVER_SILENCE_S)
"""Silence after which a server is taken for dead."""


class DeploymentRow(msgspec.Struct, frozen=True):
    """The data directory that first claimed the database, and the key of all servers on it."""

    id: UUID
    peer_key: bytes | None


class FoundHostRow(msgspec.Struct, frozen=True):
    """A data directory of this database. seen: it was served by a release that knows of several."""

    id: UUID
    seen: bool


class ServerRow(msgspec.Struct, frozen=True):
    """A server that lives, and where the others reach it."""

    server_id: UUID
    url: str


class AbsentRow(msgspec.Struct, frozen=True):
    """A data directory that no server serves now, by the name of its machine, and since when."""

    id: UUID
    name: str
    seen_at: datetime


class RivalRow(msgspec.Struct, frozen=True):
    """A server by the name of its machine, and when it gave its last sign of life."""

    id: UUID
    name: str
    seen_at: datetime


class StrandedRow(msgspec.Struct, frozen=True):
    """A workspace whose files are out of reach; name and seen_at as above."""

    workspace_id: UUID
    host_id: UUID
    name: str
    seen_at: datetime


class ReturnedRow(msgspec.Struct, frozen=True):
    """A workspace, said to be out of reach, that is not, and its task."""

    workspace_id: UUID
    task_id: UUID


class ToldRow(msgspec.Struct, frozen=True):
    """The data of a transcript item."""

    data: bytes


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself. place tells its data directory from all copies of it."""

    id: UUID
    host_id: UUID
    name: str
    url: str
    roles: list[str]
    version: str
    place: str = ""


_GIVE_KEY = statement("servers", "give_peer_key_as_system", NoRow)
_GET_DEPLOYMENT = statement("servers", "get_deployment_key_as_system", DeploymentRow)
_FIND_HOST = statement("servers", "find_host_as_system", FoundHostRow)
_JOIN = statement("servers", "join_host_as_system", NoRow)
_ADOPT = statement("servers", "adopt_workspaces_as_system", NoRow)
_RIVAL = statement("servers", "find_rival_as_system", RivalRow)
_FORGET = statement("servers", "forget_servers_as_system", NoRow)
_BEAT = statement("servers", "beat_server", CountRow)
_REMOVE = statement("servers", "remove_server", NoRow)
_FIND_AGENT = statement("servers", "find_agent_as_system", ServerRow)
_FIND_ABSENT = statement("servers", "find_absent_host_as_system", AbsentRow)
_ELSEWHERE = statement("servers", "list_agents_elsewhere_as_system", IdRow)
_STRANDED = statement("servers", "list_stranded_as_system", StrandedRow)
_RETURNED = statement("servers", "list_returned_as_system", ReturnedRow)
_TOLD = statement("servers", "get_told_state_as_system", ToldRow)


async def give_peer_key_as_system(conn: "Connection", key: bytes) -> None:
    """Makes this the key of the database's servers, unless they have one."""
    await _GIVE_KEY.execute(conn, key=key)


async def get_deployment_key_as_system(conn: "Connection") -> DeploymentRow | None:
    """Whose database it is; None before it was claimed."""
    return await _GET_DEPLOYMENT.one(conn)


async def find_host_as_system(conn: "Connection", host_id: UUID) -> FoundHostRow | None:
    """The data directory of this id; None when it never joined."""
    return await _FIND_HOST.one(conn, id=host_id)


async def join_host_as_system(conn: "Connection", host_id: UUID, name: str) -> None:
    """Makes a data directory one of this database's."""
    await _JOIN.execute(conn, id=host_id, name=name)


async def adopt_workspaces_as_system(conn: "Connection", host_id: UUID) -> int:
    """How many workspaces an older release had started in the first data directory; 0 for any other."""
    return await _ADOPT.execute(conn, host_id=host_id)


async def find_rival_as_system(conn: "Connection", host_id: UUID, place: str) -> RivalRow | None:
    """A living server that serves a data directory of this id elsewhere; None when there is none."""
    return await _RIVAL.one(conn, host_id=host_id, place=place, alive=ALIVE)


async def forget_servers_as_system(conn: "Connection", server: Server) -> None:
    """Removes what earlier servers of the data directory left."""
    await _FORGET.execute(conn, host_id=server.host_id, id=server.id)


async def beat_server(conn: "Connection", server: Server) -> int:
    """A sign of life; returns how many other servers live."""
    row = await _BEAT.one(
        conn,
        id=server.id,
        host_id=server.host_id,
        name=server.name,
        url=server.url,
        roles=server.roles,
        version=server.version,
        place=server.place,
        alive=ALIVE,
    )
    return 0 if row is None else row.count


async def remove_server(conn: "Connection", server_id: UUID) -> None:
    """The server ends."""
    await _REMOVE.execute(conn, id=server_id)


async def find_agent_as_system(conn: "Connection", agent_id: UUID) -> ServerRow | None:
    """The server that holds an agent's link; None when no living one does."""
    return await _FIND_AGENT.one(conn, agent_id=agent_id, alive=ALIVE)


async def find_absent_host_as_system(conn: "Connection", agent_id: UUID) -> AbsentRow | None:
    """The data directory with an agent's workspace, when no server of it lives; else None."""
    return await _FIND_ABSENT.one(conn, agent_id=agent_id, alive=ALIVE)


async def list_agents_elsewhere_as_system(
    conn: "Connection", agent_ids: Sequence[UUID], server_id: UUID
) -> list[UUID]:
    """Those of the agents that have connected to another server than this."""
    rows = await _ELSEWHERE.many(conn, agent_ids=agent_ids, server_id=server_id)
    return [row.id for row in rows]


async def list_stranded_as_system(
    conn: "Connection", host_id: UUID, away: timedelta, stage: str
) -> list[StrandedRow]:
    """Workspaces of other data directories that are out of reach for so long.

    Not those whose job's log has a line of that stage that is of this absence.
    """
    return await _STRANDED.many(conn, host_id=host_id, away=away, alive=ALIVE, stage=stage)


async def list_returned_as_system(
    conn: "Connection", host_id: UUID, session: str
) -> list[ReturnedRow]:
    """Workspaces of a data directory, with a link, whose coding agent was last seen in a session of that word."""
    return await _RETURNED.many(conn, host_id=host_id, session=session)


async def get_told_state_as_system(
    conn: "Connection", task_id: UUID, generation: int
) -> bytes | None:
    """What the bridge of that generation told last, as JSON; None when it told nothing."""
    row = await _TOLD.one(conn, task_id=task_id, generation=generation)
    return None if row is None else row.data
