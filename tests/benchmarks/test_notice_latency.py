"""How long it takes from a patient's answer over HTTP until its report is on the log, and until a mail server has it.

Run by `make benchmark`. A clinic in one process, and a region of five services with its brokers and its database; each
with a caller, a mail server and whoever looks on the same cores. Every fifth answer makes a report, and one mail.
FerretDB is a stand-in for MongoDB: its rate is no statement about MongoDB.
"""

import asyncio
import sqlite3
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.notices import ReportIssued
from contracts.topics import NOTICES
from services.embedded import DATABASE
from services.ingest.access import EVERY, TOKENS, Client, Tokens
from services.runtime.database import table_of
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import next_offset
from tests.support.post_office import OK, PostOffice, post_office_beside
from tests.support.region import region_of_its_own, wait_until
from tests.support.running import running

pytestmark = pytest.mark.benchmark

RATE: Final = 50
"""Responses a second."""

ROUNDS: Final = 5
ANSWERS: Final = 250
OF_WHICH_REPORT: Final = 5
CALLERS: Final = 64
AGAIN: Final = 1.0
NOW: Final = datetime.now(UTC)
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
BETTER, WORSE = 1, 3
FERRETDB: Final = "FerretDB is a stand-in: its rate is no statement about MongoDB."

Ask = Callable[[str, str, Any, str], tuple[int, Any]]
"""Sends a request: method, path, body, and a key that tells it from others."""


class Watched:
    """When an answer was sent, when that was answered, when its report was there, and when its mail."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self.reported: dict[str, float] = {}
        self.mailed: dict[str, float] = {}

    def saw_record(self, record: bytes) -> None:
        """Look at a record of the topic of reports."""
        wire = orjson.loads(record)
        if wire["type"] == ReportIssued.type():
            self.reported.setdefault(wire["subject"], time.perf_counter())

    def saw_letter(self, address: str) -> str:
        """Look at a letter that is taken now."""
        self.mailed.setdefault(address.partition("@")[0], time.perf_counter())
        return OK


class Load:
    """Answers of patients, one after the other, at a rate."""

    def __init__(self, ask: Ask, watched: Watched, number: int) -> None:
        self._ask = ask
        self._watched = watched
        self._round = number
        self._cases: list[tuple[str, bool]] = []

    def prepare(self, together: ThreadPoolExecutor) -> None:
        """Enrol the cases, each with a baseline; one that will get worse has a therapist of its own."""
        self._cases = list(together.map(self._prepared, range(ANSWERS)))

    def _prepared(self, place: int) -> tuple[str, bool]:
        name, gets_worse = f"{self._round}-{place}", place % OF_WHICH_REPORT == 0
        enrolment = {"number": name, "protocol": "open-ended", "policy": "gryesten-2023"}
        if gets_worse:
            self._done("PUT", f"/v1/groups/{name}", {"sessions": {}, "therapists": [name]})
            enrolment["group"] = name
        case_id: str = self._done("POST", "/v1/cases", enrolment)["case"]
        if gets_worse:
            self._done("PUT", f"/v1/therapists/{name}", {"address": f"{case_id}@north.example"})
        self._answer(case_id, 0, BETTER)
        return case_id, gets_worse

    def _answer(self, case_id: str, session: int, value: int) -> None:
        body = {
            "session": session,
            "instrument": "odsis",
            "answers": dict.fromkeys(ODSIS, value),
            "answered_at": (NOW - timedelta(days=7 - 7 * session)).isoformat(),
        }
        self._done("POST", f"/v1/cases/{case_id}/response-submitted", body)

    def _done(self, method: str, path: str, body: Any) -> Any:
        """Send a request until it is answered: a server that is busy says when to come again."""
        key = sha256(f"{self._round}{path}".encode() + orjson.dumps(body)).hexdigest()
        while (answered := self._ask(method, path, body, key))[0] in (0, HTTPStatus.SERVICE_UNAVAILABLE):
            time.sleep(AGAIN)
        status, answer = answered
        assert status in (HTTPStatus.OK, HTTPStatus.CREATED), answer
        return answer

    def run(self, together: ThreadPoolExecutor) -> None:
        """Send the answers at the rate, however long each takes, and wait until all is done."""
        start = time.perf_counter()
        futures = []
        for place, (case_id, gets_worse) in enumerate(self._cases):
            time.sleep(max(0.0, start + place / RATE - time.perf_counter()))
            futures.append(together.submit(self._timed, case_id, WORSE if gets_worse else BETTER))
        for future in futures:
            future.result()
        worse = {case_id for case_id, gets_worse in self._cases if gets_worse}
        wait_until(lambda: worse <= self._watched.mailed.keys() & self._watched.reported.keys(), "all was told")

    def _timed(self, case_id: str, value: int) -> None:
        self._watched.sent[case_id] = time.perf_counter()
        self._answer(case_id, 1, value)
        self._watched.answered[case_id] = time.perf_counter()


def test_up(tmp_path: Path) -> None:
    with post_office_beside(tmp_path) as office, running(tmp_path / "live", environment=mail(office)) as clinic:
        token = Tokens(tmp_path / "live" / TOKENS).make(Client("caller", "admin", "north"), NOW)

        def ask(method: str, path: str, body: Any, _: str) -> tuple[int, Any]:
            return clinic.ask(method, path, body, token)

        measured("a clinic in one process", ask, office, lambda watched: watching_file(tmp_path / "live", watched))


def test_region(tmp_path: Path) -> None:
    with post_office_beside(tmp_path) as office, region_of_its_own(tmp_path) as region:
        tokens = Tokens(region.provision().tokens)
        admin = tokens.make(Client("caller", "admin", "north"), NOW)
        ingest, *others = region.serve("ingest", "scoring", "not-detector", "notifier")
        named = {
            "ONTRACK_INGEST_URL": f"http://127.0.0.1:{ingest.api_port}",
            "ONTRACK_INGEST_TOKEN": tokens.make(Client("mailer", "mailer", EVERY), NOW),
        }
        for process in (ingest, *others, *region.serve_with("mailer", **named, **mail(office))):
            process.wait_until_ready()

        def ask(method: str, path: str, body: Any, key: str) -> tuple[int, Any]:
            return ingest.request(method, path, body, Authorization=f"Bearer {admin}", Idempotency_Key=key)

        measured("a region, FerretDB", ask, office, lambda watched: watching_topic(KafkaLog(region.brokers), watched))
    print(FERRETDB)


def measured(name: str, ask: Ask, office: PostOffice, watching: Callable[[Watched], Any]) -> None:
    """Measure some rounds and print what came out."""
    rounds: dict[str, list[Sequence[float]]] = defaultdict(list)
    with ThreadPoolExecutor(CALLERS) as together:
        for number in range(ROUNDS):
            watched = Watched()
            office.of_letter = watched.saw_letter
            load = Load(ask, watched, number)
            load.prepare(together)
            with watching(watched):
                load.run(together)
            for what, seen in (
                ("answered", watched.answered),
                ("report on the log", watched.reported),
                ("mail with the server", watched.mailed),
            ):
                rounds[what].append([at - watched.sent[case_id] for case_id, at in seen.items()])
    print(f"\n{name}: {RATE} responses a second, every {OF_WHICH_REPORT}th makes a report; medians of {ROUNDS} rounds,")
    print(f"milliseconds from before the request is sent\n  {'until':24}{'p50':>10}{'p99':>10}")
    for what, found in rounds.items():
        print(f"  {what:24}" + "".join(f"{_median(found, at) * 1e3:10.1f}" for at in (50, 99)))


def _median(rounds: Sequence[Sequence[float]], at: int) -> float:
    return statistics.median(statistics.quantiles(each, n=100, method="inclusive")[at - 1] for each in rounds)


def mail(office: PostOffice) -> Mapping[str, str]:
    """Give the settings of a mail server."""
    return {
        "ONTRACK_SMTP_HOST": "127.0.0.1",
        "ONTRACK_SMTP_PORT": str(office.port),
        "ONTRACK_SMTP_CA_FILE": str(office.ca_file),
        "ONTRACK_MAIL_FROM": "ontrack@north.example",
        "ONTRACK_PORTAL_URL": "https://ontrack.north.example",
    }


@contextmanager
def watching_file(data: Path, watched: Watched) -> Iterator[None]:
    """Look every ten milliseconds what has come to the file of a clinic."""
    done = threading.Event()

    def watch() -> None:
        connection = sqlite3.connect(data / DATABASE)
        tables = [table_of(NOTICES, partition) for partition in range(NOTICES.partitions)]
        begun = [f'SELECT coalesce(max("offset"), -1) FROM {table}' for table in tables]  # noqa: S608 - ours
        seen = [int(connection.execute(each).fetchone()[0]) for each in begun]
        while not done.wait(0.01):
            for place, table in enumerate(tables):
                statement = f'SELECT "offset", value FROM {table} WHERE "offset" > ? ORDER BY "offset"'  # noqa: S608
                for offset, value in connection.execute(statement, (seen[place],)):
                    seen[place] = offset
                    watched.saw_record(value)
        connection.close()

    yield from _beside(watch, done)


@contextmanager
def watching_topic(log: KafkaLog, watched: Watched) -> Iterator[None]:
    """Read what comes to a topic."""
    done = threading.Event()

    async def read() -> None:
        async with log:
            offsets = dict(await log.ends(NOTICES, range(NOTICES.partitions)))
            while not done.is_set():
                for partition, end in (await log.ends(NOTICES, range(NOTICES.partitions))).items():
                    if end > offsets[partition]:
                        records = await log.read(NOTICES, partition, offsets[partition], 1_000)
                        offsets[partition] = next_offset(records)
                        for record in records:
                            watched.saw_record(record.value)
                await asyncio.sleep(0.01)

    yield from _beside(lambda: asyncio.run(read()), done)


def _beside(watch: Callable[[], None], done: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
