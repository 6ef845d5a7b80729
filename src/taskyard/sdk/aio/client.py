"""The asyncio client."""

from taskyard.sdk.aio.audit import AsyncAuditCalls
from taskyard.sdk.aio.identity import AsyncIdentityCalls
from taskyard.sdk.aio.secrets import AsyncSecretCalls
from taskyard.sdk.aio.streams import AsyncStreamCalls
from taskyard.sdk.aio.tasks import AsyncTaskCalls
from taskyard.sdk.aio.templates import AsyncTemplateCalls
from taskyard.sdk.aio.workspaces import AsyncWorkspaceCalls


class AsyncClient(
    AsyncAuditCalls,
    AsyncIdentityCalls,
    AsyncSecretCalls,
    AsyncStreamCalls,
    AsyncTaskCalls,
    AsyncTemplateCalls,
    AsyncWorkspaceCalls,
):
    """Every operation of a server as a coroutine."""
