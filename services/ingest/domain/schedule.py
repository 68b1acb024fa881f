"""What has to be said so that a case has the sessions of its group."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from contracts.events.event import Data
from contracts.events.facts import SessionCancelled, SessionMoved, SessionScheduled
from contracts.events.fields import session_of
from services.ingest.domain.register import Registered

Sessions = Mapping[str, datetime]

_NONE: Final = ""
"""Names no session of any group."""


def changes(case: Registered, sessions: Sessions) -> list[Data]:
    """Give what follows for a case from the times that its group has now.

    A session at the time of the group that it follows already is left as it is, though the case may have another time
    of its own since; and what has come already is not moved. What the case has of no group stays its own.
    """
    said: list[Data] = []
    for name, of_group in _followed(case, sessions).items():
        at, session = sessions.get(of_group), session_of(name)
        # What it has followed is cancelled also if it was by hand: else it could never be its own again.
        is_left = at is None and name in case.follows
        if name in case.came or (at == _known(case, name) and not is_left):
            continue
        if at is None:
            said.append(SessionCancelled(session=session))
        elif name in case.scheduled:
            said.append(SessionMoved(session=session, scheduled=at))
        else:
            said.append(SessionScheduled(session=session, scheduled=at))
    return said


def _known(case: Registered, name: str) -> datetime | None:
    """Give the time of its group that a session stands by, whatever time the case has for it: None for none.

    Of what was never brought to the group that is the time which it was given by hand, or was given first.
    """
    return case.follows.get(name) or case.instead_of.get(name) or case.scheduled.get(name)


def _followed(case: Registered, sessions: Sessions) -> Mapping[str, str]:
    """Give which sessions of its group a case takes as its own: session of its course -> session of the group.

    What it has followed and follows no more is none of the group's, so it takes place no more. What it has never
    followed, and the group does not have, is not the group's to cancel.
    """
    if not case.of_group:
        return {name: name for name in {**case.follows, **sessions}}
    left = dict.fromkeys(case.follows, _NONE)
    mapped = {name: str(of_group) for name, of_group in case.of_group.items()}
    return left | {name: of_group for name, of_group in mapped.items() if name in left or of_group in sessions}
