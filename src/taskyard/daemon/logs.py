"""Where log lines go: stderr, as text for people or as JSON for machines."""

import logging
import sys

import structlog

from taskyard.config import LogFormat, Settings


def configure_logs(settings: Settings) -> None:
    """Sets up structlog for this process; levels below the configured one cost next to nothing."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    is_json = settings.log_format is LogFormat.JSON
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Without local variables, which may hold what users typed.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    traceback: list[structlog.typing.Processor] = (
        [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            )
        ]
        if is_json
        else []
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *traceback,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
