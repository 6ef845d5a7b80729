"""Bodies of requests for the OpenAPI document and its page: what somebody who tries an operation might send."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_VERSION: Final = "7c0d3f52-54f0-4a3e-8b8e-6a1c6f2f9d11"
_TEMPLATE: Final = "2f9f2f4e-3a66-4c0b-9a1f-0d3f6b1c8e70"
_FILE: Final = "b1d5c7a0-9a4e-4f38-8d6a-5e0c2f7a1b93"

REQUESTS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "create_task": {"template_version_id": _VERSION, "input": "Rank the words of this tree."},
        "update_task": {"display_name": "Rank all words"},
        "update_task_input": {"input": "Rank the words of this tree, longest first."},
        "send_task_input": {"input": "Now do it for the other folder."},
        "answer_task_permission": {"option_id": "allow_once"},
        "update_task_prompt": {"position": 1},
        "create_app_ticket": {"path": "/docs?page=1"},
        "push_task": {"commit": "Rank the words", "force_with_lease": False},
        "set_user_secret": {"value": "sk-0123456789abcdef"},
        "set_organization_secret": {"value": "sk-0123456789abcdef"},
        "set_template_secret": {"value": "sk-0123456789abcdef"},
        "upload_task_log_snapshot": {
            "messages": [
                {
                    "id": 0,
                    "content": "Rank the words of this tree.",
                    "role": "user",
                    "time": "2026-03-01T09:30:00Z",
                }
            ]
        },
        "update_app_status": {"app_slug": "agent", "state": "working", "message": "Reads the tree"},
        "create_log_source": {"display_name": "Start script", "icon": ""},
        "append_agent_logs": {
            "logs": [
                {"created_at": "2026-03-01T09:30:00Z", "output": "cloning", "level": "info"},
            ]
        },
        "create_first_user": {
            "username": "ada",
            "email": "ada@example.com",
            "password": "correct horse battery staple",
        },
        "login": {"email": "ada@example.com", "password": "correct horse battery staple"},
        "create_user": {
            "username": "grace",
            "email": "grace@example.com",
            "login_type": "password",
            "password": "another long sentence",
        },
        "update_user": {"name": "Grace Hopper", "github_com_user_id": 583231},
        "update_user_profile": {"username": "grace", "name": "Grace Hopper"},
        "update_user_password": {
            "old_password": "another long sentence",
            "password": "a third and longer sentence",
        },
        "update_user_roles": {"roles": ["template-admin"]},
        "create_token": {"token_name": "deploy", "lifetime": 604_800_000_000_000},
        "create_organization": {"name": "research", "display_name": "Research"},
        "update_organization": {"description": "Studies of ours", "max_running": 20},
        "update_member_roles": {"roles": ["organization-admin"]},
        "create_template": {"name": "words", "template_version_id": _VERSION},
        "update_template": {"display_name": "Words", "default_ttl_ms": 3_600_000},
        "archive_template_versions": {"all": False},
        "promote_template_version": {"id": _VERSION},
        "create_template_version": {
            "storage_method": "file",
            "file_id": _FILE,
            "provisioner": "echo",
            "template_id": _TEMPLATE,
        },
        "update_template_version": {"name": "v2", "message": "Ranks by length"},
        "create_workspace": {"name": "words", "template_id": _TEMPLATE},
        "create_member_workspace": {"name": "words", "template_id": _TEMPLATE},
        "create_workspace_build": {"transition": "start"},
        "set_workspace_ttl": {"ttl_ms": 3_600_000},
        "extend_workspace": {"deadline": "2026-03-01T18:00:00Z"},
    }
)
"""By operation. Tests read each as its type."""
