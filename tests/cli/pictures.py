"""Reading a picture in the terminal back: where its axis, its marks and its levels are."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

MARKS: Final = "●✕?○"
LINES: Final = "━┄┈"
_AXIS: Final = re.compile(r"^ *(?P<tick>[\d.−]*)(?P<axis>[┤│])(?P<plot>.*)$")


@dataclass(frozen=True, slots=True)
class Read:
    """A picture as it was read.

    ticks: row -> the value that stands there on the axis; marks: column -> the row and the mark
    levels: name with value -> the row of the name; lines: the character of a line -> its row
    gaps: the columns that are shaded; below: the rows under the picture, by name
    """

    ticks: dict[int, str] = field(default_factory=dict)
    marks: dict[int, tuple[int, str]] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    gaps: set[int] = field(default_factory=set)
    below: dict[str, str] = field(default_factory=dict)

    def row_of(self, tick: str) -> int:
        """Find the row of a value that stands on the axis."""
        return next(row for row, value in self.ticks.items() if value == tick)

    @property
    def rows(self) -> list[int]:
        """The rows of the marks, session by session."""
        return [self.marks[column][0] for column in sorted(self.marks)]


def read(lines: Iterable[str]) -> Read:
    """Read the picture among some lines."""
    found = Read()
    for row, line in enumerate(_from_the_axis(lines)):
        axis = _AXIS.match(line)
        if axis is None:
            name, _, rest = line.partition(" ")
            if name in ("session", "score", "status"):
                found.below[name] = rest
            continue
        if axis["tick"]:
            found.ticks[row] = axis["tick"]
        level = re.search(r" (baseline|NOT line|cut-off) ([\d.]+)$", line)
        if level is not None:
            found.levels[f"{level[1]} {level[2]}"] = row
        found.lines.update((look, row) for look in LINES if look in axis["plot"])
        plot = line[: level.start()] if level is not None else line
        for column in range(axis.start("plot"), len(plot)):
            if plot[column] in MARKS:
                found.marks[column] = row, plot[column]
            elif plot[column] == "░":
                found.gaps.add(column)
    return found


def _from_the_axis(lines: Iterable[str]) -> Iterator[str]:
    """Give the lines of the picture, from its top on."""
    begun = False
    for line in lines:
        begun = begun or _AXIS.match(line) is not None
        if begun:
            if not line.strip():
                return
            yield line
