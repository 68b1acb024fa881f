"""Tables in Markdown, found by the comment above them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
CLINICAL_RULES: Final = DOCS / "clinical-rules.md"
ARCHITECTURE: Final = DOCS / "architecture.md"

Row = Mapping[str, str]


def table(file: Path, name: str) -> list[Row]:
    """Give the rows of the table below `<!-- table: name -->`: column -> cell, as it is written."""
    lines = iter(file.read_text("utf-8").splitlines())
    mark = f"<!-- table: {name} -->"
    if mark not in lines:
        raise LookupError(f"{file.name} has no {mark}")
    rows = [_cells(line) for line in _while_in_table(lines)]
    if len(rows) < 3:
        raise LookupError(f"{file.name}: {mark} has no rows")
    header, _, *body = rows
    for cells in body:
        if len(cells) != len(header):
            raise LookupError(f"{file.name}: {mark}: {len(header)} cells were expected in: {' | '.join(cells)}")
    return [dict(zip(header, cells, strict=True)) for cells in body]


def _while_in_table(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parts(cell: str, by: str = ",") -> list[str]:
    """Split a cell that lists something; `none` lists nothing."""
    return [] if cell == "none" else [part.strip() for part in cell.split(by)]


def named(cell: str) -> str:
    """Give what stands in a cell between backticks."""
    return cell.strip("`")


def drawn(header: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a table, for whoever has to bring one into step."""
    lines = [header, ["---"] * len(header), *([row[column] for column in header] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
