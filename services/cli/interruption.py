"""Ctrl-C: a command ends between two steps, never inside one.

By itself Python raises wherever the program happens to be, and not every place lets that through: where a number is
made a text, pydantic takes an error for a text that cannot be had, writes that, and goes on. It would stand on the log.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

INTERRUPTED: Final = 130
_SHOW_CURSOR: Final = "\x1b[?25h"

_asked: list[int] = []


class Interrupted(click.ClickException):
    """Somebody has pressed Ctrl-C. The exit code is that of no finding and no bad use."""

    exit_code = INTERRUPTED

    def __init__(self) -> None:
        """Say what that means."""
        super().__init__("interrupted. Nothing is lost: give the same command again.")


@contextmanager
def between_steps() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM, and SIGHUP where it is not ignored, wait until somebody heeds them.

    A second one ends the process at once, which is as safe as a kill: whatever has been written is whole. But SIGHUP
    comes twice where a terminal goes, from it and from its shell.
    """
    is_heard = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    numbers = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if is_heard else []))
    before = {number: signal.signal(number, _ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heed() -> None:
    """End here if somebody has asked for it. Raises KeyboardInterrupt."""
    if was_asked():
        raise KeyboardInterrupt


def was_asked() -> bool:
    """Tell whether somebody has asked for an end since it was heeded last; whoever is told heeds it."""
    asked = bool(_asked)
    _asked.clear()
    return asked


def is_asked() -> bool:
    """Tell whether somebody has asked for an end; who asks again while that is under way ends the process at once."""
    return bool(_asked)


def _ask(number: int, _frame: FrameType | None) -> None:
    if _asked and number != signal.SIGHUP:
        shown = _SHOW_CURSOR if sys.stderr.isatty() else ""
        os.write(2, f"{shown}\nStopped at once. Nothing is lost.\n".encode())
        os._exit(INTERRUPTED)
    _asked.append(number)
