"""Brings the journal's items to the server, each once in its store, whatever breaks in between."""

import asyncio

import msgspec

from taskyard_agent.journal import Journal
from taskyard_agent.link import Link
from taskyard_agent.mux import CallFailed
from taskyard_agent.protocol import Item, ItemKind, Items, ItemsStored, SentItem
from taskyard_agent.reports import STALE, Stale

BATCH_ITEMS = 500
BATCH_BYTES = 256 * 1024
"""Most of one call; an item that is larger goes alone."""

ITEM_BYTES = 768 * 1024
"""Bytes of an item that fit into a frame of the link for sure; a larger one goes as its beginning."""

BEGINNING_CHARS = 100_000
"""Characters sent of a message that is too large; with escapes, six times as many bytes at the worst."""

ITEMS_MISSING = "items_missing"
"""Code of a refusal: there is a gap before these items, which this journal cannot fill."""


class _Message(msgspec.Struct):
    prompt_id: str | None = None
    text: str = ""


class Pusher:
    """Sends what is above `acked`, in order, one call at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._journal.held_above = 0  # what the server does not hold must not go
        self._acked = 0
        self._moved = asyncio.Event()

    async def run(self, link: Link, acked: int) -> None:
        """Pushes until cancelled; returns only when the server cannot take any more.

        Raises Stale, or LinkError: the next connection goes on from what the server holds then.
        """
        self._advance(acked)
        while True:
            await self._journal.wait_beyond(self._acked)
            items = batch(self._journal.read(self._acked, BATCH_ITEMS))
            try:
                stored = await link.call(
                    "items", Items([SentItem.of(item) for item in items]), ItemsStored
                )
            except CallFailed as error:
                if error.code == STALE:
                    raise Stale from error
                if error.code == ITEMS_MISSING:
                    return
                raise
            self._advance(stored.acked_seq)

    async def done(self) -> None:
        """Returns once the server holds everything."""
        while self._acked < self._journal.last_seq:
            self._moved.clear()
            await self._moved.wait()

    def _advance(self, acked: int) -> None:
        self._acked = self._journal.held_above = acked
        self._moved.set()


def batch(items: list[Item]) -> list[Item]:
    """As many of the items as fit into one call, at least one."""
    taken: list[Item] = []
    size = 0
    for item in items:
        size += len(bytes(item.data))
        if taken and size > BATCH_BYTES:
            break
        taken.append(fitting(item))
    return taken


def fitting(item: Item) -> Item:
    """The item, or what stands for it when it is too large for the link."""
    size = len(bytes(item.data))
    if size <= ITEM_BYTES:
        return item
    reason = "This item is too large for the link; it is whole in the workspace's own transcript."
    if item.kind is not ItemKind.USER_MESSAGE:
        data = msgspec.json.encode({"reason": reason, "bytes": size})
        return msgspec.structs.replace(item, kind=ItemKind.GAP, data=msgspec.Raw(data))
    message = msgspec.json.decode(item.data, type=_Message)
    message.text = f"{message.text[:BEGINNING_CHARS]}\n[{size} bytes in all. {reason}]"
    return msgspec.structs.replace(item, data=msgspec.Raw(msgspec.json.encode(message)))
