"""A region is kept in a file while it takes answers, and is made again of it, as a region or as a directory."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, PARTITIONS, SCORES, TOPICS
from services.distributed import DistributedHome, empty_region, provision
from services.embedded import MASTER_KEY, EmbeddedHome
from services.ingest.access import Client as Credential
from services.ingest.access import Tokens
from services.runtime.backup.archive import Backup
from services.runtime.backup.restoring import put_back
from services.runtime.directory.mongo import DIRECTORY
from services.runtime.documents import Documents
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import KEYS, MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.log.topics import Cluster
from services.runtime.roster.mongo import ROSTER, MongoRoster
from services.runtime.roster.port import Clinic
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import Position
from tests.support.clients import Client, Post, Request, working
from tests.support.command import ran_apart
from tests.support.contents import contents_of, holds_all_of, master_key_in
from tests.support.kept import Following, Kept, both_in, both_of, but_for, facts_of, is_beginning_of, kept_of
from tests.support.region import STAGES, Process, Region, region_of_its_own, wait_until
from tests.support.removed import remove_database
from tests.support.servers import ONE_BROKER
from tests.support.simulated import simulated

MORE: Final = 40
SAFETY: Final = ("--replication", "1", "--min-insync", "1")
NOW: Final = datetime(2026, 1, 5, tzinfo=UTC)
SEALED: Final = "Checkpoints stand on its log. Tell whoever keeps them that it was restored, and sign with another key"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Region]:
    """Another region that is empty."""
    folder = tmp_path / "other"
    folder.mkdir()
    with region_of_its_own(folder) as other:
        yield other


def served(region: Region, *names: str) -> list[Process]:
    return [process.wait_until_ready() for process in region.serve(*names)]


def settled(region: Region) -> tuple[Kept, Following]:
    """Wait until the services have read everything; give what is kept and what follows from it."""

    async def left(home: DistributedHome) -> int:
        return await home.left()

    wait_until(lambda: region.asked(left) == 0, "everything processed")
    return region.asked(both_of)


def posting(process: Process, token: str) -> Post:
    credential = {"Authorization": f"Bearer {token}"}
    return lambda path, body, key: process.request("POST", path, body, **credential, Idempotency_Key=key)


def answered_before(file: Path, answered: list[Request]) -> list[Request]:
    with Backup.opened(file) as backup:
        began = backup.manifest.began.timestamp()
    return [request for request in answered if request.at is not None and request.at < began]


def test_a_region_that_is_lost_goes_on_from_its_backup_as_a_region_and_as_a_directory(
    region: Region, other: Region, tmp_path: Path
) -> None:
    # given a region with a history, whose services run and take answers
    cohort, file = tmp_path / "cohort.csv", tmp_path / "region.backup"
    ran_apart("simulate", "--groups", "1", "--seed", "5", "--output", cohort)
    region.provision()
    token = Tokens(region.tokens).make(Credential("records", "ehr", "clinic"), NOW)
    ingest, *_ = served(region, "ingest", *STAGES)
    region.succeeded("import", cohort, "--enrol")
    posts = [Client(f"client-{number}", posting(ingest, token)) for number in range(4)]
    with working(*posts) as clients:
        clients.wait_for_more(MORE)

        # and which is backed up meanwhile
        region.succeeded("backup", file)
        clients.wait_for_more(MORE)
    ingest.stop()
    lost, whole = settled(region), region.asked(contents_of)
    region.stop()

    # when it is killed, and restored as another one
    shutil.copy(region.master_key, other.master_key)
    ran = other.succeeded("restore", file, *SAFETY)

    # then the services, which nobody runs yet, have everything to read, and conclude what was concluded
    assert "Its services conclude the rest: start them with ontrack serve" in ran.told
    assert SEALED not in ran.told
    ingest, *_ = served(other, "ingest", *STAGES)
    found = settled(other)
    before = answered_before(file, clients.answered)
    assert len(before) >= MORE
    assert {request.answer[1]["fact"] for request in before} <= facts_of(found[0])
    assert is_beginning_of(found, lost)
    assert found[0].facts < lost[0].facts

    # and in a directory the same follows
    directory = master_key_in(tmp_path / "directory", region.master_key.read_bytes())
    ran_apart("restore", file, "--data", directory)
    assert both_in(directory) == found

    # and the region goes on: what is repeated is answered alike and changes nothing, and what came later is taken
    post = posting(ingest, token)
    for request in before:
        assert post(request.path, request.body, request.key) == request.answer
    assert other.asked(kept_of) == found[0]
    for client in posts:
        for request in client.sent:
            status, answer = post(request.path, request.body, request.key)
            assert status == HTTPStatus.CREATED
            assert request.at is None or answer == request.answer[1]

    # so that in the end nothing is lost
    settled(other)
    assert holds_all_of(other.asked(contents_of), whole)


async def everything_happens(directory: Path) -> None:
    """Fill a home: with a history, an entry of the roster, a fact that cannot be read, and an erased case."""
    async with await EmbeddedHome.open(directory, write=True) as home:
        await home.roster.put(Clinic(clinic="clinic", id="clinic", zone="Europe/Copenhagen"))
        await home.log.append(CASES, 3, [Record("stray", b"no fact"), Record("", b"")])
        await home.catch_up()
        gone = min([case_id async for case_id in home.store.cases(home.register.name)])
        await home.keyring.destroy(gone)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with everything that can stand on a log."""
    ran_apart("import", simulated(tmp_path / "facts"), "--data", tmp_path / "home")
    Tokens(tmp_path / "home" / "tokens.json").make(Credential("records", "ehr", "clinic"), NOW)
    asyncio.run(everything_happens(tmp_path / "home"))
    ran_apart("audit", "key", "north.example", "--output", tmp_path / "seal.key")
    ran_apart("audit", "seal", "--data", tmp_path / "home", "--key", tmp_path / "seal.key")
    return tmp_path / "home"


@pytest.fixture
def file(home: Path) -> Path:
    """A backup of it."""
    ran_apart("backup", home.with_name("home.backup"), "--data", home)
    return home.with_name("home.backup")


@pytest.fixture
def empty(region: Region, home: Path) -> Region:
    """An empty region with its master key."""
    shutil.copy(home / MASTER_KEY, region.master_key)
    return region


class BrokenOff(Exception):
    """Stands for the end of the process."""


async def begun(region: Region, file: Path, records: int) -> None:
    """Begin to restore, and break off when so many records are there."""
    left = [records]

    def progress(steps: int) -> None:
        left[0] -= steps
        if left[0] <= 0:
            raise BrokenOff

    with Backup.opened(file) as backup, pytest.raises(BrokenOff):
        async with empty_region(region.settings(), ONE_BROKER, backup) as ports:
            await put_back(backup, ports, MasterKey.read(region.master_key), progress)


def test_a_directory_becomes_a_region_whose_services_were_waiting_for_it(home: Path, file: Path, empty: Region) -> None:
    # given services of a region that is not there yet, and a restore that was broken off twice
    processes = empty.serve()
    asyncio.run(begun(empty, file, 1))
    asyncio.run(begun(empty, file, 700))
    processes[0].wait_until(lambda: "never founded" in str(processes[0].why_not("ready")), "it waits for the founding")

    # when somebody wants to work there
    refused = [empty.ontrack(*command) for command in (("provision", *SAFETY), ("tracks",))]

    # then that is refused
    assert [ran.exit_code != 0 for ran in refused] == [True, True], [ran.told for ran in refused]

    # and when it is given again, then it is finished, and the services go on by themselves
    ran = empty.succeeded("restore", file, *SAFETY)
    assert "The region is as the backup has it" in ran.told
    assert SEALED in ran.told
    for process in processes:
        process.wait_until_ready()
    kept, following = settled(empty)
    kept_there, following_there = both_in(home)
    erased = [case_id for case_id, key in kept.keys.items() if key is None]
    assert len(erased) == 1
    assert without_repeats(kept) == kept_there
    assert following.histories == but_for(erased, following_there).histories
    assert empty.tokens.read_bytes() == (home / "tokens.json").read_bytes()


def without_repeats(kept: Kept) -> Kept:
    """Leave out what scoring says again of facts that it cannot read."""
    log = dict(kept.log)
    for partition in range(PARTITIONS):
        seen: dict[bytes, Any] = {}
        for record in log[DEAD_LETTERS.name, partition]:
            seen.setdefault(record[2], record)
        log[DEAD_LETTERS.name, partition] = list(seen.values())
    return Kept(log, kept.keys, kept.persons, kept.roster)


def test_a_region_that_has_lost_its_database_gets_its_keys_back_and_keeps_its_log(
    region: Region, tmp_path: Path
) -> None:
    # given a region with a history and a backup, in which a case was enrolled since
    cohort, later, file = tmp_path / "cohort.csv", tmp_path / "later.csv", tmp_path / "region.backup"
    for seed, name in ((5, cohort), (6, later)):
        ran_apart("simulate", "--groups", "1", "--seed", f"{seed}", "--output", name)
    later.write_bytes(b"".join(line.replace(b"P0001", b"later", 1) for line in lines_of_a_case(later)))
    region.provision()
    processes = served(region)
    region.succeeded("import", cohort, "--enrol")
    region.succeeded("backup", file)
    region.succeeded("import", later, "--enrol")
    kept, following = settled(region)
    for process in processes:
        process.stop()

    # when its database is lost, and the backup restored
    asyncio.run(remove_database(region.server))
    ran = region.succeeded("restore", file, *SAFETY)

    # then the log is as it was, and it is said what else there is to do
    assert "The log was there already, and stays as it is." in ran.told
    for stage in ("register", "scoring", "not-detector", "notifier"):
        region.succeeded("rebuild", stage)
    served(region)
    kept_again, following_again = settled(region)
    assert kept_again.log == kept.log
    assert following_again.histories == following.histories

    # and only the case that came after the backup cannot be read any more
    [lost] = kept.keys.keys() - kept_again.keys.keys()
    assert kept_again.keys.items() <= kept.keys.items()
    assert following_again.halted["scoring"] == [lost]
    assert following_again.states["notifier"] == {
        case_id: state for case_id, state in following.states["notifier"].items() if case_id != lost
    }


def lines_of_a_case(file: Path) -> list[bytes]:
    heads, *lines = file.read_bytes().splitlines(keepends=True)
    return [heads, *(line for line in lines if line.startswith(b"P0001,"))]


# Places that are not empty


async def founded(region: Region) -> None:
    await provision(region.settings(), ONE_BROKER)


async def with_facts(region: Region) -> None:
    await Cluster(region.brokers).make_topics(ONE_BROKER)
    async with KafkaLog(region.brokers) as log:
        await log.append(CASES, 3, [Record("stray", b"another fact")])


async def with_conclusions(region: Region) -> None:
    await Cluster(region.brokers).make_topics(ONE_BROKER)
    async with KafkaLog(region.brokers) as log:
        await log.append(SCORES, 3, [Record("stray", b"a score")])


async def with_a_key(region: Region) -> None:
    async with Documents(region.server) as documents:
        await MongoKeyring(documents, MasterKey.read(region.master_key)).put_back({"0": None})


async def with_a_roster(region: Region) -> None:
    async with Documents(region.server) as documents:
        await MongoRoster(documents).put(Clinic(clinic="another", id="another"))


async def worked(region: Region) -> None:
    async with Documents(region.server) as documents:
        await MongoStore(documents).set_position("notifier", 11, Position("another", 3))


async def of_another_master_key(region: Region) -> None:
    async with Documents(region.server) as documents:
        await MongoKeyring(documents, MasterKey(bytes(32))).remember_master()


async def without_a_place_for_tokens(region: Region) -> None:
    region.names_tokens = False


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (founded, "it was founded already, and a backup goes into an empty region: name other topics and another"),
        (with_facts, "rom.cases.v1 is not empty, and a backup goes into an empty region"),
        (with_conclusions, "rom.scores.v1 is not empty, and a backup goes into an empty region"),
        (with_a_key, "the database has other keys entries, and a backup goes into an empty region"),
        (with_a_roster, "the database has other roster entries, and a backup goes into an empty region"),
        (worked, "notifier has worked here already, and a backup goes into an empty region"),
        (of_another_master_key, "the master key is not the one of this data"),
        (without_a_place_for_tokens, "holds tokens: set ONTRACK_TOKENS_FILE to where their file belongs"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_region_that_is_not_empty_is_refused_and_left_as_it_is(
    empty: Region, file: Path, spoil: Callable[[Region], Awaitable[None]], told: str
) -> None:
    # given a region in which something is already
    asyncio.run(spoil(empty))  # type: ignore[arg-type] # each of them is a coroutine
    before = asyncio.run(counted(empty))

    # when a backup is to be restored there
    refused = empty.ontrack("restore", file, *SAFETY)

    # then it is refused with what to do, and nothing was put there
    assert refused.exit_code == 2
    assert told in refused.told
    assert asyncio.run(counted(empty)) == before


def test_a_region_that_has_tokens_keeps_them_and_is_restored(empty: Region, file: Path) -> None:
    # given an empty region with tokens, as `ontrack secrets` makes one for the mailer
    Tokens(empty.tokens).make(Credential("another", "ehr", "clinic"), NOW)
    before = empty.tokens.read_bytes()

    # when a backup is restored there
    ran = empty.succeeded("restore", file, *SAFETY)

    # then they hold, and that is said
    assert f"{empty.tokens} holds other tokens than the backup and stays as it is" in ran.told
    assert empty.tokens.read_bytes() == before
    assert asyncio.run(counted(empty))[0] > 0


async def counted(region: Region) -> list[int]:
    """Count what a region holds: records, keys, persons, entries of the roster."""
    async with KafkaLog(region.brokers) as log, Documents(region.server) as documents:
        held = [len([each async for each in documents.each(name)]) for name in (KEYS, DIRECTORY, ROSTER)]
        if not await Cluster(region.brokers).has(DEFINITIONS):
            return [0, *held]
        ends = [sum((await log.ends(topic, range(topic.partitions))).values()) for topic in TOPICS.values()]
        return [sum(ends), *held]


def test_a_backup_says_that_it_has_no_tokens_where_nobody_says_where_they_are(region: Region, tmp_path: Path) -> None:
    region.provision()
    region.names_tokens = False
    ran = region.succeeded("backup", tmp_path / "it")
    assert "and no tokens" in ran.told
    assert "If clients have tokens, set ONTRACK_TOKENS_FILE, so that the next backup holds them." in ran.told
