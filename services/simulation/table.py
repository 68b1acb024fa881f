"""A simulated cohort as the long CSV that OnTrack imports: one row for one questionnaire of one session."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from contracts.definitions.instrument import Instrument
from services.simulation.case import SimulatedCase
from services.simulation.responses import INSTRUMENTS


def columns(instruments: Mapping[str, Instrument]) -> list[str]:
    """Name the columns; items of the same id in several instruments share one."""
    asked = [instruments[name] for name in INSTRUMENTS if name in instruments]
    items = dict.fromkeys(item.id for instrument in asked for item in instrument.items)
    return ["case", "session", "answered_at", "instrument", *items, "comment"]


def rows(cases: Iterable[SimulatedCase]) -> Iterator[dict[str, str]]:
    """Give one row for each response, case by case and in the order of time; moments in UTC, as ISO 8601."""
    for case in cases:
        for response in case.responses:
            yield {
                "case": case.number,
                "session": str(response.session),
                "answered_at": f"{response.answered_at:%Y-%m-%dT%H:%M:%SZ}",
                "instrument": response.instrument,
                **{item: str(value) for item, value in response.answers.items()},
                "comment": response.comment or "",
            }


def write_csv(cases: Iterable[SimulatedCase], instruments: Mapping[str, Instrument], stream: TextIO) -> None:
    """Write the cohort with a line of column names; the same cases make the same bytes.

    stream: opened with newline="", so that lines end alike everywhere
    """
    writer = csv.DictWriter(stream, columns(instruments), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(cases))
