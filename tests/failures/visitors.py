"""Clients of the API that keep a list of their own: what they have sent, and what they were answered."""

import http.client
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from threading import Event as Signal
from threading import Thread
from typing import Any, Final

from contracts.codec import CaseKey, decode
from contracts.events.event import Data, Event
from contracts.topics import CASES
from services.home import Home
from tests.support.region import wait_until
from tests.support.requests import Requests

TOGETHER: Final = 6
"""Visitors at a time."""

OCCASIONS: Final = 150
"""Responses of each visitor, on occasions of its own."""

ANSWERS: Final = {"frequency": 1, "intensity": 2, "engagement": 1, "work_school_home": 0, "social_life": 1}

AGAIN: Final = 0.05
"""Seconds after which a visitor that was not answered comes again."""


@dataclass(frozen=True)
class Visit:
    """A request. facts: how many it brings."""

    key: str
    path: str
    body: Mapping[str, Any]
    facts: int


class Visitors:
    """Several clients at once, each with one request after the other, until they are told to end.

    answered: by key, the facts that an answer named; owed: what was not answered and has not come again yet
    """

    def __init__(self, doors: Sequence[Requests], token: str, seed: int) -> None:
        """Knock at one of `doors` each time: all of them lead to the same log."""
        self._doors = doors
        self._token = token
        self._seed = seed
        self._cases: list[str] = []
        self._enrolled: list[str] = []
        self.answered: dict[str, list[str]] = {}
        self.owed: list[Visit] = []
        self._is_over = Signal()
        self._wrong: list[str] = []

    def enrol(self, number: int) -> None:
        """Enrol so many cases."""
        enrolled = [self._doors[0].enrolled(self._token, f"case-{each}") for each in range(number)]
        self._cases = [each["case"] for each in enrolled]
        self._enrolled = [each["fact"] for each in enrolled]

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Let them come for as long as this is entered."""
        threads = [Thread(target=self._come, args=[number], daemon=True) for number in range(TOGETHER)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests have been answered."""
        enough = len(self.answered) + more

        def is_enough() -> bool:
            assert self._wrong == [], self._wrong
            return len(self.answered) >= enough

        wait_until(is_enough, f"{more} more requests answered")

    def _come(self, number: int) -> None:
        chance = Random(f"visitor {number} of {self._seed}")
        visits = 0
        while not self._is_over.is_set():
            visit = self._visit(number, visits, chance)
            visits += 1
            # Half of those that are not answered insist, the others come again when all is over.
            if not self._made(visit, chance) and not (chance.random() < 0.5 and self._insisted(visit, chance)):
                self.owed.append(visit)

    def _visit(self, number: int, visits: int, chance: Random) -> Visit:
        """Say what nobody has said: a response, that somebody came, or several of them, or a new case."""
        key, session, case_id = f"{number}-{visits}", number * OCCASIONS + visits, chance.choice(self._cases)
        kind = chance.random()
        if kind < 0.4 and visits < OCCASIONS:
            said = {
                "session": session,
                "instrument": "odsis",
                "answers": ANSWERS,
                "answered_at": "2026-01-05T08:00:00Z",
            }
            return Visit(key, f"/v1/cases/{case_id}/response-submitted", said, 1)
        if kind < 0.5:
            body = {"number": key, "protocol": "open-ended", "policy": "gryesten-2023"}
            return Visit(key, "/v1/cases", body, 1)
        if kind < 0.8:
            return Visit(key, f"/v1/cases/{case_id}/session-attended", {"session": session % 1_000}, 1)
        some = chance.sample(self._cases, 3)
        facts = [{"case": each, "state": "session-attended", "session": session % 1_000} for each in some]
        return Visit(key, "/v1/facts", {"facts": facts}, len(facts))

    def _insisted(self, visit: Visit, chance: Random) -> bool:
        while not self._is_over.wait(AGAIN):
            if self._made(visit, chance):
                return True
        return False

    def _made(self, visit: Visit, chance: Random) -> bool:
        """Send a request; tell whether it was answered by what it asked for."""
        try:
            status, answer = chance.choice(self._doors).ask("POST", visit.path, self._token, visit.body, visit.key)
        except (OSError, http.client.HTTPException):
            return False
        if status == 503:
            return False
        if status != 201:
            self._wrong.append(f"{visit.key} was answered with {status}: {answer}")
            return False
        facts = [each["fact"] for each in answer.get("facts", [answer])]
        if len(facts) != visit.facts or self.answered.setdefault(visit.key, facts) != facts:
            self._wrong.append(f"{visit.key} was answered otherwise than before")
        return True

    def settle(self) -> None:
        """Come again with everything that was not answered, until it is."""
        self._is_over.clear()
        chance = Random(f"those who come again, {self._seed}")
        for visit in self.owed:
            wait_until(lambda visit=visit: self._made(visit, chance), f"{visit.key} answered")  # type: ignore[misc]
        assert self._wrong == [], self._wrong

    def require_kept(self, on_log: Sequence[Event[Data]]) -> None:
        """Make sure that everything that was answered is on the log, once, and nothing else is."""
        found = Counter(fact.id for fact in on_log)
        told = {*self._enrolled, *(fact for facts in self.answered.values() for fact in facts)}
        lost = told - found.keys()
        assert not lost, f"{len(lost)} facts were answered and are not on the log"
        strange = found.keys() - told
        assert not strange, f"{len(strange)} facts are on the log and were never answered"
        twice = [fact for fact, times in found.items() if times > 1]
        assert not twice, f"{len(twice)} facts are on the log more than once"


async def on_log(home: Home) -> list[Event[Data]]:
    """Give every fact on the log, as often as it stands there."""
    records = [
        record
        for partition in range(CASES.partitions)
        for record in await home.log.read(CASES, partition, 0, 1_000_000)
    ]
    keys = await home.keyring.keys({record.key for record in records})
    facts = []
    for record in records:
        key = keys[record.key]
        assert isinstance(key, CaseKey)
        fact = decode(record.value, CASES, key)
        assert isinstance(fact, Event), fact.reason
        facts.append(fact)
    return facts
