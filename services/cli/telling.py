"""Events as sentences, one for each, or one for several that say the same of different things."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from contracts.events.event import Data, Event
from contracts.events.facts import OccasionClosed, OccasionOpened, SessionScheduled
from services.cli.history import is_fact
from services.cli.naming import WORDS, Naming
from services.cli.screen import day, minute
from services.cli.telling_conclusions import conclusion
from services.cli.telling_facts import fact


def told(event: Event[Data], naming: Naming) -> str:
    """Tell an event."""
    return fact(event.data, naming) if is_fact(event) else conclusion(event.data, naming)


def told_shortly(events: Sequence[Event[Data]], naming: Naming) -> Iterator[tuple[Event[Data], str]]:
    """Tell events in their order; what is said of several things one after the other is said in one sentence.

    Gives the first event of each sentence with it.
    """
    for _, group in groupby(events, key=_sameness):
        together = list(group)
        first = together[0]
        match first.data:
            case SessionScheduled():
                yield first, _planned([event.data for event in together])
            case OccasionOpened(session=session) | OccasionClosed(session=session):
                forms = [naming.instrument(ref) for ref in map(_instrument, together)]
                asked = "asked for" if isinstance(first.data, OccasionOpened) else "no longer asked for"
                yield first, f"{naming.session(session)}: {WORDS.listed(forms)} {asked}{_until(together)}"
            case _:
                yield from ((event, told(event, naming)) for event in together)


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
