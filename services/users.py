"""Who is let in at the servers of a region, and may do what there, by the table of topics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.topics import CASES, DEFINITIONS, SEALS, TOPICS
from services.ingest.domain.register import Register
from services.runtime.brokers import Brokers
from services.runtime.documents import Documents, told_as
from services.runtime.log.users import EVERY, THE_CLUSTER, Act, Kind, Right
from services.runtime.log.users import let_in as let_in_at
from services.runtime.refusals import SettingsWrong
from services.runtime.settings import RegionSettings
from services.runtime.store.port import StoreUnavailable

AUDITOR: Final = "auditor"
"""Who signs checkpoints, and reads nothing but the log for that."""

OPERATOR: Final = "operator"
"""Who gives commands that read everything, take in files, and sign checkpoints."""

KAFKA: Final = "ontrack_kafka_password"
MONGODB: Final = "ontrack_mongodb_password"
"""The files in the folder of a user, called as the settings are that a service reads them by."""

_BY_HAND: Final = (CASES, DEFINITIONS, SEALS)
"""What the operator writes: histories that are taken in, and checkpoints."""
_GROUPS: Final = {"ingest": Register.name}
"""Services whose group is not called as they are."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of a user at the brokers and at the database."""

    kafka: str
    mongodb: str


def services() -> Sequence[str]:
    """Name every service of the table of topics, as `ontrack serve` does."""
    named = (name for topic in TOPICS.values() for name in (*topic.written_by, *topic.read_by))
    return [name.replace("_", "-") for name in dict.fromkeys(named)]


def users() -> Sequence[str]:
    """Name everybody who is let in."""
    return [*services(), AUDITOR, OPERATOR]


def rights(brokers: Brokers) -> Iterator[Right]:
    """Give what each may do at the brokers. How a topic is made may be seen by all."""
    for topic in TOPICS.values():
        name = brokers.topic(topic)
        for user in users():
            yield Right(user, Act.DESCRIBE, Kind.TOPIC, name)
            yield Right(user, Act.DESCRIBE_CONFIGS, Kind.TOPIC, name)
        readers = [*topic.read_by, AUDITOR, OPERATOR]
        writers = [*topic.written_by, *([OPERATOR] if topic in _BY_HAND else [])]
        if topic is SEALS:
            writers.append(AUDITOR)
        for act, allowed in ((Act.READ, readers), (Act.WRITE, writers)):
            yield from (Right(user.replace("_", "-"), act, Kind.TOPIC, name) for user in allowed)
    for service in services():
        group = _GROUPS.get(service, service.replace("-", "_"))
        yield Right(service, Act.READ, Kind.GROUP, brokers.named(group))
    yield Right(OPERATOR, Act.DESCRIBE, Kind.GROUP, EVERY)
    # Whoever looks after a region sees how full its disks are.
    yield Right(OPERATOR, Act.DESCRIBE, Kind.CLUSTER, THE_CLUSTER)


def passwords_in(folder: Path) -> Mapping[str, Passwords]:
    """Read the passwords of all users, each from a folder that is called as the user. Raises SettingsWrong."""
    found, faults = {}, []
    for user in users():
        try:
            kafka, mongodb = ((folder / user / name).read_text("utf-8").strip() for name in (KAFKA, MONGODB))
        except (OSError, UnicodeDecodeError):
            kafka = mongodb = ""
        if kafka and mongodb:
            found[user] = Passwords(kafka, mongodb)
        else:
            faults.append(
                f"{folder / user}: a folder with {KAFKA} and {MONGODB} was expected; ontrack secrets makes it"
            )
    if faults:
        raise SettingsWrong("\n".join(faults))
    return found


async def let_in(settings: RegionSettings, passwords: Mapping[str, Passwords]) -> None:
    """Let users in at the brokers and the database, with these passwords from now on; make that a replica set first.

    Raises Unavailable.
    """
    brokers, server = settings.brokers(), settings.server()
    await let_in_at(brokers, {user: each.kafka for user, each in passwords.items()}, list(rights(brokers)))
    first, hosts, replica_set = server.alone()
    with told_as(StoreUnavailable):
        if replica_set is not None:
            async with Documents(first) as alone:
                await alone.unite(replica_set, hosts)
        async with Documents(server.of_users()) as documents:
            for user in passwords.keys() - {AUDITOR}:
                await documents.let_in(user, passwords[user].mongodb, server.database)
