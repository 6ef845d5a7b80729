"""Why there is no connection, as the relay says it to programs and to the log."""

import msgspec

from taskyard_agent.splice import HELD_BYTES, End


class Answer(msgspec.Struct, frozen=True):
    """Why there is no connection: the answer of the relay as it came, and what it says."""

    whole: bytes
    sentence: str


def answer_of(status: int, phrase: str, sentence: str) -> Answer:
    """An answer of our own, in the relay's shape."""
    body = f"{sentence}\n".encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return Answer(head.encode() + body, sentence)


async def read_answer(end: End, head: bytes) -> Answer:
    """The whole answer that begins with this head; the connection is over then."""
    body = b""
    while len(body) < HELD_BYTES and (piece := await end.read()):
        body += piece
    end.abort()
    return Answer(head + body, body.decode(errors="replace").strip()[:1000])
