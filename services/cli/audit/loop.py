"""`ontrack audit loop`: what came of reports, of each and in sum."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple

import click

from contracts.codec import CaseKey, Unreadable, ending
from contracts.events.event import Data, Event
from contracts.events.facts import ActionChosen, NeedsStated, ReportClosed, ReportDiscussed, ReportSeen
from contracts.events.fields import instant
from contracts.events.notices import ReportIssued, ReportOverdue, ReportRevised
from contracts.events.tracks import TrackEvaluated, TrackRevised
from contracts.topics import NOTICES, PARTITIONS, TRACKS, Topic
from services.auditor.domain.loop import FEWEST, Loop, Summary, by_group, loops, summary
from services.auditor.fold import Keys
from services.auditor.narrowed import Narrowed
from services.cli.audit.narrowing import Wish, known_of, narrowing_options, part_of, told_of
from services.cli.home import FINDING, Failure, run, short_names
from services.cli.output import Format, Row, counted, emit, format_option, progress, say
from services.cli.source import Source, audited, source_options
from services.runtime.log.port import Log
from services.runtime.reading import chunks, event_of

EVERY: Final = "all"
_LONG: Final = 48.0
"""Hours beyond which people count in days."""

_HOURS: Final = "_hours"
"""Ends the name of a span of time, as data."""

_OF_SO_MANY: Final = "judged_after"
"""Names of how many reports `back_on_track` tells, in sums."""

_TOUCHED: Final = (ReportSeen, ReportDiscussed, NeedsStated, ActionChosen, ReportClosed)
_COURSE: Final = (TrackEvaluated, TrackRevised, *_TOUCHED)
_TOLD: Final = (ReportIssued, ReportRevised, ReportOverdue)
LISTED: Final = (
    "report",
    "kind",
    "case",
    "group",
    "session",
    "issued",
    "seen_after_hours",
    "discussed_after_hours",
    "actions",
    "agreed",
    "closed_after_hours",
    "overdue",
    "retracted",
    "before_issued",
    "score",
    "scores_after",
    "back_on_track",
)
SUMMED: Final = (
    "group",
    "patients",
    "reports",
    "seen",
    "seen_after_hours",
    "discussed",
    "discussed_after_hours",
    "with_action",
    "closed",
    "overdue",
    "before_issued",
    "back_on_track",
    _OF_SO_MANY,
)


class _Found(NamedTuple):
    """Every report with what came of it.

    patients: how many each group had in the end; names: how cases are called
    broken: how many events of cases whose keys are here cannot be read
    """

    every: Sequence[Loop]
    patients: Mapping[str | None, int]
    names: Mapping[str, str]
    broken: int


@click.command("loop", short_help="Tell what came of reports.")
@source_options
@narrowing_options
@click.option("--list", "is_list", is_flag=True, help="List every report with what came of it.")
@format_option
def loop(source: Source, wish: Wish, is_list: bool, form: Format) -> None:
    """Tell what came of reports: how long until they were seen and discussed, what was done, and how it went on.

    Times are medians of those to which it happened, and hours where the format is one of data. Whoever has discussed a
    report, said what the patient needs, chosen an action or closed it has seen it too. Of what bears a time
    before its report was issued no time is told: it is named under before_issued. Back on track are those of which one
    of the next three judged sessions was on track, of those that have so many. Groups that had fewer than five patients
    are told of together, with the smallest other group if they have fewer than five together, or not at all. Retracted
    reports are left out of the sums. Of a group, those reports are told of that were issued while their patient was in
    it; a single case is listed and not summed up. The exit code is 1 if something that can tell of reports cannot be
    read.

    Example: ontrack audit loop --data DIR
    """
    if wish.number is not None and not is_list:
        raise Failure("--case: a single case is not summed up; list its reports with --list")
    found = run(_loops(source, wish, is_list=is_list))
    _tell(found, wish.group, form, is_list=is_list)
    if found.broken:
        lacking = (
            f"{counted(found.broken, 'event')} that can tell of reports cannot be read, and what they say is missing"
        )
        raise Failure(f"{lacking}: ontrack audit verify says which", FINDING)


def _tell(known: _Found, group: str | None, form: Format, *, is_list: bool) -> None:
    """Print what came of reports: each of them, or in sum."""
    every, patients, names, _ = known
    found = every if group is None else [each for each in every if each.group == group]
    if is_list:
        _emit([_listed(each, names) for each in found], LISTED, form)
        _say_early(found)
        return
    told = by_group(every, patients)
    of_group = [each for each in told if each.of == group]
    _emit([_summed(each) for each in ([*told, summary(EVERY, every)] if group is None else of_group)], SUMMED, form)
    _say_early(found if group is None or of_group else ())
    if group is not None and not of_group:
        say(_why_not(group, patients.get(group, 0)))


def _why_not(group: str, patients: int) -> str:
    """Say why nothing is told of a group."""
    if patients < FEWEST:
        return f"{group} had fewer than five patients: of so few, one could be recognised."
    return (
        f"{group} is told of together with groups that had fewer than five patients: what it lacks of all would be "
        "theirs."
    )


def _emit(rows: Sequence[Row], columns: Sequence[str], form: Format) -> None:
    """Print rows: to people in a table spans of time and shares as they say them, else as numbers."""
    if form == "table":
        rows = [{name.removesuffix(_HOURS): _in_words(name, row) for name in row} for row in rows]
        columns = [name.removesuffix(_HOURS) for name in columns if name != _OF_SO_MANY]
    emit(rows, columns, form)


def _in_words(name: str, row: Row) -> object:
    value = row[name]
    if name.endswith(_HOURS) and isinstance(value, float):
        return f"{value:.1f} h" if value < _LONG else f"{value / 24:.1f} d"
    return f"{value} of {row[_OF_SO_MANY]}" if name == "back_on_track" and _OF_SO_MANY in row else value


def _say_early(some: Sequence[Loop]) -> None:
    """Tell of how many reports something bears an earlier time than they do."""
    early = sum(bool(each.before_issued) and not each.retracted for each in some)
    if early:
        says = "something bears a time before it was issued, so no time is told of that: a clock was wrong somewhere"
        say(f"Of {counted(early, 'report')} {says}.")


async def _loops(source: Source, wish: Wish, *, is_list: bool) -> _Found:
    """Find every report with what came of it.

    is_list: only those of the cases that are asked for; which groups are summed up, all of them decide
    """
    async with await audited(source, knows_cases=True) as home:
        part = await part_of(home, wish)
        log = Narrowed(home.log, part if is_list else replace(part, cases=None))
        for line in told_of(part):
            say(line)
        belonging = (await known_of(home, part.until)).groups
        patients = Counter(groups[-1] if groups else None for groups in belonging.values())
        found: list[Loop] = []
        reading = _Reading(log, Keys(home.keyring))
        ends = [await home.log.end(topic, number) for topic in (TRACKS, NOTICES) for number in range(PARTITIONS)]
        with progress("Reading the log", sum(ends)) as advance:
            for number in range(PARTITIONS):
                told = await reading.of_cases(NOTICES, number, _TOLD)
                course = await reading.of_cases(TRACKS, number, _COURSE, told.keys())
                advance(ends[number] + ends[PARTITIONS + number])
                for case_id, events in told.items():
                    found += loops(case_id, course.get(case_id, ()), events)
        names = await short_names(home)
    every = sorted(found, key=lambda each: (each.issued, each.report))
    return _Found(every, patients, names, reading.broken)


@dataclass(slots=True)
class _Reading:
    """Reads what is said of reports. broken: how many events of cases whose keys are here cannot be read."""

    log: Log
    keys: Keys
    broken: int = 0

    async def of_cases(
        self, topic: Topic, number: int, kinds: Sequence[type[Data]], cases: Collection[str] | None = None
    ) -> Mapping[str, Sequence[Event[Data]]]:
        """Give the events of some kinds on a partition, by case, each once. cases: only theirs, if any are named."""
        ends = tuple(ending(kind) for kind in kinds)
        found: dict[str, dict[int, Event[Data]]] = defaultdict(dict)
        async for event in self._events(topic, number, ends, cases):
            found[event.subject].setdefault(event.sequence or 0, event)
        return {case_id: [events[place] for place in sorted(events)] for case_id, events in found.items()}

    async def _events(
        self, topic: Topic, number: int, ends: tuple[bytes, ...], cases: Collection[str] | None
    ) -> AsyncIterator[Event[Data]]:
        async for chunk in chunks(self.log, topic, number):
            some = [each for each in chunk if each.value.endswith(ends) and (cases is None or each.key in cases)]
            known = await self.keys.of(dict.fromkeys(record.key for record in some))
            for record in some:
                key = known.get(record.key)
                event = event_of(record, topic, key) if isinstance(key, CaseKey) else None
                self.broken += isinstance(event, Unreadable)
                if isinstance(event, Event):
                    yield event


def _listed(of: Loop, names: Mapping[str, str]) -> Row:
    return {
        "report": of.report[:8],
        "kind": of.kind,
        "case": names.get(of.case, of.case),
        "group": of.group,
        "session": of.session,
        "issued": instant(of.issued),
        "seen_after_hours": _hours(of.until(of.seen)),
        "discussed_after_hours": _hours(of.until(of.discussed)),
        "actions": list(of.actions),
        "agreed": of.agreed if of.actions else None,
        "closed_after_hours": _hours(of.until(of.closed)),
        "overdue": of.overdue,
        "retracted": of.retracted,
        "before_issued": list(of.before_issued),
        "score": None if of.score is None else f"{of.score:f}",
        "scores_after": list(_scores(of)),
        "back_on_track": of.is_back_on_track,
    }


def _scores(of: Loop) -> Iterator[str]:
    for after in of.after:
        yield "-" if after.score is None else f"{after.score:f}"


def _summed(of: Summary) -> Row:
    return {
        "group": of.of,
        "patients": of.cases,
        "reports": of.reports,
        "seen": of.seen,
        "seen_after_hours": _hours(of.until_seen),
        "discussed": of.discussed,
        "discussed_after_hours": _hours(of.until_discussed),
        "with_action": of.with_action,
        "closed": of.closed,
        "overdue": of.overdue,
        "before_issued": of.before_issued,
        "back_on_track": of.back_on_track,
        _OF_SO_MANY: of.judged_after,
    }


def _hours(time: timedelta | None) -> float | None:
    return None if time is None else round(time.total_seconds() / 3600, 4)
