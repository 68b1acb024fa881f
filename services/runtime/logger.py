"""Where services log what happens. A command tells what is wrong by itself, and need not load what logs."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


class Logger:
    """Logs events where it was told to; until then nothing. What it is given must hold nothing that patients said."""

    def __init__(self) -> None:
        """Log nothing yet."""
        self._target: BoundLogger | None = None

    def log_to(self, target: "BoundLogger") -> None:
        """Log there from now on."""
        self._target = target

    def info(self, event: str, **told: object) -> None:
        """Log what goes as it should."""
        if self._target is not None:
            self._target.info(event, **told)

    def warning(self, event: str, **told: object) -> None:
        """Log what somebody may have to look at."""
        if self._target is not None:
            self._target.warning(event, **told)

    def error(self, event: str, **told: object) -> None:
        """Log what somebody has to mend."""
        if self._target is not None:
            self._target.error(event, **told)


logger: Final = Logger()
