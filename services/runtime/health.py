"""How a service is, and why: what it says to whoever asks whether it is alive and ready."""

from dataclasses import dataclass, field

import structlog

_LOG = structlog.get_logger()


@dataclass(slots=True)
class Health:
    """How a service is.

    troubles: what keeps it from going on, by where that is
    waits_for: why it is not ready although nothing is wrong
    """

    troubles: dict[str, str] = field(default_factory=dict)
    waits_for: list[str] = field(default_factory=lambda: ["it has just been started"])

    def set(self, where: str, why: str | None) -> None:
        """Say what is wrong somewhere, or that nothing is."""
        if why is None:
            if self.troubles.pop(where, None) is not None:
                _LOG.info("trouble-is-gone", where=where)
        elif self.troubles.get(where) != why:
            self.troubles[where] = why
            _LOG.warning("trouble", where=where, why=why)

    def alive(self) -> list[str]:
        """Tell why it does not go on; nothing if it does."""
        return [f"{where}: {why}" for where, why in sorted(self.troubles.items())]

    def ready(self) -> list[str]:
        """Tell why it is not ready; nothing if it is."""
        return [*self.alive(), *self.waits_for]
