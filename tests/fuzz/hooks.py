"""What schemathesis must be told in Python, beside what it must note for us. It loads this file by its path."""

import io
import itertools
import os
import tarfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st


def archive(text: bytes) -> bytes:
    """A tar with one file, which is a template when the text is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("taskyard.toml")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


ARCHIVES = st.one_of(st.binary(max_size=2000), st.binary(max_size=200).map(archive))

for media_type in ("application/x-tar", "application/zip"):
    schemathesis.openapi.media_type(media_type, ARCHIVES)

_ASKED: set[str] = set()

_KEY = "Idempotency-Key"
_NUMBERS = itertools.count()


@schemathesis.hook
def before_call(_context: object, case: schemathesis.Case[Any], **_arguments: object) -> None:
    """Notes which operations are asked, in the file that ASKED names, and makes most keys of requests new ones.

    Keys made at random are so short that each was used before: nearly all requests would be refused for that alone.
    """
    headers = case.headers
    key = headers.get(_KEY) if headers else None
    if isinstance(key, str) and len(key) < 200 and next(_NUMBERS) % 4:
        headers[_KEY] = f"{key}{uuid4().hex}"
    label = case.operation.label
    if label not in _ASKED:
        _ASKED.add(label)
        with Path(os.environ["ASKED"]).open("a", encoding="utf-8") as file:
            print(label, file=file)
