"""Reading [task], [agent] and [[app]]: what takes the input of a task, and what runs it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from taskyard.lifecycle.quantity import DURATION_EXAMPLE, parse_duration
from taskyard.lifecycle.secret_names import requirement_problem
from taskyard.lifecycle.template_model import (
    BRIDGE_URL,
    MAX_ICON_CHARS,
    SCREEN_ONLY,
    SHELL_COMMAND,
    Agent,
    AgentType,
    App,
    HealthCheck,
    Permissions,
    Share,
    Transport,
)
from taskyard.lifecycle.toml_table import Table, nearest

BRIDGE_INTERVAL_S = 1
"""Seconds between health checks of the bridge: it answers from memory, and a person waits for it."""

BRIDGE_THRESHOLD = 3
"""Failed checks in a row until the bridge is unhealthy: one slow answer on a busy machine is not."""

DEFAULT_INTERVAL_S = 5
"""Seconds between health checks of other apps unless the template says otherwise."""

DEFAULT_THRESHOLD = 6
"""Failed checks in a row unless the template says otherwise: half a minute of silence."""

MAX_REQUIRED = 50
"""Entries of requires_env at most: whoever makes a task of the template hands over as many secrets."""


_SLUG = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost)(?::([0-9]{1,5}))?(?:/[!-~]*)?")


AppEntry = tuple[Table, App]
"""An [[app]] as read, with its table for problems that show only later."""


def read_apps(root: Table) -> list[AppEntry]:
    """Every [[app]] in order; the url of an app that gives none is empty until read_task is done."""
    entries: list[AppEntry] = []
    for table in root.tables("app"):
        app = _app(table)
        if app.slug and app.slug in {other.slug for _, other in entries}:
            table.problem(f'there are two apps "{app.slug}"; a slug names one', "slug")
        entries.append((table, app))
    return entries


def _app(table: Table) -> App:
    slug = table.needed_text("slug") or ""
    if slug and not _SLUG.fullmatch(slug):
        table.problem(
            f'"{slug}" must be small letters, digits and single hyphens, 32 at most', "slug"
        )
    app = App(
        slug=slug,
        display_name=table.text("display_name", max_chars=64) or slug,
        icon=table.text("icon", max_chars=MAX_ICON_CHARS) or "",
        url=_url(table),
        command=table.needed_text("command") if table.has("command") else table.text("command"),
        healthcheck=_healthcheck(table),
        share=table.choice("share", Share) or Share.OWNER,
    )
    table.close()
    return app


def _url(table: Table) -> str:
    url = table.text("url")
    if url is None:
        return BRIDGE_URL if table.has("url") else ""
    found = _LOOPBACK.fullmatch(url)
    if found is None or not 0 < int(found[1] or 80) < 65536:
        table.problem(f'"{url}" must be on the workspace\'s loopback, like "{BRIDGE_URL}"', "url")
    return url


def _healthcheck(table: Table) -> HealthCheck | None:
    check = table.table("healthcheck")
    if not table.has("healthcheck"):
        return None
    if not check.has("url"):
        check.problem('"url" is missing: the address that answers 200 when the app is well')
    found = HealthCheck(
        url=_url(check),
        interval_s=check.whole("interval", least=1) or DEFAULT_INTERVAL_S,
        threshold=check.whole("threshold", least=1) or DEFAULT_THRESHOLD,
    )
    check.close()
    return found


@dataclass(frozen=True, slots=True)
class TaskParts:
    """Who takes the input of a task: all null and only the listed apps for a template without tasks."""

    app: str | None
    agent: Agent | None
    apps: list[App]
    requires_env: list[str]


def read_task(root: Table, entries: Sequence[AppEntry]) -> TaskParts:
    """[task] and [agent], and all apps with the one that the bridge serves filled in."""
    task, agent = root.table("task"), root.table("agent")
    slug = task.needed_text("app") if root.has("task") else None
    requires_env = _requires_env(task)
    task.close()
    own = next((table for table, app in entries if app.slug == slug and app.command), None)
    coding_agent = _agent(agent, slug, own) if root.has("agent") else None
    bridge = slug if root.has("agent") and own is None else None
    if root.has("agent") and not root.has("task"):
        agent.problem("needs a [task]: without one nothing gives it any input")
    if slug is not None and not root.has("agent"):
        _require_app(task, slug, [app.slug for _, app in entries])
    return TaskParts(slug, coding_agent, _complete(entries, bridge), requires_env)


def _requires_env(task: Table) -> list[str]:
    """Names of secrets that a start needs."""
    entries = task.words("requires_env") or []
    if len(entries) > MAX_REQUIRED:
        task.problem(f"has {len(entries)} entries; {MAX_REQUIRED} are the most", "requires_env")
    for entry in entries[:MAX_REQUIRED]:
        if problem := requirement_problem(entry):
            task.problem(problem, "requires_env")
    return entries


def _require_app(task: Table, slug: str, slugs: list[str]) -> None:
    if slug in slugs:
        return
    way_out = f"add an [agent], or an [[app]] of that slug; {nearest(slug, slugs)}"
    task.problem(f'names no app: there is no "{slug}"; {way_out}', "app")


def _agent(table: Table, slug: str | None, own_server: Table | None) -> Agent | None:
    """What the bridge runs; None when the task's app is a server of the user's own."""
    kind = table.choice("type", AgentType)
    if not table.has("type"):
        table.problem(f'"type" is missing; {nearest("", [str(word) for word in AgentType])}')
    transport = table.choice("transport", Transport) or Transport.AUTO
    command = table.words("command")
    permissions = table.choice("permissions", Permissions) or Permissions.ALLOW
    timeout_s = table.parsed("permission_timeout", parse_duration, DURATION_EXAMPLE)
    table.close()
    if command is not None and (not command or not command[0]):
        table.problem("must begin with a program", "command")
    if own_server is not None and (command or kind not in {None, AgentType.CUSTOM}):
        sentence = f'two programs for the task: [agent] and the command of app "{slug}"; remove one'
        own_server.problem(sentence, "command")
    if kind is None or (kind is AgentType.CUSTOM and own_server is not None):
        return None
    argv = command or _own_command(kind, transport)
    _check_command(table, kind, transport, slug=slug)
    return Agent(kind, _transport(kind, transport), argv, permissions, timeout_s)


def _own_command(kind: AgentType, transport: Transport) -> list[str]:
    """The argv where the template gives none; empty for what the type says."""
    ours = kind is AgentType.SHELL and transport is not Transport.PTY
    return list(SHELL_COMMAND) if ours else []


def _check_command(
    table: Table, kind: AgentType, transport: Transport, *, slug: str | None
) -> None:
    """Notes a command that is there and must not be, or the other way round."""
    match kind:
        case AgentType.SHELL if table.has("command"):
            table.problem("is not for type shell, which brings its own", "command")
        case AgentType.CUSTOM if not table.has("command"):
            table.problem(
                'type custom needs command = ["program", "argument"] that speaks ACP, or an [[app]] '
                f'"{slug or "agent"}" with command and url of an AgentAPI server'
            )
        case _ if kind in SCREEN_ONLY and transport is Transport.ACP and not table.has("command"):
            sentence = (
                f"{kind} has no ACP; leave the transport out, or give a command that speaks it"
            )
            table.problem(sentence, "transport")


def _transport(kind: AgentType, given: Transport) -> Transport:
    """A program that nobody knows is taken at its word: it speaks ACP unless the template says otherwise."""
    unknown = kind in {AgentType.SHELL, AgentType.CUSTOM}
    return Transport.ACP if unknown and given is Transport.AUTO else given


def _complete(entries: Sequence[AppEntry], bridge: str | None) -> list[App]:
    """All apps, that of the bridge first if nobody wrote it down."""
    apps = [_with_url(table, app, bridge) for table, app in entries]
    if bridge is not None and bridge not in {app.slug for app in apps}:
        apps.insert(0, _served_by_bridge(App(bridge, bridge, "", "", None, None, Share.OWNER)))
    return apps


def _with_url(table: Table, app: App, bridge: str | None) -> App:
    if app.slug == bridge:
        return _served_by_bridge(app)
    if not app.url:
        table.problem(f'"url" is missing; where does the app listen? Like "{BRIDGE_URL}"')
    return app


def _served_by_bridge(app: App) -> App:
    url = app.url or BRIDGE_URL
    check = HealthCheck(f"{url.rstrip('/')}/status", BRIDGE_INTERVAL_S, BRIDGE_THRESHOLD)
    return replace(app, url=url, healthcheck=app.healthcheck or check)
