"""What the shutdown script of the agentapi module does: keeps the end of the conversation. Source: clients 4."""

import json
from typing import Final

from tests.clients.caller import Answer, Caller
from tests.clients.strict import Json

KEPT_MESSAGES: Final = 10
KEPT_BYTES: Final = 65_536
KEPT_CHARACTERS: Final = 57_344
"""How much of a conversation is uploaded: messages, bytes of JSON, characters of a message that stands alone."""

NOTICE: Final = "[...the beginning is left out...]\n\n"
"""What stands before a message that was cut."""


def payload_of(conversation: Json) -> bytes | None:
    """The body of the upload; None when there is nothing to keep. Keys beside `messages` stay."""
    messages = conversation["messages"][-KEPT_MESSAGES:]
    if not messages:
        return None

    def encoded() -> bytes:
        return json.dumps({**conversation, "messages": messages}).encode()

    while len(encoded()) > KEPT_BYTES and len(messages) > 1:
        messages = messages[1:]
    if len(encoded()) > KEPT_BYTES:
        cut = NOTICE + messages[0]["content"][-KEPT_CHARACTERS:]
        messages = [{**messages[0], "content": cut}]
    return encoded()


def upload(agent_url: str, agent_token: str, task_id: str, conversation: Json) -> Answer | None:
    """What the server says; None when nothing was sent. The URL and the path are joined by a slash, whatever ends it."""
    payload = payload_of(conversation)
    if payload is None:
        return None
    server, slash, rest = agent_url.partition("://")
    host, _, path = rest.partition("/")
    target = f"/{path}/api/v2/workspaceagents/me/tasks/{task_id}/log-snapshot?format=agentapi"
    if not agent_url.endswith("/"):
        target = target.removeprefix("/")
    headers = {"Coder-Session-Token": agent_token, "Content-Type": "application/json"}
    return Caller(f"{server}{slash}{host}", headers).call("POST", target, raw=payload)
