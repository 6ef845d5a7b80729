"""The settings of a template: what a request makes of them, and what is wrong with that."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from taskyard.lifecycle.names import display_name_violation, explain, name_problem
from taskyard.lifecycle.template import MAX_DESCRIPTION_CHARS
from taskyard.lifecycle.template_model import MAX_ICON_CHARS
from taskyard.wire.templates import (
    ACTIVITY_BUMP_MS,
    AutostartRequest,
    AutostopRequest,
    CorsBehavior,
    CreateTemplateRequest,
    UpdateTemplateRequest,
)
from taskyard.wire.workspaces import SharingLevel

WEEKDAYS: Final = (
    *("monday", "tuesday", "wednesday", "thursday"),
    *("friday", "saturday", "sunday"),
)
"""The days of a week as the wire names them. Source: S10."""

MAX_WEEKS: Final = 16
"""Longest time between stops that a template may ask for, in weeks; clients offer no more."""

MAX_DURATION_MS: Final = 100 * 366 * 24 * 3600 * 1000
"""Longest duration, in milliseconds: a hundred years, so that a time with it added is still a time."""

MAX_DEPRECATION_CHARS: Final = 1024
"""Longest word of why a template is deprecated: lists carry it."""

DURATIONS: Final = (
    "default_ttl_ms",
    "activity_bump_ms",
    "failure_ttl_ms",
    "dormant_ttl_ms",
    "delete_ttl_ms",
)
"""Settings that are milliseconds, 0 for none."""

Violations = list[tuple[str, str]]


class TemplateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be set of a template, as it is stored; the defaults are those of the contract."""

    name: str = ""
    display_name: str = ""
    description: str = ""
    icon: str = ""
    default_ttl_ms: int = 0
    activity_bump_ms: int = ACTIVITY_BUMP_MS
    failure_ttl_ms: int = 0
    dormant_ttl_ms: int = 0
    delete_ttl_ms: int = 0
    allow_user_cancel_workspace_jobs: bool = False
    allow_user_autostart: bool = True
    allow_user_autostop: bool = True
    require_active_version: bool = False
    deprecation_message: str = ""
    autostop_days: list[str] = []
    autostop_weeks: int = 1
    autostart_days: list[str] = msgspec.field(default_factory=lambda: list(WEEKDAYS))
    max_port_share_level: str = SharingLevel.OWNER
    cors_behavior: str = CorsBehavior.SIMPLE
    use_classic_parameter_flow: bool = False
    disable_module_cache: bool = False


NAMES: Final = TemplateSettings.__struct_fields__
"""Every setting."""

_IN_CREATE: Final = {"use_classic_parameter_flow": "template_use_classic_parameter_flow"}
_IN_UPDATE: Final = {
    "dormant_ttl_ms": "time_til_dormant_ms",
    "delete_ttl_ms": "time_til_dormant_autodelete_ms",
}
"""Settings that requests name otherwise. Source: supporting-api 7 rows 38-45."""

_WORDS: Final = ("max_port_share_level", "cors_behavior")
"""Settings that are one of some words; an empty one says nothing."""

_Request = CreateTemplateRequest | UpdateTemplateRequest


def new_settings(request: CreateTemplateRequest) -> TemplateSettings:
    """The settings of a new template, yet to be checked."""
    return _applied(TemplateSettings(), request, _IN_CREATE)


def changed_settings(before: TemplateSettings, request: UpdateTemplateRequest) -> TemplateSettings:
    """The settings after a change, yet to be checked; what the request leaves out stays."""
    return _applied(before, request, _IN_UPDATE)


def text_problems(settings: TemplateSettings) -> Violations:
    """What is wrong with names and texts, by field."""
    violations: Violations = []
    if problem := name_problem(settings.name):
        violations.append(("name", problem))
    if rule := display_name_violation(settings.display_name):
        violations.append(("display_name", explain(rule, settings.display_name)))
    limits = {
        "description": MAX_DESCRIPTION_CHARS,
        "icon": MAX_ICON_CHARS,
        "deprecation_message": MAX_DEPRECATION_CHARS,
    }
    violations += [
        (name, f"give at most {limit} characters")
        for name, limit in limits.items()
        if len(getattr(settings, name)) > limit
    ]
    return violations


def number_problems(settings: TemplateSettings, *, is_new: bool) -> Violations:
    """What is wrong with durations, days and words; each field is named as in the request that sent it."""
    named = _IN_CREATE if is_new else _IN_UPDATE
    violations = [
        (named.get(name, name), f"give milliseconds, 0 for none, at most {MAX_DURATION_MS}")
        for name in DURATIONS
        if not 0 <= getattr(settings, name) <= MAX_DURATION_MS
    ]
    if not 1 <= settings.autostop_weeks <= MAX_WEEKS:
        violations.append(("autostop_requirement.weeks", f"give 1 to {MAX_WEEKS} weeks"))
    for field, days in (
        ("autostop_requirement.days_of_week", settings.autostop_days),
        ("autostart_requirement.days_of_week", settings.autostart_days),
    ):
        if stray := [day for day in days if day not in WEEKDAYS]:
            violations.append((field, f'"{stray[0][:20]}" is no day; give {", ".join(WEEKDAYS)}'))
    if settings.max_port_share_level not in list(SharingLevel):
        violations.append(("max_port_share_level", f"give one of {', '.join(SharingLevel)}"))
    if settings.cors_behavior not in list(CorsBehavior):
        violations.append(("cors_behavior", f"give one of {', '.join(CorsBehavior)}"))
    return violations


def _applied(
    before: TemplateSettings, request: _Request, named: Mapping[str, str]
) -> TemplateSettings:
    given = {
        name: value
        for name in NAMES
        if (value := getattr(request, named.get(name, name), UNSET)) is not UNSET
        and not (name in _WORDS and value == "")
    }
    if "display_name" in given:
        given["display_name"] = given["display_name"].strip()
    return replace(
        before,
        **given,
        **_autostop(request.autostop_requirement),
        **_autostart(request.autostart_requirement),
    )


def _autostop(asked: AutostopRequest | UnsetType | None) -> dict[str, object]:
    """Days and weeks, 0 weeks meaning 1; nothing where nothing was said."""
    if asked is None or asked is UNSET:
        return {}
    return {"autostop_days": _days(asked.days_of_week), "autostop_weeks": asked.weeks or 1}


def _autostart(asked: AutostartRequest | UnsetType | None) -> dict[str, object]:
    """Days, none meaning never; nothing where nothing was said."""
    if asked is None or asked is UNSET:
        return {}
    return {"autostart_days": _days(asked.days_of_week)}


def _days(words: list[str]) -> list[str]:
    """Each day once, in the order of a week; words that are no day behind them."""
    given = dict.fromkeys(word.lower() for word in words)
    return [day for day in WEEKDAYS if day in given] + [
        word for word in given if word not in WEEKDAYS
    ]
