"""Where the transcript of a task ends that grows without end: a workspace must not fill the disk."""

from collections.abc import Sequence

import msgspec

from taskyard.wire import link

FULL_BYTES = 256 * 1024 * 1024
"""Bytes of one task's items: four times what a workspace keeps of its own. Long tasks of coding agents have a few MiB."""

LAST_BYTES = FULL_BYTES + 16 * 1024 * 1024
"""Up to here come small items that tell what the coding agent does: some 100,000 of them. Then nothing is stored."""

SMALL_BYTES = 8 * 1024
"""Bytes of such an item; a prompt or a question to a person that is longer is not kept any more."""

ITEM_BYTES = 128
"""What each item takes beside its data: numbers, times and its place in the index."""

TELLING = frozenset(
    {
        link.ItemKind.STATE,
        link.ItemKind.REPORT,
        link.ItemKind.USER_MESSAGE,
        link.ItemKind.TURN_END,
        link.ItemKind.PERMISSION_REQUEST,
        link.ItemKind.PERMISSION_RESPONSE,
        link.ItemKind.AGENT_EXIT,
    }
)
"""Kinds without which a task that is full would seem to stand still."""


def size_of(items: Sequence[link.SentItem]) -> int:
    """Bytes that the items take."""
    return sum(len(item.data) + ITEM_BYTES for item in items)


def fitting(items: Sequence[link.SentItem], held_bytes: int) -> tuple[Sequence[link.SentItem], int]:
    """Those of the items that are still stored, and how many bytes the transcript holds then.

    Where it becomes full, one item says so; from then on only what is small and tells of the state is taken.
    """
    whole = held_bytes + size_of(items)
    if whole <= FULL_BYTES:
        return items, whole
    kept = [] if held_bytes > FULL_BYTES else [_full(items[0])]
    whole = max(held_bytes, FULL_BYTES + 1)
    for item in items[len(kept) :]:
        size = size_of([item])
        if item.kind in TELLING and len(item.data) <= SMALL_BYTES and whole + size <= LAST_BYTES:
            kept.append(item)
            whole += size
    return kept, whole


def _full(item: link.SentItem) -> link.SentItem:
    reason = (
        f"The transcript of this task is full: it holds {FULL_BYTES // 1024**2} MiB. What the coding agent says from "
        "here on is in its workspace only. Go on in a new task."
    )
    data = msgspec.json.encode({"reason": reason, "bytes": FULL_BYTES})
    return msgspec.structs.replace(item, kind=link.ItemKind.GAP, data=data)
