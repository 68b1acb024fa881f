"""`ontrack simulate`: a cohort as CSV, or as facts."""

import hmac
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, time
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import click

from contracts.codec import encode
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.topics import CASES, DEFINITIONS
from services.cli.home import Failure, library_catalogue
from services.cli.output import say
from services.cli.private import private_directory, private_file
from services.runtime.founding import founding_records
from services.simulation.cohort import INSTRUMENTS, SimulatedCase, draw
from services.simulation.facts import Setting, facts_of
from services.simulation.table import write_csv

_SIMULATED_LOGS: Final = UUID("6b5d7d1a-9f37-5a3a-8b8e-4f7f8b0f2c55")


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed draws the same cohort.")
@click.option("--groups", type=click.IntRange(1, 100_000), default=3, show_default=True)
@click.option("--patients", type=click.IntRange(1, 99), default=8, show_default=True, help="Of each group.")
@click.option("--sessions", type=click.IntRange(1, 14), default=14, show_default=True)
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), default="2026-01-05", show_default=True)
@click.option("--language", type=click.Choice(["en", "da"]), default="en", show_default=True, help="Of the comments.")
@click.option("--as", "form", type=click.Choice(["csv", "facts"]), default="csv", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), help="A file for CSV (else standard output); a directory for facts."
)
def simulate(
    seed: int,
    groups: int,
    patients: int,
    sessions: int,
    start: datetime,
    language: Language,
    form: str,
    output: Path | None,
) -> None:
    """Draw a cohort of simulated patients that looks like the clinic of the study.

    As CSV it holds their answers, as ontrack import takes them; as facts it is a whole log, with sessions, attendance
    and problems, to be imported into an empty home. No real patient is behind it.

    Example: ontrack simulate --seed 7 --groups 10 --output cohort.csv
    """
    catalogue = library_catalogue()
    instruments = instruments_of(catalogue)
    models = {name: model for name, (_, model) in instruments.items()}
    cases = draw(
        models, seed=seed, groups=groups, patients=patients, sessions=sessions, start=start.date(), language=language
    )
    with ExitStack() as open_files:
        if form == "csv":
            if output is None:
                write_csv(cases, models, sys.stdout)
            else:
                write_csv(cases, models, open_files.enter_context(output.open("w", encoding="utf-8", newline="")))
            return
        if output is None:
            raise Failure("--as facts needs --output DIR, a directory that ontrack import then takes")
        private_directory(output)
        _write_facts(
            cases, _Simulated(seed, catalogue, setting_of(catalogue, instruments), start.date()), output, open_files
        )
    say(f"The facts are in {output}; ontrack import {output} --data DIR takes them into an empty home.")


@dataclass(frozen=True, slots=True)
class _Simulated:
    seed: int
    catalogue: Catalogue
    setting: Setting
    start: date

    def case_id(self, number: str) -> str:
        """Name a simulated case: as a clinic's keyed hash would, with the seed for a key."""
        return hmac.new(str(self.seed).encode(), number.encode(), sha256).hexdigest()[:32]


def instruments_of(catalogue: Catalogue) -> dict[str, tuple[str, Instrument]]:
    """Give the instruments that the simulation asks: id -> reference and definition."""
    known = {model.id: (ref, model) for ref, model in catalogue.of_kind(Instrument)}
    return {name: known[name] for name in INSTRUMENTS}


def setting_of(catalogue: Catalogue, instruments: dict[str, tuple[str, Instrument]], clinic: str = "clinic") -> Setting:
    """Give the course that simulated patients take: the protocol and the policy of the study."""
    protocol = catalogue.named(Protocol, "group-cbt-depression-14")
    policy = catalogue.named(Policy, "gryesten-2023")
    if protocol is None or policy is None:
        raise Failure("the library lacks group-cbt-depression-14 or gryesten-2023; install OnTrack again")
    return Setting(clinic, protocol.ref, policy.ref, instruments)


def _write_facts(cases: Iterator[SimulatedCase], simulated: _Simulated, output: Path, open_files: ExitStack) -> None:
    founded = datetime.combine(simulated.start, time(), ZoneInfo("UTC"))
    log_id = str(uuid5(_SIMULATED_LOGS, str(simulated.seed)))
    definitions = open_files.enter_context(private_file(output / f"{DEFINITIONS.name}.ndjson"))
    definitions.writelines(record + b"\n" for record in founding_records(log_id, simulated.catalogue, founded))
    facts = open_files.enter_context(private_file(output / f"{CASES.name}.ndjson"))
    for case in cases:
        for fact in facts_of(case, simulated.case_id(case.number), simulated.setting):
            facts.write(encode(fact) + b"\n")
