"""Where log lines go: stderr, as text for people or as JSON for machines."""

import logging
import sys

import structlog

from taskyard.config import LogFormat, Settings

LIBRARIES = logging.WARNING
"""The level from which on libraries are heard: below it they tell of each connection."""

DENIED = "ASGI callable returned without completing handshake."
"""What uvicorn says of each WebSocket that we refuse with a status: anybody could fill the log with it."""


def configure_logs(settings: Settings) -> None:
    """Sets up structlog for this process; levels below the configured one cost next to nothing.

    What libraries log, and Python's own warnings, look like lines of ours, with a `logger`.
    """
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering = _rendering(settings.log_format)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.msg != DENIED)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, LIBRARIES), force=True)
    logging.captureWarnings(capture=True)


def _rendering(log_format: LogFormat) -> list[structlog.typing.Processor]:
    """From the facts of an event to its line. Without local variables, which may hold what users typed."""
    if log_format is LogFormat.JSON:
        facts = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(facts),
            structlog.processors.JSONRenderer(),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
