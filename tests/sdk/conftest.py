"""A server for all tests of the clients, and both clients behind one face."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskyard.sdk import AsyncClient, Client
from tests.sdk.yard_kit import Yard, running

Ask = Callable[..., Any]
"""Gives what a function of a client gives, with everything that comes one after another as a list."""


@pytest.fixture(scope="session")
def yard(postgres_url: str) -> Iterator[Yard]:
    """A server of this process's tests; they only add to it."""
    with running(postgres_url) as found:
        yield found


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Calls a function with a client, blocking or not, of the given address and token."""
    return ask_blocking if request.param == "blocking" else ask_asyncio


def ask_blocking(do: Callable[[Any], Any], *place: str, **settings: Any) -> Any:
    with Client(*place, **settings) as client:
        found = do(client)
        return list(found) if inspect.isgenerator(found) else found


def ask_asyncio(do: Callable[[Any], Any], *place: str, **settings: Any) -> Any:
    async def run() -> Any:
        async with AsyncClient(*place, **settings) as client:
            found = do(client)
            return [item async for item in found] if inspect.isasyncgen(found) else await found

    return asyncio.run(run())
