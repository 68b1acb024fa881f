"""Clients of an API that each keep a list of what they were answered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from threading import Event
from time import time
from typing import Any, Final

from tests.support.region import wait_until

Post = Callable[[str, object, str], tuple[int, Any]]
"""Posts a body to a path under a key; gives the status and what is answered, status 0 if nothing comes."""

ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
FIRST_DAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
SESSIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was sent. at: when an answer had come, in seconds since 1970; None if none ever came."""

    path: str
    body: Mapping[str, Any]
    key: str
    answer: tuple[int, Any] = (0, None)
    at: float | None = None


@dataclass
class Client:
    """A client that enrols one case after the other, each with some answers, and keeps what it was answered."""

    name: str
    post: Post
    sent: list[Request] = field(default_factory=list)

    def work(self, ended: Event) -> None:
        """Send one request after the other, until it is told to end or no answer comes."""
        for number in count():
            case_id = self._say("/v1/cases", enrolment(f"{self.name}-{number}"))
            for session in range(SESSIONS + 1):
                if case_id is None or ended.is_set():
                    return
                case_id = self._say(f"/v1/cases/{case_id}/response-submitted", response(number + session, session))

    def _say(self, path: str, body: Mapping[str, Any]) -> str | None:
        """Send a request with a key of its own, and note it; give the case that it was about if it was answered."""
        request = Request(path, body, f"{self.name}-{len(self.sent)}")
        answer = self.post(path, body, request.key)
        self.sent.append(Request(path, body, request.key, answer, time() if answer[0] else None))
        return answer[1]["case"] if answer[0] == HTTPStatus.CREATED else None


def enrolment(number: str) -> Mapping[str, Any]:
    """Give what enrols a case."""
    at = (FIRST_DAY - timedelta(days=3)).isoformat()
    return {"number": number, "protocol": "open-ended", "policy": "gryesten-2023", "at": at}


def response(total: int, session: int) -> Mapping[str, Any]:
    """Give the answers of a session."""
    return {
        "session": session,
        "instrument": "odsis",
        "answers": {item: (total + place) % 5 for place, item in enumerate(ODSIS)},
        "answered_at": (FIRST_DAY + timedelta(weeks=session)).isoformat(),
    }


@dataclass
class Clients:
    """Clients that work at the same time."""

    each: Sequence[Client]
    ended: Event = field(default_factory=Event)

    @property
    def answered(self) -> list[Request]:
        """What was answered so far."""
        return [request for client in self.each for request in tuple(client.sent) if request.at is not None]

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more requests were answered."""
        enough = len(self.answered) + number
        wait_until(lambda: len(self.answered) >= enough, f"{number} more requests answered")

    def end(self) -> None:
        """Let each end when its request in hand is answered."""
        self.ended.set()


@contextmanager
def working(*clients: Client) -> Iterator[Clients]:
    """Let clients work for as long as this is entered, or until no answer comes."""
    together = Clients(clients)
    with ThreadPoolExecutor(len(clients)) as pool:
        at_work: list[Future[None]] = [pool.submit(client.work, together.ended) for client in clients]
        try:
            yield together
        finally:
            together.end()
    for each in at_work:
        each.result()
