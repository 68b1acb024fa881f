"""What has to be said so that a case has the sessions of its group."""

from collections.abc import Mapping
from datetime import datetime

from contracts.events.event import Data
from contracts.events.facts import SessionCancelled, SessionMoved, SessionScheduled
from services.ingest.domain.register import Registered, session_of

Sessions = Mapping[str, datetime]


def changes(case: Registered, sessions: Sessions) -> list[Data]:
    """Give what follows for a case from the times that its group has now.

    A session at the time of the group that it follows already is left as it is, though the case may have another time
    of its own since; and what has come already is not moved.
    """
    said: list[Data] = []
    for name, of_group in _followed(case, sessions).items():
        at, session = sessions.get(of_group), session_of(name)
        if name in case.came or at == case.follows.get(name):
            continue
        if name not in case.follows and at == case.scheduled.get(name):
            continue
        if at is None:
            said.append(SessionCancelled(session=session))
        elif name in case.scheduled:
            said.append(SessionMoved(session=session, scheduled=at))
        else:
            said.append(SessionScheduled(session=session, scheduled=at))
    return said


def joined(case: Registered, sessions: Sessions) -> list[Data]:
    """Give what follows for a case that has just joined a group: what it does not follow takes place no more."""
    said = changes(case, sessions)
    if case.of_group:
        left = [name for name in case.scheduled if name not in case.of_group and name not in case.came]
        said += [SessionCancelled(session=session_of(name)) for name in left if name.isdecimal()]
    return said


def _followed(case: Registered, sessions: Sessions) -> Mapping[str, str]:
    """Give which sessions of its group a case takes as its own: session of its course -> session of the group."""
    if not case.of_group:
        return {name: name for name in {**case.follows, **sessions}}
    return {name: str(of_group) for name, of_group in case.of_group.items()}
