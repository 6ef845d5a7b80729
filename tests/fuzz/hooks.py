"""What schemathesis must be told in Python: how archives of templates are made. It loads this file by its path."""

import io
import tarfile

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
