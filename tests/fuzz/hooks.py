"""What schemathesis must be told in Python, beside what it must note for us. It loads this file by its path."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

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


@schemathesis.hook
def before_call(_context: object, case: schemathesis.Case[Any], **_arguments: object) -> None:
    """Notes which operations are asked, in the file that ASKED names."""
    label = case.operation.label
    if label not in _ASKED:
        _ASKED.add(label)
        with Path(os.environ["ASKED"]).open("a", encoding="utf-8") as file:
            print(label, file=file)
