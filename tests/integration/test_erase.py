"""`ontrack erase` in a region whose services work: nothing of the case is in any collection, nor open on any topic."""

import asyncio
import json
import shutil
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bson import encode as as_bson

from contracts.codec import CaseKey
from contracts.topics import CASES, TOPICS
from services.distributed import DistributedHome
from services.mailer.domain.delivery import begun
from services.runtime.documents import Documents
from services.runtime.keyring.mongo import KEYS
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import next_offset
from tests.support.desk import bdi_policy, row, table
from tests.support.region import Process, Region
from tests.support.removed import remove_database

ANNA, GONE, COMMENT = "0101801234", "0202804321", "since Karen has left"
SAFETY: Final = ("--replication", "1", "--min-insync", "1")
AT: Final = datetime(2026, 6, 1, tzinfo=UTC)


async def case_of(home: DistributedHome) -> str:
    [case_id] = await home.cases_named(GONE)
    return case_id


async def let_mail_wait(home: DistributedHome) -> None:
    case_id = await case_of(home)
    await home.outbox.begin(begun(case_id, f"notice-of-{case_id}", ["bo"], AT))


async def secrets_of(home: DistributedHome) -> dict[str, bytes]:
    """What must not be found any more."""
    case_id = await case_of(home)
    key = (await home.keyring.keys([case_id]))[case_id]
    assert isinstance(key, CaseKey)
    [wrapped] = [wrapped async for case, wrapped in home.keyring.wrapped() if case == case_id]
    [entry] = [person.sealed async for person in home.people.sealed() if person.case_id == case_id]
    states = {stage.name: (await home.store.load(stage.name, [case_id]))[case_id].body for stage in home.stages}
    assert wrapped is not None
    return {
        "number": GONE.encode(),
        "comment": COMMENT.encode(),
        "key": key.secret,
        "key as text": b64encode(key.secret),
        "wrapped key": wrapped,
        "entry": entry,
        "mail": f"notice-of-{case_id}".encode(),
        **{f"state of {name}": body for name, body in states.items()},
    }


async def documents_of(region: Region) -> dict[str, bytes]:
    """Every document of every collection, written down again."""
    async with Documents(region.server) as documents:
        names = await documents._database.list_collection_names()  # noqa: SLF001 - nobody else asks for all of them
        return {
            f"{name}/{document['_id']}": as_bson(document) for name in names async for document in documents.each(name)
        }


async def records_of(region: Region) -> list[bytes]:
    """Every record of every topic."""
    found: list[bytes] = []
    async with KafkaLog(region.brokers) as log:
        for topic in TOPICS.values():
            for partition in range(topic.partitions):
                offset = 0
                while records := await log.read(topic, partition, offset, 1_000):
                    found += [record.value for record in records]
                    offset = next_offset(records)
    return found


def found(region: Region, secrets: Mapping[str, bytes]) -> set[str]:
    """Which secrets stand in a document or a record."""
    everything = [*asyncio.run(documents_of(region)).values(), *asyncio.run(records_of(region))]
    return {name for name, secret in secrets.items() if any(secret in each for each in everything)}


def served(region: Region) -> list[Process]:
    return [process.wait_until_ready() for process in region.serve()]


def test_nothing_of_an_erased_case_is_left_in_a_region(region: Region, tmp_path: Path) -> None:
    # given a region whose services work, with two cases, a mail that waits, and a backup, which somebody has copied
    answers = tmp_path / "answers.csv"
    rows = [row(case, session, 20 + 6 * session, comment=COMMENT) for case in (ANNA, GONE) for session in range(5)]
    answers.write_bytes(table(rows))
    region.provision()
    services = served(region)
    policy = bdi_policy(tmp_path / "clinic-bdi.json")
    region.succeeded("import", answers, "--enrol", "--policy", policy)
    region.wait_until_settled()
    region.asked(let_mail_wait)
    secrets, gone = region.asked(secrets_of), region.asked(case_of)
    region.succeeded("backup", tmp_path / "monday.backup")
    kept = shutil.copy(tmp_path / "monday.backup", tmp_path / "kept.backup")
    assert found(region, secrets) == set(secrets) - {"number", "comment", "key", "key as text"}

    # when one is erased
    erase = ("erase", GONE, "--ground", "asked-for", "--by", "kim", "--confirm", GONE)
    ran = region.succeeded(*erase)

    # then nothing is found of it, but its id: under it stands that its key was destroyed
    assert f"the backup {tmp_path}/monday.backup was written anew without it" in ran.said
    assert found(region, secrets) == set()
    left = {name for name, document in asyncio.run(documents_of(region)).items() if gone.encode() in document}
    assert left == {f"{KEYS}/{gone}"}

    # and the services go on: the history verifies, and whoever asks is told
    region.wait_until_settled()
    verified = region.succeeded("audit", "verify").told
    assert "The history verifies" in verified
    assert f"{gone}: this case was erased on 20" in verified
    assert "by kim: the patient asked for it" in region.succeeded("case", GONE).told
    before = region.asked(lambda home: home.log.ends(CASES, range(CASES.partitions)))
    answers.write_bytes(table([row(GONE, 7, 30)]))
    assert "a case that was not erased was expected" in region.ontrack("import", answers).told
    assert region.asked(lambda home: home.log.ends(CASES, range(CASES.partitions))) == before
    assert "It was erased before" in region.succeeded(*erase).said.replace("\n", " ")
    assert all(process.asked("/alive")[0] == 200 for process in services)

    # and when the database is lost, and a copy of the old backup is all there is
    for process in services:
        process.stop()
    asyncio.run(remove_database(region.server))
    region.succeeded("restore", kept, *SAFETY)
    region.succeeded("audit", "replay", "--swap")

    # then the log still knows, and neither key nor person comes back
    assert found(region, secrets) == set()
    assert "by kim: the patient asked for it" in region.succeeded("case", GONE).told
    assert "The history verifies" in region.succeeded("audit", "verify").told
    listed = region.succeeded("tracks", "--format", "json").out
    assert {line["case"] for line in json.loads(listed)} == {ANNA}
