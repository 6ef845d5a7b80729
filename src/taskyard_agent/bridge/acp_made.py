"""A session over ACP and its keeper, put together."""

from taskyard_agent.acp_permissions import Policy
from taskyard_agent.bridge.acp_keeper import AcpKeeper
from taskyard_agent.bridge.acp_session import CANCEL_S, AcpSession
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.permissions import Permissions
from taskyard_agent.bridge.tools import ToolCalls
from taskyard_agent.bridge.updates import Updates


def make_acp(parts: Parts, *, cancel_s: float = CANCEL_S) -> tuple[AcpSession, AcpKeeper]:
    """The session, and who keeps an agent behind it. cancel_s: that a cancelled turn has to end."""
    agent = parts.place.agent
    permissions = Permissions(parts.record, Policy(agent.permissions), agent.permission_timeout_s)
    tools = ToolCalls(parts.tool_bytes, shown=parts.inline_tools)
    updates = Updates(parts.record, permissions, parts.log, tools)
    session = AcpSession(parts.record, parts.file, updates, parts.tasks, cancel_s=cancel_s)
    if parts.cut_off:
        session.turn_was_cut_off()
    session.first = parts.first or None
    return session, AcpKeeper(parts, session)
