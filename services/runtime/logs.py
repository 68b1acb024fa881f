"""How a service logs: one line an event, as text or as JSON. Case ids may stand there, what patients said never."""

import logging
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from services.runtime.faults import place_of
from services.runtime.logger import logger

QUIET: Final = ("aiokafka", "pymongo", "faststream", "uvicorn", "opentelemetry", "urllib3")
"""Libraries that say one thing a thousand times while a broker is away; what is wrong is told by the service itself."""


def set_up_logs(form: Literal["text", "json"], level: str) -> None:
    """Log from `level` on to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _first_line],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_words, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    logger.log_to(structlog.get_logger())
    hush()


def hush() -> None:
    """Let the libraries be silent."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the first line of what a library says: below it asyncio writes errors with their messages."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _without_words(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say of an error what it is and where it came from; its message could hold what a patient wrote."""
    told = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__ if error.__traceback__ is None else place_of(error)
    return event
