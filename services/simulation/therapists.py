"""What simulated therapists do with a report: most look at it in time, many talk about it, some agree on an action."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

from contracts.events.event import Data
from contracts.events.facts import ActionChosen, ReportDiscussed, ReportSeen

_SEEN: Final = 0.8
_DISCUSSED: Final = 0.7
_ACTED_ON: Final = 0.6
_THERAPIST: Final = "therapist:simulated"


def reaction(
    report: str, announced_at: datetime, actions: Sequence[str], *, seed: int
) -> Iterator[tuple[datetime, Data]]:
    """Say what follows the announcement of a report; the same announcement has the same sequel for the same seed."""
    random = Random(f"{seed}/{report}/{announced_at.isoformat()}")
    if random.random() >= _SEEN:
        return
    seen_at = announced_at + timedelta(minutes=random.randint(5, 30))
    yield seen_at, ReportSeen(report=report, by=_THERAPIST)
    if random.random() >= _DISCUSSED:
        return
    discussed_at = seen_at + timedelta(minutes=random.randint(60, 150))
    yield discussed_at, ReportDiscussed(report=report, by=_THERAPIST, confirmed_by_patient=random.random() < _DISCUSSED)
    if actions and random.random() < _ACTED_ON:
        chosen = ActionChosen(report=report, action=random.choice(actions), by=_THERAPIST, patient_agreed=True)
        yield discussed_at + timedelta(minutes=10), chosen
