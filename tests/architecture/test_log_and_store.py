"""The law of the log and the store: no setting is left to its default, and what decides what is lost stands once.

The first half of this file is the law, the second half shows that the tree obeys it and that each rule can fail.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from contracts.definitions.catalogue import Catalogue
from contracts.topics import SCORES
from services.not_detector.domain.stage import NotDetector
from services.runtime.brokers import Brokers
from services.runtime.serving import Serving
from services.runtime.subscription import Subscription
from tests.architecture.modules import ROOT, SHIPPED, Module, read_tree, sample
from tests.support.workbench import Workbench

SHIPPED_ONLY: Final = tuple(f"{top}/" for top in SHIPPED)
BENCHMARKS: Final = "tests/benchmarks/"
"""They hold what OnTrack is compared with, and that is written as others would write it."""

SOMETHING: Final = None
"""A setting that has to be made; what it is, is for whoever makes it to decide."""

SETTINGS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "KafkaBroker": {
        "allow_auto_create_topics": "False",
        "apply_types": "False",
        "consumer_only": "True",
        "graceful_timeout": SOMETHING,
        "logger": "None",
        "request_timeout_ms": SOMETHING,
        "security": SOMETHING,
    },
    "subscriber": {
        "ack_policy": "AckPolicy.MANUAL",
        "auto_offset_reset": "'earliest'",
        "batch": "True",
        "batch_timeout_ms": "5",
        "decoder": SOMETHING,
        "group_id": SOMETHING,
        "heartbeat_interval_ms": SOMETHING,
        "listener": SOMETHING,
        "max_partition_fetch_bytes": SOMETHING,
        "max_records": SOMETHING,
        "parser": SOMETHING,
        "rebalance_timeout_ms": SOMETHING,
        "session_timeout_ms": SOMETHING,
    },
    "AIOKafkaConsumer": {
        "auto_offset_reset": "'none'",
        "enable_auto_commit": "False",
        "group_id": "None",
        "max_partition_fetch_bytes": SOMETHING,
    },
    "AIOKafkaProducer": {
        "acks": "'all'",
        "enable_idempotence": "True",
        "linger_ms": "0",
        "max_batch_size": SOMETHING,
    },
}

UNUSED: Final = {
    "ack": "it commits every position of the assignment: name the partitions",
    "nack": "it makes a loop that never ends",
    "publish_batch": "it ignores the key when it picks the partition: append batches to the log",
    "reject": "it commits what failed",
    "seek_to_committed": "it ignores the offset 0: the store says where a stage goes on",
    "StopConsume": "it leaves a member that keeps its partitions",
    "TestKafkaBroker": "it has no offsets and no acknowledgements: use a real broker",
    "auto_commit": "it commits what was not processed",
    "auto_commit_interval_ms": "it commits what was not processed",
    "max_workers": "it halves what a core can do",
    "no_ack": "the policy says when something is acknowledged",
    "transactional_id": "publishing then fails",
}

LIBRARIES: Final = {
    "faststream": {"services/runtime/subscription.py"},
    "aiokafka": {
        "services/runtime/brokers.py",
        "services/runtime/log/disks.py",
        "services/runtime/log/kafka.py",
        "services/runtime/log/topics.py",
        "services/runtime/log/users.py",
        "services/runtime/subscription.py",
    },
    "bson": {"services/runtime/documents.py"},
    "gridfs": {"services/runtime/documents.py"},
    "motor": {"services/runtime/documents.py"},
    "pymongo": {"services/runtime/documents.py"},
}
"""Who speaks to a library of the log or the store."""

ONCE: Final = {
    "adds 1 to an offset": "services/runtime/log/port.py",
    "commits to a group": "services/runtime/subscription.py",
    "makes a producer": "services/runtime/log/kafka.py",
    "makes a consumer": "services/runtime/log/kafka.py",
    "makes a subscriber": "services/runtime/subscription.py",
    "makes a broker": "services/runtime/subscription.py",
    "makes a client of the database": "services/runtime/documents.py",
}
"""What is written in one place only, and where that is."""

OPERATIONS: Final = {
    "close",
    "command",
    "create_index",
    "delete_many",
    "drop_collection",
    "find",
    "update_one",
}
"""What is asked of the driver of MongoDB. FerretDB does each of them too; what else it does was not tried."""

COMMANDS: Final = {
    "buildInfo",
    "count",
    "createUser",
    "dbStats",
    "delete",
    "hello",
    "replSetInitiate",
    "update",
    "updateUser",
}
"""The commands that go past the driver's own operations. `replSetInitiate` is sent to a MongoDB that is in no set yet;
FerretDB, whose users and sets are switched on in containers only, never is."""

STORE_TABLES: Final = re.compile(r"\b(FROM|INTO|UPDATE|JOIN|TABLE) +(states|positions|halted)\b")
STORE_FILES: Final = {"services/runtime/store/sqlite.py", "services/runtime/database.py"}

MADE: Final = {
    "AIOKafkaProducer": "makes a producer",
    "AIOKafkaConsumer": "makes a consumer",
    "AsyncIOMotorClient": "makes a client of the database",
    "KafkaBroker": "makes a broker",
    "subscriber": "makes a subscriber",
}


@dataclass(frozen=True)
class Breach:
    module: Module
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module.path}:{self.line} {self.what}"


def name_of(called: ast.expr) -> str:
    """The last part of a name: what is called, whoever it is called on."""
    match called:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(value=value):
            return name_of(value)
        case _:
            return ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def unset(module: Module) -> Iterator[Breach]:
    """Settings that are left to their defaults, or are other than they have to be."""
    for call in calls(module.tree):
        name = name_of(call.func)
        made = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        for setting, wanted in SETTINGS.get(name, {}).items():
            if setting not in made:
                yield Breach(module, call.lineno, f"leaves {setting} of {name} to its default")
            elif wanted is not SOMETHING and made[setting] != wanted:
                yield Breach(module, call.lineno, f"sets {setting} of {name} to {made[setting]}, not to {wanted}")


def used(module: Module) -> Iterator[Breach]:
    """What must not be used of the libraries: calls, names and settings."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in UNUSED:
                yield Breach(module, node.lineno, f"uses {name}, but {UNUSED[name]}")
            case ast.Name(id=name) if name in UNUSED:
                yield Breach(module, node.lineno, f"uses {name}, but {UNUSED[name]}")
            case ast.keyword(arg=str(name)) if name in UNUSED:
                yield Breach(module, node.value.lineno, f"uses {name}, but {UNUSED[name]}")


def nameless_commits(module: Module) -> Iterator[Breach]:
    """Commits that name no partitions."""
    for call in calls(module.tree):
        if name_of(call.func) == "commit" and not (call.args or call.keywords):
            yield Breach(module, call.lineno, "commits every position of the assignment")


def strangers(module: Module) -> Iterator[Breach]:
    """Imports of a library by somebody who has to go through a port."""
    for name, line in imported(module):
        library = name.partition(".")[0]
        if library in LIBRARIES and str(module.path) not in LIBRARIES[library]:
            yield Breach(module, line, f"speaks to {library}, which is behind a port")


def imported(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=str(name)):
                yield name, node.lineno


def places(module: Module) -> Iterator[tuple[str, int]]:
    """Where something stands that has one place, and what it is."""
    for node in ast.walk(module.tree):
        match node:
            case ast.BinOp(op=ast.Add()) if adds_one_to_an_offset(node):
                yield "adds 1 to an offset", node.lineno
            case ast.Constant(value=str(text)) if re.search(r'\boffset"?\)? *\+ *1\b', text) and is_code(text):
                yield "adds 1 to an offset", node.lineno
            case ast.Call(func=called) if name_of(called) == "commit":
                yield "commits to a group", node.lineno
            case ast.Call(func=called) if name_of(called) in MADE:
                yield MADE[name_of(called)], node.lineno


def adds_one_to_an_offset(sum_: ast.BinOp) -> bool:
    sides = (sum_.left, sum_.right)
    is_one = any(isinstance(side, ast.Constant) and side.value == 1 for side in sides)
    return is_one and any("offset" in name.lower() for side in sides for name in names_in(side))


def names_in(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
                yield name


def is_code(text: str) -> bool:
    """Whether a text is SQL, and not something that is said."""
    return "SELECT" in text


def scattered(modules: Iterable[Module]) -> Iterator[Breach]:
    """What stands in another place than its own, or there more than once."""
    seen: Counter[str] = Counter()
    for module in modules:
        for what, line in sorted(places(module), key=itemgetter(1)):
            seen[what] += 1
            if str(module.path) != ONCE[what]:
                yield Breach(module, line, f"{what}, as only {ONCE[what]} does")
            elif seen[what] > 1:
                yield Breach(module, line, f"{what}, as it did already")


def operations(module: Module) -> Iterator[tuple[str, int]]:
    """What is asked of the driver: of a collection, of the database, of the client."""
    for call in calls(module.tree):
        match call.func:
            case ast.Attribute(attr=name, value=asked) if re.fullmatch(
                r"self\._(database|client)(\[.+\])?", ast.unparse(asked)
            ):
                yield name, call.lineno
                if name == "command":
                    yield f"command {ast.literal_eval(call.args[0])}", call.lineno


def untried(module: Module) -> Iterator[Breach]:
    """Operations that are not known to work on every server."""
    tried = OPERATIONS | {f"command {name}" for name in COMMANDS}
    for name, line in operations(module):
        if name not in tried:
            yield Breach(module, line, f"asks the database for {name}, which is not among what every server does")


def store_by_hand(module: Module) -> Iterator[Breach]:
    """Statements about what only the store writes and reads."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Constant(value=str(text)) if STORE_TABLES.search(text) and str(module.path) not in STORE_FILES:
                yield Breach(module, node.lineno, "speaks of the store's tables, as only the store does")


def is_shipped(module: Module) -> bool:
    return str(module.path).startswith(SHIPPED_ONLY)


def breaches(modules: Iterable[Module]) -> list[str]:
    every = [module for module in modules if not str(module.path).startswith(BENCHMARKS)]
    shipped = [module for module in every if is_shipped(module)]
    rules = (unset, used, nameless_commits, strangers, store_by_hand)
    found = [breach for module in shipped for rule in rules for breach in rule(module)]
    found += [breach for module in shipped if uses_the_driver(module) for breach in untried(module)]
    found += scattered(shipped)
    found += [breach for breach in scattered(each for each in every if not is_shipped(each)) if "offset" in breach.what]
    return [str(breach) for breach in found]


def uses_the_driver(module: Module) -> bool:
    return any(name_of(call.func) == "AsyncIOMotorClient" for call in calls(module.tree))


TREE: Final = read_tree(ROOT, (*SHIPPED, "deploy", "tests"))


def test_the_tree_obeys_the_law() -> None:
    # given every module of the project
    # when the law is applied to them, then none of them breaks it
    found = breaches(TREE)
    assert not found, "\n" + "\n".join(found)


def test_what_stands_once_stands_where_the_law_says() -> None:
    # given what is shipped
    # when what has one place is sought
    found = Counter((what, str(module.path)) for module in TREE if is_shipped(module) for what, _ in places(module))

    # then each is in its own, once: the law speaks of something that is there
    assert found == Counter(ONCE.items())


def test_every_operation_of_the_law_is_used() -> None:
    # given the module that speaks to the driver
    (module,) = [module for module in TREE if is_shipped(module) and uses_the_driver(module)]

    # when its operations are read, then they are those of the law
    assert {name for name, _ in operations(module)} == OPERATIONS | {f"command {name}" for name in COMMANDS}


def test_every_library_of_the_law_has_those_who_speak_to_it() -> None:
    # given the modules that may speak to a library of the log or the store
    speaking = {
        (name.partition(".")[0], str(module.path))
        for module in TREE
        if is_shipped(module)
        for name, _ in imported(module)
    }

    # then each that is named is there, and does
    for library in ("faststream", "aiokafka", "pymongo", "motor"):
        assert {path for spoken_to, path in speaking if spoken_to == library} == LIBRARIES[library]


@pytest.fixture
def subscriber(tmp_path: Path) -> Any:
    """What a service reads with, as it is made."""
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        runner = bench.runner(NotDetector(Catalogue()))
        brokers = Brokers("127.0.0.1:9092")
        serving = Serving(brokers, "not-detector", SCORES.name, runner, lambda *_: None)
    subscription = Subscription(brokers, "not-detector", SCORES.name, serving)
    (broker,) = [each for each in vars(subscription).values() if isinstance(each, KafkaBroker)]
    (made,) = broker.subscribers
    return made


def test_a_service_reads_with_nothing_left_to_chance(subscriber: Any) -> None:
    # given what a service reads with
    # when that makes its consumer, then FastStream hands on what the service says
    arguments = subscriber._connection_args  # noqa: SLF001 - FastStream shows it nowhere else
    assert arguments["enable_auto_commit"] is False
    assert arguments["auto_offset_reset"] == "earliest"
    assert arguments["session_timeout_ms"] == 10_000
    assert arguments["rebalance_timeout_ms"] == 25_000
    assert subscriber.ack_policy is AckPolicy.MANUAL
    assert subscriber.group_id == "not-detector"
    assert (subscriber.batch_timeout_ms, subscriber.max_records) == (5, 5_000)
    consumer = subscriber.builder
    assert isinstance(consumer, partial)
    assert consumer.func is AIOKafkaConsumer


def snippet(name: str, **other: str) -> str:
    """A call with every setting as it has to be, or otherwise; one that is empty is left out."""
    settings = {setting: wanted or "given" for setting, wanted in SETTINGS[name].items()} | other
    return f"{name}({', '.join(f'{setting}={value}' for setting, value in settings.items() if value)})"


HOME: Final = {
    "KafkaBroker": "services/runtime/subscription.py",
    "subscriber": "services/runtime/subscription.py",
    "AIOKafkaConsumer": "services/runtime/log/kafka.py",
    "AIOKafkaProducer": "services/runtime/log/kafka.py",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_call_with_every_setting_passes(name: str) -> None:
    assert breaches(sample(HOME[name], snippet(name))) == []


@pytest.mark.parametrize(("name", "setting"), [(name, setting) for name in SETTINGS for setting in SETTINGS[name]])
def test_a_setting_that_is_left_out_is_found(name: str, setting: str) -> None:
    # given a call that leaves a setting to its default
    modules = sample(HOME[name], snippet(name, **{setting: ""}))

    # when the law is applied to it, then that is found
    assert breaches(modules) == [f"{HOME[name]}:1 leaves {setting} of {name} to its default"]


@pytest.mark.parametrize(
    ("name", "setting", "wrong"),
    [
        ("KafkaBroker", "allow_auto_create_topics", "True"),
        ("subscriber", "ack_policy", "AckPolicy.ACK_FIRST"),
        ("subscriber", "ack_policy", "AckPolicy.ACK"),
        ("subscriber", "auto_offset_reset", "'latest'"),
        ("AIOKafkaConsumer", "enable_auto_commit", "True"),
        ("AIOKafkaConsumer", "auto_offset_reset", "'latest'"),
        ("AIOKafkaProducer", "acks", "1"),
        ("AIOKafkaProducer", "enable_idempotence", "False"),
        ("AIOKafkaProducer", "linger_ms", "5"),
    ],
)
def test_a_setting_that_loses_something_is_found(name: str, setting: str, wrong: str) -> None:
    # given a call with a setting that loses records, or time
    modules = sample(HOME[name], snippet(name, **{setting: wrong}))

    # when the law is applied to it, then that is found
    (found,) = breaches(modules)
    assert found.startswith(f"{HOME[name]}:1 sets {setting} of {name} to {wrong}, not to ")


SUBSCRIPTION: Final = "services/runtime/subscription.py"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("await message.ack()", "uses ack,"),
        ("await message.nack()", "uses nack,"),
        ("await message.reject()", "uses reject,"),
        ("await broker.publish_batch(*events)", "uses publish_batch,"),
        ("await consumer.seek_to_committed()", "uses seek_to_committed,"),
        ("raise StopConsume", "uses StopConsume,"),
        ("broker = TestKafkaBroker(broker)", "uses TestKafkaBroker,"),
        ("read(topic, auto_commit=True)", "uses auto_commit,"),
        ("read(topic, no_ack=True)", "uses no_ack,"),
        ("read(topic, max_workers=8)", "uses max_workers,"),
        ("write(topic, transactional_id='it')", "uses transactional_id,"),
        ("await consumer.commit()", "commits every position of the assignment"),
    ],
)
def test_what_loses_something_is_found(source: str, what: str) -> None:
    # given a module that uses it in its second line
    modules = sample(SUBSCRIPTION, f"import asyncio\n{source}")

    # when the law is applied to it, then that is found
    (found,) = breaches(modules)
    assert found.startswith(f"{SUBSCRIPTION}:2 {what}")


@pytest.mark.parametrize(
    ("path", "source", "what"),
    [
        ("services/runtime/subscription.py", "position = records[-1].offset + 1", "adds 1 to an offset"),
        ("services/runtime/runner.py", "following = 1 + offset", "adds 1 to an offset"),
        ("services/runtime/runner.py", "following = last_offset + 1", "adds 1 to an offset"),
        ("services/cli/dlq.py", "following = {'offset': letter['offset'] + 1}", "adds 1 to an offset"),
        ("services/runtime/log/sqlite.py", "'SELECT max(\"offset\")' ' + 1 FROM it'", "adds 1 to an offset"),
        ("tests/support/contents.py", "offset = records[-1].offset + 1", "adds 1 to an offset"),
        ("deploy/local/ports.py", "offset = offset + 1", "adds 1 to an offset"),
        ("services/runtime/log/port.py", "a, b = offset + 1, 2\nc = offset + 1", "adds 1 to an offset"),
        ("services/runtime/log/kafka.py", "await consumer.commit(offsets)", "commits to a group"),
        ("services/cli/dlq.py", snippet("AIOKafkaProducer"), "makes a producer"),
        ("services/cli/dlq.py", snippet("AIOKafkaConsumer"), "makes a consumer"),
        ("services/ingest/intake.py", snippet("KafkaBroker"), "makes a broker"),
        ("services/ingest/intake.py", f"broker.{snippet('subscriber')}", "makes a subscriber"),
        ("services/home.py", "AsyncIOMotorClient[dict[str, Any]](url)", "makes a client of the database"),
    ],
)
def test_what_stands_in_a_second_place_is_found(path: str, source: str, what: str) -> None:
    # given a module with what has its place elsewhere, or has it twice, in its last line
    modules = sample(path, source)

    # when the law is applied to it, then that is found
    (found,) = breaches(modules)
    assert found.startswith(f"{path}:{source.count(chr(10)) + 1} {what}, as ")


@pytest.mark.parametrize(
    ("path", "source", "library"),
    [
        ("services/home.py", "from motor.motor_asyncio import AsyncIOMotorCollection", "motor"),
        ("services/runtime/store/mongo.py", "from pymongo.errors import PyMongoError", "pymongo"),
        ("services/runtime/store/mongo.py", "import bson", "bson"),
        ("services/runtime/service.py", "import aiokafka.errors", "aiokafka"),
        ("services/scoring/app.py", "from faststream.kafka import KafkaBroker", "faststream"),
    ],
)
def test_who_goes_past_a_port_is_found(path: str, source: str, library: str) -> None:
    assert breaches(sample(path, source)) == [f"{path}:1 speaks to {library}, which is behind a port"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("self._database[collection].aggregate([])", "aggregate"),
        ("self._database[collection].watch()", "watch"),
        ("self._database[collection].bulk_write([])", "bulk_write"),
        ("self._client.start_session()", "start_session"),
        ("self._database.command('eval', code)", "command eval"),
    ],
)
def test_an_operation_that_not_every_server_has_is_found(asked: str, name: str) -> None:
    # given the module that speaks to the driver, with something else that it asks
    path = "services/runtime/documents.py"
    modules = sample(path, f"self._client = AsyncIOMotorClient(url)\n{asked}")

    # when the law is applied to it, then that is found
    assert breaches(modules) == [f"{path}:2 asks the database for {name}, which is not among what every server does"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT body FROM states WHERE stage = ?",
        "UPDATE states SET body = ?",
        "INSERT OR REPLACE INTO positions VALUES (?, ?)",
        "DELETE FROM halted",
    ],
)
def test_a_statement_past_the_store_is_found(statement: str) -> None:
    path = "services/runtime/rebuild.py"
    assert breaches(sample(path, f"connection.execute({statement!r})")) == [
        f"{path}:1 speaks of the store's tables, as only the store does"
    ]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("services/runtime/runner.py", "sequence = case.read + 1\noffset = next_offset(records)"),
        ("services/runtime/runner.py", "offset = offset + 2\nposition += len(records)"),
        ("services/runtime/log/port.py", "def after(offset):\n    return offset + 1"),
        ("services/runtime/subscription.py", "await consumer.commit({place: next_offset(records)})"),
        ("services/runtime/service.py", "'the states of a stage: it goes on FROM where it was'"),
        ("tests/support/servers.py", "from pymongo import MongoClient\nMongoClient(url).admin.command('buildInfo')"),
        ("tests/benchmarks/hop.py", "await consumer.commit({place: records[-1].offset + 1})"),
    ],
)
def test_what_the_law_allows_passes(path: str, source: str) -> None:
    assert breaches(sample(path, source)) == []
