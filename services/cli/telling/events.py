"""Events as sentences, one for each, or one for several that say the same of different things."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from contracts.events.event import Data, Event
from contracts.events.facts import OccasionClosed, OccasionOpened, SessionScheduled
from contracts.events.notices import ReportIssued, ReportRevised
from services.cli.history import is_fact
from services.cli.naming import WORDS, Naming
from services.cli.screen import day, minute
from services.cli.telling.conclusions import conclusion
from services.cli.telling.facts import fact


def told(event: Event[Data], naming: Naming) -> str:
    """Tell an event."""
    return fact(event.data, naming) if is_fact(event) else conclusion(event.data, naming)


def told_shortly(events: Sequence[Event[Data]], naming: Naming) -> Iterator[tuple[Event[Data], str]]:
    """Tell events in their order; what is said of several things one after the other is said in one sentence.

    Gives an event of each sentence with it: the first, or the latest of the revisions of a report.
    """
    rows = _rows_of_revisions(events)
    folded = {event.id for row in rows.values() for event in row[:-1]}
    for _, group in groupby((event for event in events if event.id not in folded), key=_sameness):
        together = list(group)
        first = together[0]
        match first.data:
            case ReportRevised(report=report) if first.id in rows:
                yield first, _revised(report, rows[first.id], naming)
            case SessionScheduled():
                yield first, _planned([event.data for event in together])
            case OccasionOpened(session=session) | OccasionClosed(session=session):
                forms = [naming.instrument(ref) for ref in map(_instrument, together)]
                asked = "asked for" if isinstance(first.data, OccasionOpened) else "no longer asked for"
                yield first, f"{naming.session(session)}: {WORDS.listed(forms)} {asked}{_until(together)}"
            case _:
                yield from ((event, told(event, naming)) for event in together)


def _rows_of_revisions(events: Sequence[Event[Data]]) -> dict[str, list[Event[Data]]]:
    """Find revisions of a report that follow each other and changed only what surrounds it: by the id of the last."""
    by_report: dict[str, list[Event[Data]]] = defaultdict(list)
    for event in events:
        if isinstance(event.data, ReportIssued | ReportRevised):
            by_report[event.data.report].append(event)
    rows = [list(row) for said in by_report.values() for alike, row in groupby(said, key=_is_of_context) if alike]
    return {row[-1].id: row for row in rows if len(row) > 1}


def _is_of_context(event: Event[Data]) -> bool:
    return isinstance(event.data, ReportRevised) and event.data.changes == ("context_changed",)


def _revised(report: str, row: Sequence[Event[Data]], naming: Naming) -> str:
    first, last = day(row[0].time), day(row[-1].time)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    return f"report {naming.report(report)} revised {len(row)} times, {when}: {WORDS('change.context_changed')}"


def _sameness(event: Event[Data]) -> tuple[object, ...]:
    """Give what events must have in common to be told together."""
    match event.data:
        case SessionScheduled():
            return ("scheduled", day(event.time))
        case OccasionOpened(session=session) | OccasionClosed(session=session):
            return (event.type, session, day(event.time), _until([event]))
        case _:
            return (event.id,)


def _instrument(event: Event[Data]) -> str:
    return event.data.instrument if isinstance(event.data, OccasionOpened | OccasionClosed) else ""


def _until(events: Sequence[Event[Data]]) -> str:
    data = events[0].data
    return f", until {minute(data.closes)}" if isinstance(data, OccasionOpened) else ""


def _planned(planned: Sequence[Data]) -> str:
    """Tell when sessions are planned: one, or a row of them."""
    sessions = [data for data in planned if isinstance(data, SessionScheduled)]
    first, last = sessions[0], sessions[-1]
    if len(sessions) == 1:
        return f"{WORDS.session(first.session)} planned for {minute(first.scheduled)}"
    names = f"{WORDS.session(first.session)} to {WORDS.session(last.session)}"
    return f"{names} planned, from {minute(first.scheduled)} to {minute(last.scheduled)}"
