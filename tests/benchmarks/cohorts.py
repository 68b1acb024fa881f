"""Files of simulated responses of a given size, for the benchmarks, and how they are imported."""

import csv
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from services.cli.simulate import instruments_of
from services.embedded import EmbeddedHome
from services.home import Home
from services.ingest.dates import Calendar
from services.ingest.importer import Chunk, Enrolment, Importer
from services.ingest.reading import read_responses
from services.simulation.cohort import draw
from services.simulation.table import columns, rows


def write_cohort(file: Path, *, cases: int, responses: int, sessions: int, seed: int = 1) -> None:
    """Write a cohort of exactly so many cases and responses: courses that are not over, cut at their last forms."""
    models = {name: model for name, (_, model) in instruments_of(Catalogue(library())).items()}
    # Early enough that even the last of many groups has answered by now.
    cohort = draw(models, seed=seed, groups=cases // 8, sessions=sessions)
    answered: Counter[str] = Counter()
    drawn: list[tuple[int, int, Mapping[str, object]]] = []
    for row in rows(cohort):
        answered[row["case"]] += 1
        drawn.append((answered[row["case"]], len(drawn), row))
    kept = sorted(sorted(drawn, key=itemgetter(0, 1))[:responses], key=itemgetter(1))
    _write(file, models, (row for _, _, row in kept))


def write_courses(file: Path, *, cases: int, responses: range, sessions: int, seed: int = 1) -> None:
    """Write a cohort whose cases end at any number of responses of a range, each as often as another."""
    models = {name: model for name, (_, model) in instruments_of(Catalogue(library())).items()}
    cohort = draw(models, seed=seed, groups=cases // 8, sessions=sessions)
    random, ends_at, answered = Random(seed), dict[str, int](), Counter[str]()

    def kept() -> Iterator[Mapping[str, object]]:
        for row in rows(cohort):
            case = row["case"]
            answered[case] += 1
            if answered[case] <= ends_at.setdefault(case, random.choice(responses)):
                yield row

    _write(file, models, kept())


def _write(file: Path, models: Mapping[str, Instrument], drawn: Iterable[Mapping[str, object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns(models), lineterminator="\n")
        writer.writeheader()
        writer.writerows(drawn)


async def imported(file: Path, directory: Path) -> None:
    """Import a file as `ontrack import --enrol` does."""
    async with await EmbeddedHome.found(directory) as home:
        await _imported_into(home, file)


async def _imported_into(home: Home, file: Path) -> None:
    models = {model.id: model for _, model in home.definitions.of_kind(Instrument)}
    with file.open("rb") as stream:
        reading = read_responses(stream, models, Calendar(ZoneInfo("Europe/Copenhagen"), home.clock()))
    assert reading.faults == []
    importer = _importer(home)
    assert (await importer.check(reading.spool)).faults == []
    await importer.record(reading.spool, _worked_on(home))


def _importer(home: Home) -> Importer:
    entries = {model.id: [ref] for ref, model in home.definitions.of_kind(Instrument)}
    protocol, policy = (home.definitions.named(Protocol, "open-ended"), home.definitions.named(Policy, "gryesten-2023"))
    assert protocol is not None
    assert policy is not None
    return Importer(home.intake, home.people, entries, clinic="c1", enrolment=Enrolment(protocol, policy))


def _worked_on(home: Home) -> Callable[[Chunk], Awaitable[None]]:
    async def recorded(_: Chunk) -> None:
        await home.catch_up()

    return recorded
