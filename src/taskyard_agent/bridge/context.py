"""What a coding agent is told of a conversation that it does not remember. Source: N16."""

from collections.abc import Sequence

from taskyard_agent.bridge.messages import USER, Message

CONTEXT_CHARS = 16_000
"""Characters of the whole: some 4,000 tokens, which every model takes beside its own instructions."""

MESSAGE_CHARS = 4_000
"""Characters of one message in it; of a longer one its beginning and its end are quoted."""

_HEAD = (
    "[Taskyard: your memory of this conversation was lost. What follows is the end of it, as it "
    "was recorded, oldest first. Your work so far lies in the folder that you are in: look there "
    "before you do anything again. The new message comes after this block.]"
)
_TAIL = "[Taskyard: end of the record.]"
_CUT = "\n[…]\n"


def summary(messages: Sequence[Message]) -> str | None:
    """A block for the next prompt, of the newest messages that fit; None when nothing was said."""
    told: list[str] = []
    room = CONTEXT_CHARS
    for message in reversed(messages):
        text = message.content.strip()
        if not text:
            continue
        who = "The user wrote" if message.role == USER else "You answered"
        entry = f"{who}:\n{_quoted(text)}"
        if len(entry) > room:
            break
        room -= len(entry)
        told.append(entry)
    if not told:
        return None
    return "\n\n".join([_HEAD, *reversed(told), _TAIL])


def _quoted(text: str) -> str:
    if len(text) <= MESSAGE_CHARS:
        return text
    half = (MESSAGE_CHARS - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]
