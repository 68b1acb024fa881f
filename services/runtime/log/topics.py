"""The topics of a cluster: made from the table of topics, and compared with it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from contracts.topics import TOPICS, Topic
from services.runtime.brokers import REQUEST_TIMEOUT, Brokers, asked, why_away
from services.runtime.log.port import LogUnavailable
from services.runtime.refusals import BrokersMissing, TopicsUnfit

KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""The settings of every topic that decide whether history stays."""

IN_SYNC: Final = "min.insync.replicas"
FLUSHED: Final = "flush.messages"

_LOOK_AGAIN: Final = 0.2
_NO_GROUPS: Final = (
    "the brokers keep no groups, so no service can read: see that all of them run, and that "
    "offsets.topic.replication.factor is no more than there are"
)
_OTHER_SAFETY: Final = "it was made with other copies; ask for those, or change them with Kafka's own tools"


@dataclass(frozen=True, slots=True)
class Safety:
    """How often every record is kept, and how many copies there must be before it is acknowledged.

    flushed: whether a broker writes every message to its disk before it acknowledges; for a cluster of one broker,
        which has no other copy when the power fails
    """

    replication: int
    min_insync: int
    flushed: bool = False

    def settings(self) -> dict[str, str]:
        """Give the settings of a topic."""
        flush = {FLUSHED: "1"} if self.flushed else {}
        return {**KEPT_FOR_EVER, IN_SYNC: str(self.min_insync), **flush}


@dataclass(frozen=True, slots=True)
class Copies:
    """How safely a topic is kept.

    copies: that each of its partitions has, at least; behind: the brokers that are to have everything of it, and do not
    min_insync: how many must have a record before it is acknowledged; flushed: whether each writes it to its disk first
    """

    topic: str
    copies: int
    behind: frozenset[int]
    min_insync: int
    flushed: bool


class Servers(NamedTuple):
    """The brokers of a cluster.

    there: each that it has, as host:port; gone: the ids of those that are to keep something, and that it does not have
    """

    there: Sequence[str]
    gone: Sequence[int]


class Cluster:
    """The topics of OnTrack in a cluster of brokers. Every call can raise LogUnavailable."""

    def __init__(self, brokers: Brokers) -> None:
        """Use some brokers."""
        self._brokers = brokers

    async def make_topics(self, safety: Safety, topics: Iterable[Topic] = tuple(TOPICS.values())) -> Sequence[str]:
        """Make the topics that are missing, and wait until a broker tells of them; give the names of those made here.

        Raises TopicsUnfit if one that is there does not fit, also if somebody else makes it at this moment.
        """
        wanted = {self._brokers.topic(topic): topic for topic in topics}
        made: list[str] = []
        async with self._admin() as admin:
            while missing := await self._missing(admin, wanted, safety):
                made_now = await _make(admin, [_new(name, wanted[name], safety) for name in missing])
                made += made_now
                if not made_now:
                    # They are made, here or by somebody else at this moment, and a broker does not tell of them yet.
                    await asyncio.sleep(_LOOK_AGAIN)
        return made

    async def _missing(self, admin: AIOKafkaAdminClient, wanted: Mapping[str, Topic], safety: Safety) -> Sequence[str]:
        """Give those of some topics that are not there. Raises TopicsUnfit if one that is there does not fit."""
        there = await _there(admin, wanted.keys())
        try:
            otherwise_set = await _setting_faults(admin, list(there), safety.settings())
        except UnknownTopicOrPartitionError:
            # One broker tells of a topic that another one does not know yet.
            return list(wanted)
        if faults := [*_faults(wanted, there), *_copies_faults(safety, there), *otherwise_set]:
            raise TopicsUnfit(faults)
        return [name for name in wanted if name not in there]

    async def require_topics(self, topics: Iterable[Topic]) -> None:
        """Make sure that topics are there and as the table says. Raises TopicsUnfit."""
        wanted = {self._brokers.topic(topic): topic for topic in topics}
        async with self._admin() as admin:
            there = await _there(admin, wanted.keys())
            missing = ", ".join(sorted(wanted.keys() - there))
            not_there = [f"topics are missing; `ontrack provision` makes them: {missing}"] if missing else []
            faults = [*not_there, *_faults(wanted, there), *await _setting_faults(admin, list(there), KEPT_FOR_EVER)]
        if faults:
            raise TopicsUnfit(faults)

    async def copies(self, topics: Iterable[Topic] = tuple(TOPICS.values())) -> Sequence[Copies]:
        """Tell how safely topics are kept, as far as they are there."""
        names = [self._brokers.topic(topic) for topic in topics]
        async with self._admin() as admin:
            described = [each for each in await admin.describe_topics() if each["topic"] in names]
            settings = await _settings(admin, [each["topic"] for each in described], (IN_SYNC, FLUSHED))
        return [_copies(each, settings[each["topic"]]) for each in described]

    async def servers(self) -> Servers:
        """Tell which brokers the cluster has just now, and which it misses.

        Each is asked by itself, until one answers: a client asks any of them, also one that is away.
        """
        for server in self._brokers.servers.split(","):
            try:
                told = (await asked(self._brokers, server, MetadataRequest())).to_object()
            except (KafkaError, OSError, TimeoutError):
                continue
            keeping = {
                broker for topic in told["topics"] for each in topic["partitions"] for broker in each["replicas"]
            }
            there = {each["node_id"]: f"{each['host']}:{each['port']}" for each in told["brokers"]}
            return Servers(sorted(there.values()), sorted(keeping - there.keys()))
        raise LogUnavailable(f"the brokers are away: {await why_away(self._brokers)}")

    async def has(self, topic: Topic) -> bool:
        """Tell whether a topic is there."""
        name = self._brokers.topic(topic)
        async with self._admin() as admin:
            return name in await _there(admin, [name])

    async def members(self, group: str) -> int:
        """Count the members that a consumer group has just now."""
        loop = asyncio.get_running_loop()
        until = loop.time() + REQUEST_TIMEOUT
        async with self._admin() as admin:
            while True:
                try:
                    (response,) = await admin.describe_consumer_groups([self._brokers.named(group)])
                except GroupCoordinatorNotAvailableError:
                    # Kafka makes what it keeps groups in when the first of all groups is asked for.
                    if loop.time() > until:
                        raise LogUnavailable(_NO_GROUPS) from None
                    await asyncio.sleep(_LOOK_AGAIN)
                    continue
                ((_, _, _, _, _, members, *_),) = response.groups
                return len(members)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._brokers.arguments())
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT):
                await admin.start()
                yield admin
        except (KafkaError, TimeoutError, OSError) as failed:
            why = await why_away(self._brokers)
            said = f"the brokers are away: {why}" if why else f"the brokers refuse ({type(failed).__name__})"
            raise LogUnavailable(said) from None
        finally:
            await admin.close()


class _Topic(NamedTuple):
    """A topic that is there: its partitions, and the copies that each of them has at least."""

    partitions: int
    copies: int


async def _there(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, _Topic]:
    """Give those of some topics that are there.

    All topics are asked for: a broker may make one that is asked for by its name.
    """
    found = {}
    for described in await admin.describe_topics():
        if described["topic"] not in names:
            continue
        if described["error_code"]:
            raise for_code(described["error_code"])
        copies = min(len(partition["replicas"]) for partition in described["partitions"])
        found[described["topic"]] = _Topic(len(described["partitions"]), copies)
    return found


def _faults(wanted: Mapping[str, Topic], there: Mapping[str, _Topic]) -> list[str]:
    return [
        f"the topic {name} has {topic.partitions} partitions, {wanted[name].partitions} were expected: "
        "cases would change places"
        for name, topic in there.items()
        if topic.partitions != wanted[name].partitions
    ]


def _copies_faults(safety: Safety, there: Mapping[str, _Topic]) -> list[str]:
    return [
        f"the topic {name} has replication={topic.copies}, replication={safety.replication} was expected: "
        f"{_OTHER_SAFETY}"
        for name, topic in there.items()
        if topic.copies != safety.replication
    ]


async def _setting_faults(admin: AIOKafkaAdminClient, names: list[str], wanted: Mapping[str, str]) -> list[str]:
    """Tell which topics are set otherwise."""
    return [
        f"the topic {name} has {key}={settings.get(key)}, {key}={value} was expected: "
        + ("history would be lost" if key in KEPT_FOR_EVER else _OTHER_SAFETY)
        for name, settings in (await _settings(admin, names, wanted)).items()
        for key, value in wanted.items()
        if settings.get(key) != value
    ]


async def _settings(
    admin: AIOKafkaAdminClient, names: Sequence[str], wanted: Iterable[str]
) -> dict[str, Mapping[str, str]]:
    """Give some settings of some topics."""
    found: dict[str, Mapping[str, str]] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(wanted)) for name in names]
    for response in await admin.describe_configs(resources) if resources else ():
        for code, _, _, name, entries in response.resources:
            if code:
                raise for_code(code)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _copies(described: Mapping[str, Any], settings: Mapping[str, str]) -> Copies:
    partitions = described["partitions"]
    return Copies(
        topic=described["topic"],
        copies=min(len(each["replicas"]) for each in partitions),
        behind=frozenset(broker for each in partitions for broker in {*each["replicas"]} - {*each["isr"]}),
        min_insync=int(settings[IN_SYNC]),
        flushed=settings[FLUSHED] == "1",
    )


def _new(name: str, topic: Topic, safety: Safety) -> NewTopic:
    return NewTopic(name, topic.partitions, safety.replication, topic_configs=safety.settings())


async def _make(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> list[str]:
    """Make topics; give the names of those that were made here: somebody else may have made the same ones."""
    made = []
    response = await admin.create_topics(new)
    for name, code, *more in response.topic_errors:
        error = for_code(code)
        if not code:
            made.append(name)
        elif error is not TopicAlreadyExistsError:
            said = f" ({more[0].rstrip('.')})" if more and more[0] else ""
            fault = f"the topic {name} cannot be made: {error.__name__}{said}"
            if error is InvalidReplicationFactorError:
                raise BrokersMissing([f"{fault}; for one broker there is --single-broker"])
            raise TopicsUnfit([fault])
    return made
