"""How checkpoints are to be signed by themselves: the options that say so, for what signs and for what looks at it."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from services.cli.home import Failure

KEY: Final = "ONTRACK_SEAL_KEY_FILE"
DIRECTORY: Final = "ONTRACK_SEAL_DIRECTORY"
MINUTES: Final = "ONTRACK_SEAL_MINUTES"
TOGETHER: Final = "--seal-key and --checkpoints belong together: both were expected, or none"
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sealing:
    """By which key checkpoints are signed, where they are kept, and how often; None: that was not said.

    minutes: as it was said, be that a number or not
    """

    key: Path | None = None
    kept: Path | None = None
    minutes: str | None = None

    @classmethod
    def said(cls, key: Path | None, kept: Path | None) -> "Sealing":
        """Give what a command was told, and how often from the setting."""
        return cls(key, kept, os.environ.get(MINUTES) or None)

    @property
    def is_meant(self) -> bool:
        """Whether somebody is to sign checkpoints by themselves."""
        return self != Sealing()

    @property
    def is_half(self) -> bool:
        """Whether a key was named without a directory, or a directory without a key: nothing signs with one alone."""
        return (self.key is None) != (self.kept is None)

    def every(self) -> timedelta:
        """Give after how much time a checkpoint is signed, if anything was recorded. Raises Failure."""
        if self.minutes is None:
            return _HOUR
        with suppress(ValueError, OverflowError):
            if (found := timedelta(minutes=float(self.minutes))) > timedelta():
                return found
        raise Failure(f"{MINUTES}: a number above 0 was expected")


def missing(kept: Path) -> tuple[str, str]:
    """Say that the directory for checkpoints is not there, and what to do."""
    makes = f"mount its disk, or make it: mkdir -m 700 {kept}"
    return f"{kept} is not there", f"{makes}. Until then ontrack up starts only without a key and this directory"


def sealing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command be told by which key checkpoints are signed, and where they are kept."""
    key = click.option(
        "--seal-key",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=KEY,
        help=f"Checkpoints of the log are signed with this key, which ontrack audit key makes (or set {KEY}).",
    )
    kept = click.option(
        "--checkpoints",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=DIRECTORY,
        help=f"The directory in which they are, for somebody else to keep (or set {DIRECTORY}).",
    )
    return key(kept(command))
