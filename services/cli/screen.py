"""The screen that a command prints on: how large it is, whether it shows colour, and text made fit for it."""

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import click

from services.cli.zone import clinic_zone, local

COLUMNS: Final = 80
LINES: Final = 24
WIDEST: Final = 120
"""Lines longer than this are hard to read, however wide the screen is."""

_GAP: Final = "   "
_UNSAFE: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})


def is_terminal() -> bool:
    """Tell whether a person looks at what is printed, not a file or another program."""
    return sys.stdout.isatty()


def size() -> tuple[int, int]:
    """Give how many columns and lines there are to fill."""
    if not is_terminal():
        return COLUMNS, LINES
    found = shutil.get_terminal_size((COLUMNS, LINES))
    return min(found.columns, WIDEST), found.lines


def painted(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """Give text a colour, where there is a terminal and nobody has asked for none (NO_COLOR)."""
    if not is_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def heading(text: str) -> Iterator[str]:
    """Give the lines that set a part of a text apart from the one above."""
    yield ""
    yield painted(text, bold=True)


def harmless(text: str) -> str:
    """Take out of a person's words whatever would steer the terminal: lines and controls become spaces."""
    plain = "".join(" " if unicodedata.category(letter) in _UNSAFE else letter for letter in text)
    return " ".join(plain.split())


def wrapped(text: str, *, first: str = "", rest: str | None = None, width: int | None = None) -> Iterator[str]:
    """Break text into lines that fit. first, rest: what stands before the first line and before the others."""
    columns = width or size()[0]
    following = first if rest is None else rest
    line, before = "", first
    for word in _words(text, max(columns - max(len(first), len(following)), 1)):
        longer = f"{line} {word}" if line else word
        if line and len(before) + len(longer) > columns:
            yield before + line
            line, before = word, following
        else:
            line = longer
    yield before + line


def _words(text: str, longest: int) -> Iterator[str]:
    """Give the words of a text; one that is longer than a line in pieces."""
    for word in text.split():
        yield from (word[start : start + longest] for start in range(0, len(word), longest))


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """Order names as people do: P9 before P10."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name


def day(moment: datetime) -> str:
    """Write the day of a moment, by the clinic's clock."""
    return f"{local(moment):%Y-%m-%d}"


def cut(text: str, width: int) -> str:
    """Shorten text to a width, and show that it was."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def flowed(pieces: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Set pieces side by side as far as they fit. Each piece: as it is printed, and as plain text, which counts."""
    line, taken = "", 0
    for printed, plain in pieces:
        if line and taken + len(_GAP) + len(plain) > width:
            yield line
            line, taken = "", 0
        line, taken = (f"{line}{_GAP}{printed}", taken + len(_GAP) + len(plain)) if line else (printed, len(plain))
    yield line


def minute(moment: datetime) -> str:
    """Write a moment to the minute, by the clinic's clock."""
    return f"{local(moment):%Y-%m-%d %H:%M}"


def exactly(moment: datetime) -> str:
    """Write a moment to the minute where it stands alone: with how far the clinic's clock is from UTC."""
    return local(moment).isoformat(" ", "minutes")


def as_given(moment: datetime) -> str:
    """Write a moment that somebody has given as finely as they gave it: what lies within that minute goes by it."""
    is_minute = not (moment.second or moment.microsecond)
    return local(moment).isoformat(" ", "minutes" if is_minute else "auto")


def by_whose_clock() -> str:
    """Say by whose clock the moments go that stand below."""
    return f"Times are by the clock of {clinic_zone()}."
