"""`ontrack demo`: a simulated clinic, from the first answer to the reports, through the real system."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from contracts.definitions.definition import Language
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import ResponseSubmitted
from contracts.events.notices import NoticeRequested, ReportContent
from services.cli.home import Failure, run
from services.cli.interruption import heed
from services.cli.notice_events import Notices
from services.cli.output import counted, program, progress, say
from services.cli.reports.files import write_reports
from services.cli.simulate import instruments_of, setting_of
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome, holds_database
from services.home import Home
from services.runtime.directory.port import Person
from services.simulation.case import SimulatedCase
from services.simulation.cohort import draw
from services.simulation.facts import Setting, facts_of
from services.simulation.therapists import reaction

CLINIC: Final = "demo"
_WEEK: Final = timedelta(weeks=1)
_SINCE_MORNING: Final = timedelta(hours=15, minutes=30)
"""From half past eight, when the morning's forms are in and therapists look, to the end of the day."""


@click.command()
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="ONTRACK_DATA",
    help="An empty data directory (or set ONTRACK_DATA); else a temporary one.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed draws the same clinic.")
@click.option("--groups", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--language", type=click.Choice(["en", "da"]), default="en", show_default=True)
def demo(directory: Path | None, seed: int, groups: int, language: Language) -> None:
    """Watch a simulated clinic from the first answer to the reports.

    Groups of eight patients take fourteen weekly sessions. Their answers are recorded, scored and judged week by
    week, and simulated therapists deal with the reports. Nobody in it is real.

    Example: ontrack demo --seed 7
    """
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="ontrack-demo-"))
    run(_demonstrate(directory, seed, groups, language))


@dataclass(slots=True)
class _Week:
    """What one week brought. notices: those to therapists."""

    begins: datetime
    answers: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reports: int = 0
    notices: int = 0

    HEADER = ("week of", "answers", "judged", "on track", "not on track", "unknown", "new reports", "notices")

    def line(self) -> str:
        """Give it as a line under the header."""
        judged = sum(self.statuses.values())
        statuses = [self.statuses[status] for status in ("on_track", "not_on_track", "unknown")]
        numbers = [self.answers, judged, *statuses, self.reports, self.notices]
        cells = [f"{self.begins:%d %b %Y}", *(str(number) if number else "-" for number in numbers)]
        return _row(cells)


def _row(cells: Sequence[str]) -> str:
    widths = (13, 9, 8, 10, 14, 9, 13, 9)
    return "".join(
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


async def _demonstrate(directory: Path, seed: int, groups: int, language: Language) -> None:
    if holds_database(directory):
        raise Failure(f"{directory} holds data already; a demonstration needs an empty directory")
    async with await EmbeddedHome.found(directory, zone=clinic_zone()) as home:
        instruments = instruments_of(home.definitions)
        setting = setting_of(home.definitions, instruments, CLINIC)
        models = {name: model for name, (_, model) in instruments.items()}
        cases = list(draw(models, seed=seed, groups=groups, language=language))
        size = f"{counted(groups, 'group')} of 8, 14 weekly sessions, seed {seed}"
        say(f"A simulated clinic: {size}. Nobody in it is real.\n")
        click.echo(_row(_Week.HEADER))
        clinic = _Clinic(home, seed)
        weeks = await clinic.weeks(cases, setting)
        for begins, facts in weeks:
            heed()
            week = await clinic.live(begins, facts)
            if week.answers or week.notices:
                click.echo(week.line())
        with progress("Writing the reports", None) as advance:
            index = await write_reports(home, directory / "reports", language, advance)
        name = await clinic.most_telling()
    click.echo()
    click.echo(f"{clinic.answers:,} answers became {clinic.judged:,} decisions and {clinic.reports:,} reports.")
    therapists, supervisor = clinic.notices["therapists"], clinic.notices["supervisor"]
    click.echo(f"{counted(therapists, 'notice')} went to therapists, and {supervisor or 'none'} to the supervisor,")
    click.echo("who is told of a report that nobody has looked at by the next session.")
    click.echo(f"The reports, to open in a browser: {index}")
    click.echo("\nGo on with:")
    for command in (f"case {name}", "reports", "tracks"):
        click.echo(f"  {program()} {command} --data {directory}")
    click.echo(f"\nAll of it is in {directory}; delete that when you are done.")


class _Clinic:
    """The simulated clinic at work: facts come week by week, and therapists deal with what the system tells them."""

    def __init__(self, home: Home, seed: int) -> None:
        self._home = home
        self._seed = seed
        self._notices = Notices(home)
        self._known: set[str] = set()
        self._judged: set[tuple[str, int]] = set()
        self._reactions: list[Event[Data]] = []
        self.answers = 0
        self.judged = 0
        self.reports = 0
        self.notices: Counter[str] = Counter()

    async def weeks(self, cases: Sequence[SimulatedCase], setting: Setting) -> list[tuple[datetime, list[Event[Data]]]]:
        """Sort the facts of all cases into weeks, and enter the patients into the directory."""
        ids = {case.number: self._home.keyring.case_id(CLINIC, case.number) for case in cases}
        await self._home.people.enter({case_id: Person(CLINIC, number) for number, case_id in ids.items()})
        facts = sorted(
            (fact for case in cases for fact in facts_of(case, ids[case.number], setting)), key=lambda fact: fact.time
        )
        first = facts[0].time.replace(hour=0, minute=0, second=0)
        first -= timedelta(days=first.weekday())
        by_week: dict[int, list[Event[Data]]] = {}
        for fact in facts:
            by_week.setdefault((fact.time - first) // _WEEK, []).append(fact)
        return [(first + number * _WEEK, by_week[number]) for number in sorted(by_week)]

    async def live(self, begins: datetime, facts: list[Event[Data]]) -> _Week:
        """Let a week pass, day by day, so that therapists can react to what they were told in the morning."""
        week = _Week(begins)
        for day in range(7):
            until = begins + timedelta(days=day + 1)
            of_day = [fact for fact in facts if until - timedelta(days=1) <= fact.time < until]
            due = [fact for fact in self._reactions if fact.time < until]
            self._reactions = [fact for fact in self._reactions if fact.time >= until]
            await self._record(sorted([*of_day, *due], key=lambda fact: fact.time))
            week.answers += sum(1 for fact in of_day if isinstance(fact.data, ResponseSubmitted))
            await self._look_at_decisions(week)
            await self._look_at_reports(week, until)
        self.answers += week.answers
        self.judged += sum(week.statuses.values())
        self.reports += week.reports
        return week

    async def _record(self, facts: list[Event[Data]]) -> None:
        if not facts:
            return
        considered = await self._home.intake.consider(facts)
        await self._home.intake.record(considered.new)
        await self._home.catch_up()

    async def _look_at_decisions(self, week: _Week) -> None:
        async for case_id, course in self._home.states(self._home.not_detector):
            for session, judged in course.judged.items():
                if (case_id, session) not in self._judged:
                    self._judged.add((case_id, session))
                    week.statuses[judged.status] += 1

    async def _look_at_reports(self, week: _Week, until: datetime) -> None:
        """Count what is new, and let the therapists react to what they were told of since they last looked."""
        told = await self._notices.new(NoticeRequested)
        self.notices.update(asked.data.to for asked in told)
        to_therapists = [asked for asked in told if asked.data.to == "therapists"]
        week.notices += len(to_therapists)
        waiting = {asked.data.report: asked.time for asked in to_therapists if asked.data.reason != "retracted"}
        async for case_id, dossier in self._home.states(self._home.notifier):
            week.reports += len(dossier.reports.keys() - self._known)
            self._known.update(dossier.reports)
            for report in dossier.reports.values():
                if report.id in waiting:
                    content = ReportContent.model_validate_json(report.content)
                    announced_at = max(until - _SINCE_MORNING, waiting[report.id])
                    self._react(case_id, report.id, announced_at, content.actions)

    def _react(self, case_id: str, report: str, at: datetime, actions: Sequence[str]) -> None:
        for happened, data in reaction(report, at, actions, seed=self._seed):
            key = f"{report}\x1f{data.type()}\x1f{happened.isoformat()}"
            self._reactions.append(
                new_fact(
                    data,
                    case_id=case_id,
                    fact_id=fact_id(CLINIC, "demo", key),
                    source=f"urn:ontrack:{CLINIC}:demo",
                    happened=happened,
                )
            )

    async def most_telling(self) -> str:
        """Give the number of a patient who is worth a look: the one with the longest row of sessions not on track."""
        names = await self._home.names()
        longest, found = 0, next(iter(names.values()))
        async for case_id, course in self._home.states(self._home.not_detector):
            count = max((len(judged.episode) for judged in course.judged.values()), default=0)
            if count > longest:
                longest, found = count, names[case_id]
        return found
