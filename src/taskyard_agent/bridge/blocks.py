"""Content blocks of a prompt: what of them people see, and what of them is kept."""

from collections.abc import Sequence

import msgspec

from taskyard_agent.acp_messages import peek
from taskyard_agent.bridge.tools import RAW_BYTES, cut


class _Resource(msgspec.Struct, frozen=True):
    uri: str = ""


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    name: str = ""
    uri: str = ""
    resource: _Resource = _Resource()


def shown_text(blocks: Sequence[msgspec.Raw]) -> str:
    """The prompt as a message: its text, and a word for everything that is none."""
    return "\n".join(_shown(peek(block, _Block) or _Block()) for block in blocks)


def _shown(block: _Block) -> str:
    if block.type == "text":
        return block.text
    name = block.name or block.uri or block.resource.uri
    return f"[{block.type or 'block'}: {name}]" if name else f"[{block.type or 'block'}]"


def stored_blocks(blocks: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """The blocks for the transcript, each of a bounded size."""
    return [cut(block, RAW_BYTES // max(1, len(blocks))) for block in blocks]
