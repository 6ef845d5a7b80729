"""The blocking client."""

from taskyard.sdk.audit import AuditCalls
from taskyard.sdk.identity import IdentityCalls
from taskyard.sdk.secrets import SecretCalls
from taskyard.sdk.streams import StreamCalls
from taskyard.sdk.tasks import TaskCalls
from taskyard.sdk.templates import TemplateCalls
from taskyard.sdk.workspaces import WorkspaceCalls


class Client(
    AuditCalls, IdentityCalls, SecretCalls, StreamCalls, TaskCalls, TemplateCalls, WorkspaceCalls
):
    """Every operation of a server as a method that waits for its answer."""
