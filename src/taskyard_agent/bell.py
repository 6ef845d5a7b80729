"""Waking those who wait for something to change, without a task or a timer."""

import asyncio


class Bell:
    """Rung by whoever changes something; each who waits looks for itself what it was."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Everybody who waits now goes on; nobody who waits later hears of it."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def rung(self) -> None:
        """Returns at the next ring."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
