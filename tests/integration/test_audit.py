"""`ontrack audit` on a region: its history verifies while its services work, and what is done to it is found."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Final

import orjson

from contracts.topics import CASES, NOTICES, SCORES, TRACKS
from services.distributed import DistributedHome
from services.ingest.access import Client, Tokens
from services.runtime.documents import Documents
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.store.mongo import POSITIONS, states_of
from tests.auditor.tampering import renamed
from tests.support.command import succeeded
from tests.support.region import STAGES, Region, wait_until
from tests.support.requests import Requests

SOME: Final = 400
PACE: Final = 0.05
"""Seconds between two answers: a region has thousands of patients, who do not all answer each second."""

ANSWERED: Final = 120
ANSWERS: Final = {"frequency": 2, "intensity": 1, "engagement": 3, "work_school_home": 0, "social_life": 2}
LOST: Final = ("register", "scoring", "not_detector", "notifier")
PARTITIONS: Final = range(CASES.partitions)


async def recorded(home: DistributedHome) -> int:
    return sum((await home.log.ends(CASES, PARTITIONS)).values())


async def ends(home: DistributedHome) -> dict[str, Mapping[int, int]]:
    """Where every topic of cases ends."""
    return {topic.name: await home.log.ends(topic, PARTITIONS) for topic in (CASES, SCORES, TRACKS, NOTICES)}


async def last(home: DistributedHome) -> tuple[int, Record]:
    """The last record of a partition of the tracks, and its number."""
    ends = await home.log.ends(TRACKS, PARTITIONS)
    partition = next(partition for partition in PARTITIONS if ends[partition])
    (record,) = await home.log.read(TRACKS, partition, ends[partition] - 1, 1)
    return partition, Record(record.key, record.value)


async def appended(region: Region, partition: int, record: Record) -> None:
    async with KafkaLog(region.brokers) as log:
        await log.append(TRACKS, partition, [record])


async def dropped(region: Region, stages: Sequence[str]) -> None:
    """Take away what stages know, and how far they have come."""
    async with Documents(region.server) as documents:
        for stage in stages:
            await documents.remove_all(states_of(stage))
            await documents.remove_where(POSITIONS, {"stage": stage})


class Answering:
    """Patients who answer one after the other, each until the answer is taken."""

    def __init__(self, region: Region, port: int) -> None:
        self._requests = Requests(port)
        self._token = Tokens(region.tokens).make(Client("caller", "admin", "north"), datetime.now(UTC))
        self._cases = [self._requests.enrolled(self._token, f"patient-{number}")["case"] for number in range(24)]
        self._enough = threading.Event()
        self.taken = 0

    def run(self) -> None:
        for session, case_id in product(range(500), self._cases):
            if self._enough.wait(PACE):
                return
            answered = (datetime.now(UTC) - timedelta(minutes=600 - session)).isoformat()
            body = {"session": session, "instrument": "odsis", "answers": ANSWERS, "answered_at": answered}
            self._answer(case_id, body, f"{case_id}-{session}")
            self.taken += 1

    def _answer(self, case_id: str, body: object, key: str) -> None:
        path = f"/v1/cases/{case_id}/response-submitted"

        def is_taken() -> bool:
            with suppress(OSError):
                return self._requests.ask("POST", path, self._token, body, key)[0] == HTTPStatus.CREATED
            return False

        wait_until(is_taken, "an answer is taken")

    def stop(self) -> None:
        self._enough.set()


def test_what_stages_have_lost_is_made_anew_while_facts_keep_coming_in(region: Region) -> None:
    # given a region whose services work, while patients answer
    region.provision()
    ingest, *others = region.serve("ingest", *STAGES)
    for process in (ingest, *others):
        process.wait_until_ready()
    answering = Answering(region, ingest.api_port)
    with ThreadPoolExecutor() as beside:
        asking = beside.submit(answering.run)
        try:
            wait_until(lambda: answering.taken >= ANSWERED, "answers that were taken")

            # when what every stage knows is dropped from the database, and made anew by two processes meanwhile
            asyncio.run(dropped(region, LOST))
            told = region.succeeded("audit", "replay", "--swap", "--processes", "2", "--format", "json").out

            # then patients are answered again
            before = answering.taken
            wait_until(lambda: answering.taken >= before + ANSWERED, "answers that are taken again")
        finally:
            answering.stop()
        asking.result()
    assert {row["now"] for row in orjson.loads(told)} == {"replaced"}

    # and the services go on from what was put in place, as if nothing had been lost
    region.wait_until_settled()
    assert region.asked(recorded) >= answering.taken
    verified = region.succeeded("audit", "verify").told
    assert "The history verifies" in verified
    for stage in LOST:
        assert f"{stage}: 24 states as derived; digest" in verified


def test_several_processes_put_on_the_log_what_no_stage_has_said_and_nothing_over_what_does_not_follow(
    region: Region, tmp_path: Path
) -> None:
    # given a region with the facts of a clinic, of which no service has read any
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "3", "--output", cohort)
    region.provision()
    region.succeeded("import", cohort, "--enrol")

    # when several processes make anew what the stages should know
    by_several = ("--processes", "3")
    swapped = region.succeeded("audit", "replay", "--swap", *by_several)

    # then what follows is on the log, and what the stages know is that
    assert "Put on the log what follows from its facts and was not there: " in swapped.told
    told = region.succeeded("audit", "verify", *by_several).told
    assert "The history verifies" in told
    for stage in LOST:
        assert f"{stage}: 8 states as derived; digest" in told

    # and the services have nothing to add
    before = region.asked(ends)
    for process in region.serve():
        process.wait_until_ready()
    region.wait_until_settled()
    assert region.asked(ends) == before

    # and when there is something on the log that does not follow, then nothing is put in place by several either
    partition, record = region.asked(last)
    sequence = int(orjson.loads(record.value)["sequence"])
    asyncio.run(appended(region, partition, Record(record.key, renamed(record.value, sequence=str(sequence + 1)))))
    ran = region.ontrack("audit", "replay", "--swap", *by_several)
    assert ran.exit_code == 1
    assert "has conclusions that do not follow from its facts (1 underivable)" in ran.told


def test_a_region_says_the_same_as_a_home_that_is_made_of_its_bundle(region: Region, tmp_path: Path) -> None:
    # given a region with the history of a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "7", "--output", cohort)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    region.succeeded("import", cohort, "--enrol")
    region.wait_until_settled()

    # and what stands there was signed by a service
    key, kept = tmp_path / "seal.key", tmp_path / "kept"
    kept.mkdir()
    public = succeeded("audit", "key", "north.example", "--output", key).out.decode().strip()
    (auditor,) = region.serve_with("auditor", ONTRACK_SEAL_KEY_FILE=str(key), ONTRACK_SEAL_DIRECTORY=str(kept))
    auditor.wait_until_ready()
    wait_until(lambda: any(kept.glob("checkpoint-*.txt")), "a checkpoint")
    assert auditor.stop() == 0

    # when a home is made of its bundle, and both are exported
    one, other, keys = tmp_path / "region.zip", tmp_path / "home.zip", tmp_path / "keys"
    told = region.succeeded("audit", "export", "--output", one, "--keys", keys).told
    succeeded("import", one, "--keys", keys, "--data", tmp_path / "home")
    again = succeeded("audit", "export", "--data", tmp_path / "home", "--output", other).told

    # then they say the same, to the byte, and with the same digest
    assert told.partition("digest ")[2].split()[0] == again.partition("digest ")[2].split()[0]
    assert one.read_bytes() == other.read_bytes()
    against: list[str | Path] = ["--checkpoint", *kept.iterdir(), "--public-key", public]
    assert "The history verifies" in succeeded("audit", "verify", "--bundle", one, "--keys", keys, *against).told

    # and a region says so of itself
    assert "Both say the same." in region.succeeded("audit", "diff", "region", tmp_path / "home").told

    # and a policy that is tried says the same of both
    tried = ("policy", "try", "gryesten-2023-window", "--format", "json")
    assert orjson.loads(region.succeeded(*tried).out) == orjson.loads(
        succeeded(*tried, "--data", tmp_path / "home").out
    )


def test_the_history_of_a_region_verifies_while_its_services_work(region: Region, tmp_path: Path) -> None:
    # given a region whose services work on the history of a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "3", "--seed", "5", "--output", cohort)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    with ThreadPoolExecutor() as beside:
        importing = beside.submit(region.succeeded, "import", cohort, "--enrol")
        wait_until(lambda: region.asked(recorded) >= SOME, "facts that are recorded")

        # when it is verified meanwhile, and when everything was worked on
        meanwhile = region.succeeded("audit", "verify").told
        importing.result()
    region.wait_until_settled()
    told = region.succeeded("audit", "verify").told

    # then nothing is found, and in the end every state is as derived
    assert "The history verifies" in meanwhile
    for stage in ("register", "scoring", "not_detector", "notifier"):
        assert f"{stage}: 24 states as derived; digest" in told

    # and an event that somebody has put there is found, where it is
    partition, record = region.asked(last)
    sequence = int(orjson.loads(record.value)["sequence"])
    asyncio.run(appended(region, partition, Record(record.key, renamed(record.value, sequence=str(sequence + 1)))))
    ran = region.ontrack("audit", "verify", "--format", "json")
    first, *_ = orjson.loads(ran.out)["findings"]
    assert (ran.exit_code, first["finding"], first["topic"]) == (1, "underivable", TRACKS.name)
    assert (first["partition"], first["case"]) == (partition, record.key)
