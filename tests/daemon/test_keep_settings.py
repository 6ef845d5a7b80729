"""How long things are kept: what the settings take, and that they say what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from taskyard.config import Settings, keep_for, load_settings
from taskyard.errors import StartupError

NAMES = [name for name in Settings.__struct_fields__ if name.startswith("keep_")]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30d", timedelta(days=30)),
        ("1d12h", timedelta(hours=36)),
        ("90s", timedelta(seconds=90)),
        ("forever", None),
    ],
)
def test_times(text: str, span: timedelta | None) -> None:
    """A time as people write it, or for ever."""
    assert keep_for(text) == span


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["30", "d", "-1d", "0s", "100000d", "never", "1w"])
def test_times_that_are_none(tmp_path: Path, name: str, text: str) -> None:
    """The server does not start, and says which setting it is, what it holds, and how to write it."""
    with pytest.raises(StartupError, match=f"{name} is '{text}', but takes a time like"):
        load_settings({"data_dir": str(tmp_path), name: text}, {}, None)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("keep_idempotency", "forever", "not kept for ever"),
        ("keep_audit", "23h", "at least"),
        ("max_tokens_per_user", "0", "at least 1"),
        ("max_files_bytes_per_user", "0", "at least 1"),
    ],
)
def test_limits(tmp_path: Path, name: str, text: str, words: str) -> None:
    """What would make no sense is refused at the start."""
    with pytest.raises(StartupError, match=rf"{name} is .*{words}"):
        load_settings({"data_dir": str(tmp_path)}, {f"TASKYARD_{name.upper()}": text}, None)
