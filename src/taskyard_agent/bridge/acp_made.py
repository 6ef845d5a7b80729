"""A session over ACP and its keeper, put together."""

from taskyard_agent.acp_permissions import Policy
from taskyard_agent.bridge.acp_keeper import AcpKeeper
from taskyard_agent.bridge.acp_session import CANCEL_S, CONTINUE, AcpSession
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.permissions import Permissions
from taskyard_agent.bridge.session import TRIM
from taskyard_agent.bridge.updates import Updates


def make_acp(parts: Parts, *, cancel_s: float = CANCEL_S) -> tuple[AcpSession, AcpKeeper]:
    """The session, and who keeps an agent behind it. cancel_s: that a cancelled turn has to end."""
    agent = parts.place.agent
    permissions = Permissions(parts.record, Policy(agent.permissions), agent.permission_timeout_s)
    updates = Updates(parts.record, permissions, parts.log)
    session = AcpSession(parts.record, parts.file, updates, parts.tasks, cancel_s=cancel_s)
    if parts.cut_off:
        session.turn_was_cut_off()
        if parts.place.on_interrupted == "continue":
            session.first = CONTINUE
    prompt = parts.life.prompt.strip(TRIM)
    if prompt and prompt != parts.file.session.initial_prompt:
        session.first = prompt
    return session, AcpKeeper(parts, session)
