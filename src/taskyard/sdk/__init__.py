"""A typed client of a Taskyard server, or of any server that speaks the same Tasks API.

`Client` blocks, `AsyncClient` does not; both have one method for each operation of wire/routes.py.
"""

from typing import TYPE_CHECKING

from taskyard.sdk.client import Client
from taskyard.sdk.errors import AnswerInvalid, ApiError, SdkError, Unreachable

if TYPE_CHECKING:
    from taskyard.sdk.aio.client import AsyncClient

__all__ = ["AnswerInvalid", "ApiError", "AsyncClient", "Client", "SdkError", "Unreachable"]


def __getattr__(name: str) -> object:
    """AsyncClient on first use: aiohttp takes longer to import than most commands take to run."""
    if name == "AsyncClient":
        # Imported on use, for the reason above.
        from taskyard.sdk.aio.client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
