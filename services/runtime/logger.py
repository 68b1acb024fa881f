"""What services log with: structlog, which is loaded with the first line. Most commands log none, and start sooner."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


def info(event: str, **told: object) -> None:
    """Log what goes as it should."""
    _structlog().info(event, **told)


def warning(event: str, **told: object) -> None:
    """Log what somebody may have to look at."""
    _structlog().warning(event, **told)


def error(event: str, **told: object) -> None:
    """Log what somebody has to mend."""
    _structlog().error(event, **told)


@cache
def _structlog() -> "BoundLogger":
    import structlog  # noqa: PLC0415 - see above

    logger: BoundLogger = structlog.get_logger()
    return logger
