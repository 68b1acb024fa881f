"""A piece of the terminal to draw on: text in cells, and lines between cells in dots finer than a cell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.cli.screen import painted

DOTS_ACROSS: Final = 2
DOTS_DOWN: Final = 4
_BLANK: Final = 0x2800
"""The braille character without a dot; each dot of a cell is one bit above it."""
_BITS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


@dataclass(frozen=True, slots=True)
class Ink:
    """How something looks besides its shape."""

    colour: str | None = None
    bold: bool = False
    dim: bool = False


PLAIN: Final = Ink()
FAINT: Final = Ink(dim=True)


class Canvas:
    """Rows and columns of cells, counted from the top and the left. What is drawn later covers what was there."""

    def __init__(self) -> None:
        """Begin empty; it grows with what is drawn."""
        self._cells: dict[int, dict[int, tuple[str, Ink]]] = {}

    def write(self, row: int, column: int, text: str, ink: Ink = PLAIN) -> None:
        """Write text from a cell on."""
        cells = self._cells.setdefault(row, {})
        cells.update((column + place, (letter, ink)) for place, letter in enumerate(text))

    def centred(self, row: int, column: int, text: str) -> None:
        """Write text whose middle is a cell."""
        self.write(row, column - (len(text) - 1) // 2, text)

    def stroke(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Draw a line from the middle of one cell (row, column) to the middle of another."""
        (top, left), (bottom, right) = start, end
        steps = max(abs(right - left) * DOTS_ACROSS, abs(bottom - top) * DOTS_DOWN, 1)
        for step in range(steps + 1):
            across = left * DOTS_ACROSS + (right - left) * DOTS_ACROSS * step / steps + 0.5
            down = top * DOTS_DOWN + (bottom - top) * DOTS_DOWN * step / steps + 1.5
            self._dot(int(down), int(across))

    def _dot(self, down: int, across: int) -> None:
        row, column = down // DOTS_DOWN, across // DOTS_ACROSS
        before = self._cells.get(row, {}).get(column, (" ", PLAIN))[0]
        bits = ord(before) - _BLANK if _BLANK <= ord(before) < _BLANK + 0x100 else 0
        bit = _BITS[across % DOTS_ACROSS][down % DOTS_DOWN]
        self.write(row, column, chr(_BLANK + (bits | bit)))

    def lines(self) -> Iterator[str]:
        """Give the rows as text, from the top one on."""
        for row in range(max(self._cells, default=-1) + 1):
            yield "".join(_run(self._cells.get(row, {})))


def _run(cells: dict[int, tuple[str, Ink]]) -> Iterator[str]:
    """Give the cells of a row, those of the same look as one piece."""
    text, look = "", PLAIN
    for column in range(max(cells, default=-1) + 1):
        letter, ink = cells.get(column, (" ", PLAIN))
        if ink != look:
            yield _inked(text, look)
            text, look = "", ink
        text += letter
    yield _inked(text, look)


def _inked(text: str, ink: Ink) -> str:
    return painted(text, ink.colour, bold=ink.bold, dim=ink.dim) if ink != PLAIN and text else text
