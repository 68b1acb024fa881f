"""Each service is let in at the brokers with a password, and may do there what the table of topics says of it."""

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import pytest
import trustme

from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from deploy.local.kafka import KafkaCluster, Security
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers, why_away
from services.runtime.log.disks import BrokerDisk, disk_of
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import LogUnavailable, Record
from services.runtime.log.topics import Cluster
from services.runtime.log.users import Act, Kind, Right, let_in
from services.users import AUDITOR, OPERATOR, rights, users
from tests.integration.test_security import certificate
from tests.support.region import wait_until
from tests.support.servers import ONE_BROKER

pytestmark = [
    pytest.mark.xdist_group("security"),
    # aiokafka leaves the connection of whom a broker does not let in to the collector, which is called here.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

T = TypeVar("T")
RECORD: Final = Record("case", b"what was said")


@dataclass
class Guarded:
    """Brokers that let in whom they know. administrator: who may do everything; clients: without a user"""

    administrator: Brokers
    clients: Brokers

    def as_user(self, name: str) -> Brokers:
        """Reach them as somebody."""
        return replace(self.clients, username=name, password=f"password of {name}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Brokers with all topics and all users; who comes without TLS may do everything there."""
    folder, authority = tmp_path_factory.mktemp("guarded"), trustme.CA()
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    own = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with scratch_directory() as servers:
        kafka = KafkaCluster(servers / "kafka", security=Security(certificate(authority, folder), {}), properties=own)
        kafka.start()
        administrator = Brokers(kafka.servers, "region.")
        asyncio.run(Cluster(administrator).make_topics(ONE_BROKER))
        passwords = {user: f"password of {user}" for user in users()}
        asyncio.run(let_in(administrator, passwords, list(rights(administrator))))
        lent = Guarded(administrator, Brokers(kafka.secure_servers, "region.", tls))
        for user in users():
            wait_until(partial(is_let_in, lent.as_user(user)), f"{user} let in")
        yield lent
        gc.collect()


def is_let_in(brokers: Brokers) -> bool:
    why = asyncio.run(why_away(brokers))
    gc.collect()
    return why is None


def answered(brokers: Brokers, ask: Callable[[KafkaLog], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with KafkaLog(brokers, patience=5) as log:
            return await ask(log)

    return asyncio.run(asked())


def may_write(brokers: Brokers, topic: Topic) -> bool:
    try:
        answered(brokers, lambda log: log.append(topic, 0, [RECORD]))
    except LogUnavailable:
        return False
    return True


def may_read(brokers: Brokers, topic: Topic) -> bool:
    try:
        records = answered(brokers, lambda log: log.read(topic, 0, 0, 1))
    except LogUnavailable:
        return False
    return [each.value for each in records] == [RECORD.value]


WRITES: Final[Mapping[str, set[Topic]]] = {
    "ingest": {CASES, DEFINITIONS},
    "scoring": {SCORES, DEAD_LETTERS},
    "not-detector": {TRACKS},
    "notifier": {NOTICES},
    "mailer": set(),
    AUDITOR: set(),
    OPERATOR: {CASES, DEFINITIONS},
}
READS: Final = {
    "ingest": {CASES, DEFINITIONS},
    "scoring": {CASES, DEFINITIONS},
    "not-detector": {SCORES, DEFINITIONS},
    "notifier": {TRACKS, DEFINITIONS},
    "mailer": {NOTICES, DEFINITIONS},
    AUDITOR: {CASES, SCORES, TRACKS, NOTICES, DEFINITIONS, DEAD_LETTERS},
}


def test_everybody_whom_the_table_names_is_a_user() -> None:
    assert set(users()) == WRITES.keys()


@pytest.mark.parametrize("user", READS)
def test_a_service_reads_and_writes_what_the_table_says_and_nothing_else(guarded: Guarded, user: str) -> None:
    # given a record on each topic that has any
    own = [CASES, SCORES, TRACKS, NOTICES, DEFINITIONS, DEAD_LETTERS]
    for topic in own:
        assert may_write(guarded.administrator, topic)

    # when a service tries each, then it may do what is its own
    brokers = guarded.as_user(user)
    assert {topic.name for topic in own if may_write(brokers, topic)} == {topic.name for topic in WRITES[user]}
    assert {topic.name for topic in own if may_read(brokers, topic)} == {topic.name for topic in READS[user]}


def test_whoever_gives_commands_reads_everything_and_writes_what_is_taken_in(guarded: Guarded) -> None:
    operator = guarded.as_user(OPERATOR)
    for topic in (CASES, NOTICES):
        assert may_write(guarded.administrator, topic)
        assert may_read(operator, topic)
    assert may_write(operator, CASES)
    assert not may_write(operator, NOTICES)
    assert asyncio.run(Cluster(operator).members("scoring")) == 0


@pytest.mark.parametrize("user", ["ingest", OPERATOR])
def test_everybody_sees_how_topics_are_made(guarded: Guarded, user: str) -> None:
    asyncio.run(Cluster(guarded.as_user(user)).require_topics(TOPICS.values()))


def test_how_full_disks_are_is_told_to_the_operator_and_to_no_service(guarded: Guarded) -> None:
    operator, service = guarded.as_user(OPERATOR), guarded.as_user("scoring")
    assert asyncio.run(disk_of(operator, operator.servers)).room is not None
    assert asyncio.run(disk_of(service, service.servers)) == BrokerDisk()


def test_a_password_that_is_changed_holds_from_then_on(guarded: Guarded) -> None:
    # given a user
    old = replace(guarded.as_user("somebody"), password="old")
    new = replace(old, password="new")
    right = Right("somebody", Act.WRITE, Kind.TOPIC, guarded.administrator.topic(SCORES))
    asyncio.run(let_in(guarded.administrator, {"somebody": "old"}, [right]))
    wait_until(lambda: is_let_in(old), "somebody let in")
    assert may_write(old, SCORES)

    # when they are let in with another password
    asyncio.run(let_in(guarded.administrator, {"somebody": "new"}, [right]))

    # then only that one is taken
    wait_until(lambda: is_let_in(new), "somebody let in with the new password")
    assert may_write(new, SCORES)
    assert not is_let_in(old)


def test_who_may_not_let_others_in_is_told_so(guarded: Guarded) -> None:
    with pytest.raises(LogUnavailable, match="the brokers let nobody be let in"):
        asyncio.run(let_in(guarded.as_user("scoring"), {"somebody": "password"}, []))
