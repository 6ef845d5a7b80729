"""Log lines: whoever writes them, libraries included, they have the shape that was asked for."""

import json
import subprocess
import sys

import pytest

SAYING = """
import logging, sys, warnings
import structlog
from taskyard.config import LogFormat, Settings
from taskyard.daemon.logs import configure_logs
configure_logs(Settings(data_dir="/nowhere", log_format=LogFormat(sys.argv[1])))
structlog.get_logger().info("ours", count=1)
logging.getLogger("asyncio").error("a library's %s", "word")
logging.getLogger("uvicorn.error").info("too much detail")
secret = "hunter2"
try:
    raise ValueError("a library's trouble")
except ValueError:
    logging.getLogger("uvicorn.error").exception("it failed")
warnings.warn("beware", stacklevel=1)
"""


def said(log_format: str) -> str:
    """What a process that logs in this format says."""
    argv = [sys.executable, "-c", SAYING, log_format]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stderr


def test_every_line_is_json() -> None:
    """Ours, a library's, its exceptions and Python's warnings; details of libraries are left out."""
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [(line["level"], line.get("logger")) for line in lines] == [
        ("info", None),
        ("error", "asyncio"),
        ("error", "uvicorn.error"),
        ("warning", "py.warnings"),
    ]
    assert lines[1]["event"] == "a library's word"
    assert lines[2]["exception"][0]["exc_value"] == "a library's trouble"
    assert all(line["timestamp"] for line in lines)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_local_variables_stay_inside(log_format: str) -> None:
    """What users typed may be in them."""
    text = said(log_format)
    assert "a library's trouble" in text
    assert '"hunter2"' not in text.replace('secret = "hunter2"', "")
