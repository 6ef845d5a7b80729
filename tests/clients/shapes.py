"""The types under which clients with typed languages read each schema, by key. Source: tasks-api 4.1, 4.4, S1-S16."""

from tests.clients.strict import (
    Shape,
    boolean,
    email,
    filled,
    integer,
    mapping,
    one_of,
    string,
    time,
    uuid,
)

ERROR: Shape = {
    "message": string,
    "detail": string,
    "validations": [{"field": string, "detail": string}],
}

STATE_ENTRY: Shape = {"timestamp": time, "state": string, "message": string, "uri": string}

TASK: Shape = {
    "id": uuid,
    "organization_id": uuid,
    "owner_id": uuid,
    "owner_name": string,
    "owner_avatar_url": string,
    "name": string,
    "display_name": string,
    "template_id": uuid,
    "template_version_id": uuid,
    "template_name": string,
    "template_display_name": string,
    "template_icon": string,
    "workspace_id": uuid,
    "workspace_name": string,
    "workspace_status": string,
    "workspace_build_number": integer,
    "workspace_agent_id": uuid,
    "workspace_agent_lifecycle": string,
    "workspace_agent_health": {"healthy": boolean, "reason": string},
    "workspace_app_id": uuid,
    "initial_prompt": string,
    "status": string,
    "current_state": STATE_ENTRY,
    "created_at": time,
    "updated_at": time,
}

TASKS: Shape = {"tasks": [TASK], "count": integer}

TASK_LOGS: Shape = {
    "logs": [{"id": integer, "content": string, "type": string, "time": time}],
    "snapshot": boolean,
    "snapshot_at": time,
}

JOB: Shape = {
    "id": uuid,
    "created_at": time,
    "started_at": time,
    "completed_at": time,
    "canceled_at": time,
    "error": string,
    "error_code": string,
    "status": string,
    "worker_id": uuid,
    "worker_name": string,
    "file_id": uuid,
    "tags": mapping,
    "queue_position": integer,
    "queue_size": integer,
    "organization_id": uuid,
    "initiator_id": uuid,
    "input": {"template_version_id": uuid, "workspace_build_id": uuid, "error": string},
    "type": string,
    "available_workers": [uuid],
    "metadata": {
        "template_version_name": string,
        "template_id": uuid,
        "template_name": string,
        "template_display_name": string,
        "template_icon": string,
        "workspace_id": uuid,
        "workspace_name": string,
    },
    "logs_overflowed": boolean,
}

WORKERS: Shape = {"count": integer, "available": integer, "most_recently_seen": time}

APP_STATUS: Shape = {
    "id": uuid,
    "created_at": time,
    "workspace_id": uuid,
    "agent_id": uuid,
    "app_id": uuid,
    "state": string,
    "message": string,
    "uri": string,
    "icon": string,
    "needs_user_attention": boolean,
}

APP: Shape = {
    "id": uuid,
    "url": string,
    "external": boolean,
    "slug": string,
    "display_name": string,
    "command": string,
    "icon": string,
    "subdomain": boolean,
    "sharing_level": string,
    "healthcheck": {"url": string, "interval": integer, "threshold": integer},
    "health": string,
    "hidden": boolean,
    "open_in": string,
    "statuses": [APP_STATUS],
}

AGENT: Shape = {
    "id": uuid,
    "parent_id": uuid,
    "created_at": time,
    "updated_at": time,
    "first_connected_at": time,
    "last_connected_at": time,
    "disconnected_at": time,
    "started_at": time,
    "ready_at": time,
    "status": string,
    "lifecycle_state": string,
    "name": string,
    "resource_id": uuid,
    "architecture": string,
    "environment_variables": mapping,
    "operating_system": string,
    "logs_length": integer,
    "logs_overflowed": boolean,
    "directory": string,
    "version": string,
    "api_version": string,
    "apps": [APP],
    "connection_timeout_seconds": integer,
    "troubleshooting_url": string,
    "subsystems": [string],
    "health": {"healthy": boolean, "reason": string},
    "display_apps": [string],
    "log_sources": [
        {
            "workspace_agent_id": uuid,
            "id": uuid,
            "created_at": time,
            "display_name": string,
            "icon": string,
        }
    ],
    "startup_script_behavior": string,
}

RESOURCE: Shape = {
    "id": uuid,
    "created_at": time,
    "job_id": uuid,
    "workspace_transition": string,
    "type": string,
    "name": string,
    "hide": boolean,
    "icon": string,
    "agents": [AGENT],
    "metadata": [{"key": string, "value": string, "sensitive": boolean}],
    "daily_cost": integer,
}

BUILD: Shape = {
    "id": uuid,
    "created_at": time,
    "updated_at": time,
    "workspace_id": uuid,
    "workspace_name": string,
    "workspace_owner_id": uuid,
    "workspace_owner_name": string,
    "template_version_id": uuid,
    "template_version_name": string,
    "build_number": integer,
    "transition": string,
    "initiator_id": uuid,
    "initiator_name": string,
    "job": JOB,
    "reason": string,
    "resources": [RESOURCE],
    "deadline": time,
    "max_deadline": time,
    "status": string,
    "daily_cost": integer,
    "matched_provisioners": WORKERS,
    "template_version_preset_id": uuid,
    "has_ai_task": boolean,
    "has_external_agent": boolean,
}

BUILD_OF_TASK: Shape = {"workspace_build": BUILD}

WORKSPACE: Shape = {
    "id": uuid,
    "created_at": time,
    "updated_at": time,
    "owner_id": uuid,
    "owner_name": string,
    "organization_id": uuid,
    "organization_name": string,
    "template_id": uuid,
    "template_name": string,
    "template_active_version_id": uuid,
    "latest_build": BUILD,
    "latest_app_status": APP_STATUS,
    "outdated": boolean,
    "name": string,
    "autostart_schedule": string,
    "ttl_ms": integer,
    "last_used_at": time,
    "deleting_at": time,
    "dormant_at": time,
    "health": {"healthy": boolean, "failing_agents": [uuid]},
    "automatic_updates": string,
    "favorite": boolean,
    "next_start_at": time,
    "task_id": uuid,
}

WORKSPACES: Shape = {"workspaces": [WORKSPACE], "count": integer}

JOB_LOG: Shape = {
    "id": integer,
    "created_at": time,
    "log_source": string,
    "log_level": string,
    "stage": string,
    "output": string,
}

AGENT_LOG: Shape = {
    "id": integer,
    "created_at": time,
    "output": string,
    "level": string,
    "source_id": uuid,
}

TEMPLATE: Shape = {
    "id": uuid,
    "created_at": time,
    "updated_at": time,
    "organization_id": uuid,
    "organization_name": string,
    "name": string,
    "display_name": string,
    "provisioner": string,
    "active_version_id": uuid,
    "active_user_count": integer,
    "description": string,
    "deprecated": boolean,
    "icon": string,
    "default_ttl_ms": integer,
    "activity_bump_ms": integer,
    "autostop_requirement": {"days_of_week": [string], "weeks": integer},
    "created_by_id": uuid,
    "created_by_name": string,
    "max_port_share_level": string,
}

VERSION: Shape = {
    "id": uuid,
    "template_id": uuid,
    "organization_id": uuid,
    "created_at": time,
    "updated_at": time,
    "name": string,
    "message": string,
    "job": JOB,
    "readme": string,
    "created_by": {"id": uuid, "username": string},
    "archived": boolean,
    "matched_provisioners": WORKERS,
}

PRESET: Shape = {
    "ID": uuid,
    "Name": string,
    "Parameters": [{"Name": string, "Value": string}],
    "Default": boolean,
    "DesiredPrebuildInstances": integer,
    "Description": string,
    "Icon": string,
}

PARAMETER: Shape = {
    "name": string,
    "display_name": string,
    "description": string,
    "type": string,
    "mutable": boolean,
    "default_value": string,
    "options": [{"name": string, "description": string, "value": string, "icon": string}],
    "validation_min": integer,
    "validation_max": integer,
    "required": boolean,
    "ephemeral": boolean,
}

ORGANIZATION: Shape = {
    "id": uuid,
    "name": string,
    "display_name": string,
    "icon": string,
    "description": string,
    "created_at": time,
    "updated_at": time,
    "is_default": boolean,
}

USER: Shape = {
    "id": uuid,
    "username": string,
    "name": string,
    "email": string,
    "created_at": time,
    "updated_at": time,
    "last_seen_at": time,
    "status": string,
    "login_type": string,
    "organization_ids": [uuid],
    "roles": [{"name": string, "display_name": string, "organization_id": string}],
}

API_KEY: Shape = {
    "id": string,
    "user_id": uuid,
    "last_used": time,
    "expires_at": time,
    "created_at": time,
    "updated_at": time,
    "login_type": string,
    "scope": string,
    "scopes": [string],
    "token_name": string,
    "lifetime_seconds": integer,
    "username": string,
}

BUILD_INFO: Shape = {
    "external_url": string,
    "version": string,
    "dashboard_url": string,
    "telemetry": boolean,
    "workspace_proxy": boolean,
    "agent_api_version": string,
    "provisioner_api_version": string,
    "upgrade_message": string,
    "deployment_id": string,
}

# What the GitHub action demands: each key there, of its type, null nowhere. Source: clients 3.

ACTION_USERS: Shape = {
    "users": [{"id": uuid, "username": string, "email": email, "organization_ids": [uuid]}]
}
ACTION_TEMPLATE: Shape = {
    "id": uuid,
    "organization_id": uuid,
    "active_version_id": uuid,
    "name": string,
}
ACTION_PRESETS: Shape = [{"ID": uuid, "Name": string, "Default": boolean}]
ACTION_TASK: Shape = {
    "id": uuid,
    "owner_id": uuid,
    "template_id": uuid,
    "name": filled,
    "created_at": string,
    "updated_at": string,
    "status": one_of("pending", "initializing", "active", "paused", "unknown", "error"),
    "current_state": lambda state: (
        state is None or state["state"] in ("idle", "working", "complete", "failed")
    ),
}
ACTION_TASKS: Shape = {"tasks": [ACTION_TASK]}
