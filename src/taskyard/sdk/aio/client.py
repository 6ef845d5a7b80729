"""The asyncio client."""

from taskyard.sdk.aio.identity import AsyncIdentityCalls
from taskyard.sdk.aio.secrets import AsyncSecretCalls
from taskyard.sdk.aio.tasks import AsyncTaskCalls
from taskyard.sdk.aio.templates import AsyncTemplateCalls
from taskyard.sdk.aio.workspaces import AsyncWorkspaceCalls


class AsyncClient(
    AsyncIdentityCalls, AsyncSecretCalls, AsyncTaskCalls, AsyncTemplateCalls, AsyncWorkspaceCalls
):
    """Every operation of a server as a coroutine."""
