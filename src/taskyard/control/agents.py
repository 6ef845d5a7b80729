"""What workspace agents tell the server: that they live, how far they are, what their programs say."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import msgspec

from taskyard.control import phases
from taskyard.control.actors import AgentActor
from taskyard.control.handover import Handover, hand_over
from taskyard.control.services import Services
from taskyard.db import agents as db
from taskyard.db.jobs import WORKSPACES
from taskyard.db.pool import ring
from taskyard.errors import StaleGeneration
from taskyard.lifecycle.egress import is_limited, rule_text
from taskyard.lifecycle.parameter import parameter_environment
from taskyard.lifecycle.template_model import App, Template
from taskyard.wire import link
from taskyard.wire.enums import AgentLifecycle, AppHealth, LogLevel

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MAX_LOG_BYTES = 1024 * 1024
"""All log lines of one agent together; more is dropped and the agent marked. Source: supporting-api 12 row 83."""

MAX_SOURCE_CHARS = 256
"""Longest name of a writer of the log; ours are words and slugs."""

MAX_VERSION_CHARS = 100
"""Longest version that an agent may say it has; ours have ten characters."""

HEARTBEATS_PER_LEASE = 6
"""How many heartbeats may be lost before the lease lapses: with 120 s, one each 20 s."""

LOG_SOURCES = UUID("0c1f2f0e-8c53-4c5e-9f6d-6a1b7f0f9a77")
"""Namespace from which an agent's log sources get their ids, so that a restart finds them again."""


async def welcome(
    services: Services, actor: AgentActor, version: str, now: datetime
) -> link.Welcome:
    """What an agent gets that just connected; raises StaleGeneration when it was replaced."""
    lease_s = services.settings.agent_lease_s
    async with services.db.transaction() as conn:
        row = await db.get_agent_manifest_as_system(conn, actor.agent_id, actor.generation)
        connected = await db.connect_agent_as_system(
            conn,
            actor.agent_id,
            actor.generation,
            server_id=services.server_id,
            version=_kept(version, MAX_VERSION_CHARS),
            lease_expires_at=now + timedelta(seconds=lease_s),
            now=now,
        )
        if row is None or not connected:
            raise StaleGeneration
        given = await hand_over(conn, services, actor.agent_id, row)
        manifest = _manifest(row, given)
        has_scripts = bool(manifest.start_script or manifest.repository)
        await phases.connected(conn, actor, now, has_scripts=has_scripts)
        await _ring(conn, actor)
    if given.complaints:
        lines = [link.LogLine(now, LogLevel.ERROR, sentence) for sentence in given.complaints]
        await append_logs(services, actor, link.LogLines("secrets", lines), now)
    return link.Welcome(
        manifest=manifest,
        acked_seq=row.acked_seq,
        heartbeat_s=lease_s / HEARTBEATS_PER_LEASE,
        lease_s=lease_s,
    )


async def refused(services: Services, actor: AgentActor, hello: link.Hello, now: datetime) -> str:
    """The sentence for an agent of another release, which is kept as the reason why its start came to nothing."""
    sentence = f"the server speaks protocol {link.PROTOCOL}, the agent {hello.protocol}: use one release for both"
    async with services.db.transaction() as conn:
        await phases.refused(conn, actor, f"The agent was sent away: {sentence}.", now)
        await _ring(conn, actor)
    return sentence


async def heard(services: Services, actor: AgentActor, now: datetime) -> None:
    """Prolongs the agent's lease; raises StaleGeneration when it was replaced."""
    until = now + timedelta(seconds=services.settings.agent_lease_s)
    async with services.db.transaction() as conn:
        if not await db.renew_agent_lease_as_system(
            conn, actor.agent_id, actor.generation, until, now=now
        ):
            raise StaleGeneration


async def disconnected(services: Services, actor: AgentActor, now: datetime) -> None:
    """The agent's link to this server is gone; nothing when it has connected again, here or elsewhere."""
    async with services.db.transaction() as conn:
        # A new link is held before its welcome is written. So behind the lock either that link is seen, or
        # its welcome waits for this transaction and has the last word.
        await db.lock_agent_as_system(conn, actor.agent_id)
        if services.links.holds(actor.agent_id):
            return
        if await db.disconnect_agent_as_system(
            conn, actor.agent_id, actor.generation, services.server_id, now=now
        ):
            await _ring(conn, actor)
            await ring(conn, "agents", str(actor.workspace_id))


async def report_lifecycle(
    services: Services, actor: AgentActor, report: link.LifecycleReport, now: datetime
) -> None:
    """Stores where the agent is; raises StaleGeneration, ValueError for an unknown word or a time of no zone."""
    lifecycle, at = AgentLifecycle(report.state), in_utc(report.at)
    async with services.db.transaction() as conn:
        if not await db.set_agent_lifecycle_as_system(
            conn,
            actor.agent_id,
            actor.generation,
            lifecycle=lifecycle,
            at=at,
            now=now,
        ):
            raise StaleGeneration
        await phases.lifecycle_told(conn, actor, lifecycle, now)
        await _ring(conn, actor)


async def report_app_health(
    services: Services, actor: AgentActor, report: link.AppHealthReport
) -> None:
    """Stores the health of an app that has a check; other apps stay as they are.

    Raises ValueError for an unknown word. Nothing is stored for an agent that was replaced.
    """
    health = AppHealth(report.health)
    slug = _kept(report.slug, MAX_SOURCE_CHARS)
    async with services.db.transaction() as conn:
        if await db.set_app_health_as_system(
            conn, actor.agent_id, actor.generation, slug, health=health
        ):
            await phases.health_told(conn, actor, slug, health, now=services.now())
            await _ring(conn, actor)


async def append_logs(
    services: Services, actor: AgentActor, lines: link.LogLines, now: datetime
) -> None:
    """Adds lines to the agent's log; past the limit they are dropped and the agent is marked.

    Raises StaleGeneration when the agent was replaced, ValueError for a time of no zone.
    """
    source = _kept(lines.source, MAX_SOURCE_CHARS)
    source_id = uuid5(LOG_SOURCES, f"{actor.agent_id}/{source}")
    found = [
        db.AgentLogLine(in_utc(line.at), _level(line.level), line.text.rstrip("\n"))
        for line in lines.lines
    ]
    async with services.db.transaction() as conn:
        if not await db.is_current_agent_as_system(conn, actor.agent_id, actor.generation):
            raise StaleGeneration
        await db.upsert_log_source_as_system(
            conn, actor.agent_id, source_id, source, icon="", now=now
        )
        if not await db.has_log_source_as_system(conn, actor.agent_id, source_id):
            raise ValueError(f"the agent has {db.MAX_LOG_SOURCES} writers of its log already")
        await db.append_agent_logs_as_system(
            conn, actor.agent_id, source_id, found, limit=MAX_LOG_BYTES
        )
    services.doorbell.ring_soon("agent-logs", str(actor.agent_id))


def _kept(text: str, most: int) -> str:
    """The beginning of a text of a workspace's, as a column takes it."""
    return text[:most].replace("\0", "\ufffd")


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC; raises ValueError for a time without a zone, or one that UTC has no year for."""
    if at.tzinfo is None:
        raise ValueError(f"the time {at} has no zone")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"the time {at} lies outside the years 1 to 9999") from error


def _manifest(row: db.ManifestRow, given: Handover) -> link.Manifest:
    template = msgspec.json.decode(row.definition, type=Template)
    parameters = msgspec.json.decode(row.parameters, type=dict[str, str])
    agent = template.agent
    return link.Manifest(
        workspace_id=row.workspace_id,
        workspace_name=row.workspace_name,
        owner_name=row.owner_name,
        task_id=row.task_id,
        generation=row.generation,
        env=template.workspace.env | parameter_environment(parameters) | given.env,
        repository=given.repository,
        start_script=template.scripts.start,
        stop_script=template.scripts.stop,
        apps=[_app(app) for app in template.apps],
        bridge_slug=template.bridge_slug,
        task_slug=template.task_app,
        coding_agent=None
        if agent is None
        else link.CodingAgent(
            type=agent.type,
            transport=agent.transport,
            command=agent.command,
            permissions=agent.permissions,
            permission_timeout_s=agent.permission_timeout_s,
        ),
        egress=[rule_text(rule) for rule in template.workspace.ways_out],
        egress_http=[rule_text(rule) for rule in template.workspace.ways_out if is_limited(rule)],
    )


def _app(app: App) -> link.App:
    check = app.healthcheck
    return link.App(
        slug=app.slug,
        url=app.url,
        command=app.command,
        healthcheck=None
        if check is None
        else link.HealthCheck(
            url=check.url, interval_s=check.interval_s, threshold=check.threshold
        ),
    )


def _level(word: str) -> LogLevel:
    try:
        return LogLevel(word)
    except ValueError:
        return LogLevel.INFO


async def _ring(conn: "Connection", actor: AgentActor) -> None:
    await ring(conn, "agent", str(actor.agent_id))
    await ring(conn, WORKSPACES, str(actor.workspace_id))
    if actor.task_id is not None:
        await ring(conn, "task", str(actor.task_id))
