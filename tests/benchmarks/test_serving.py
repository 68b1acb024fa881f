"""How fast a stage is served over Kafka, against a bare consumer and against a straightforward service.

Run by `make benchmark`. Figures are ratios to a reference of the same run; what is printed is what is quoted.
FerretDB is a stand-in for MongoDB: its rate is no statement about MongoDB.
"""

import asyncio
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from typing import Any, Final

import pytest
from aiokafka.consumer.fetcher import Fetcher

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.topics import SCORES, TRACKS
from services.not_detector.domain.stage import NotDetector
from services.runtime import batch, subscription
from services.runtime.brokers import Brokers
from services.runtime.collector import spare_the_collector
from services.runtime.documents import Documents, Server
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.store.mongo import MongoStore
from tests.benchmarks.layers import Layer, shares, timed, waited
from tests.benchmarks.loops import Counting, Passing, Took, bare, served
from tests.benchmarks.memory import MemoryKeyring, MemoryStore
from tests.benchmarks.naive import naive
from tests.benchmarks.scores import Scores, scores_of_a_cohort
from tests.support.servers import both, database_of_its_own, topics_of_its_own

pytestmark = pytest.mark.benchmark

ROUNDS: Final = 5
EVENTS: Final = 200_000
EVENTS_STORED: Final = 24_000
EVENTS_NAIVE: Final = 3_000
RATIO_AT_LEAST: Final = 0.02
TIMES_AT_LEAST: Final = 20
NAIVE: Final = "straightforward"
NAIVE_STORED: Final = "straightforward, FerretDB"
NAIVE_TRIVIAL: Final = "straightforward, trivial fold, FerretDB"
FERRETDB: Final = "FerretDB is a stand-in: its rate is no statement about MongoDB."

Run = Callable[[], Awaitable[Took]]
Watch = AbstractContextManager[object]
UNWATCHED: Final = nullcontext()


@pytest.fixture(scope="module", autouse=True)
def _as_the_service_runs() -> None:
    spare_the_collector()


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Scores:
    return asyncio.run(scores_of_a_cohort(tmp_path_factory.mktemp("scores"), events=EVENTS))


def not_detector() -> NotDetector:
    return NotDetector(Catalogue(library()))


class Place:
    """The same events on two topics, all of them and the first ones; and what is run over them."""

    def __init__(self, scores: Scores, some: Scores, whole: Brokers, part: Brokers, server: Server) -> None:
        self.scores, self.some = scores, some
        self._whole, self._part, self._server = whole, part, server
        self.states = 0

    async def bare(self) -> Took:
        """A bare consumer, over all events."""
        return await bare(self._whole, self.scores.events)

    async def in_memory(self, stage: Any, watch: Watch = UNWATCHED) -> Took:
        """The loop over all events, with states and keys in memory."""
        store = MemoryStore()
        async with topics_of_its_own(self._whole, [TRACKS]) as written:
            keyring = MemoryKeyring(self.scores.keys)
            took = await served(self._whole, written.prefix, stage, store, keyring, watch)
        self.states = store.written
        return took

    async def stored(self, watch: Watch = UNWATCHED) -> Took:
        """The loop over the first events, with states and keys on the server."""
        async with (
            topics_of_its_own(self._part, [TRACKS]) as written,
            database_of_its_own(self._server) as server,
            Documents(server) as documents,
        ):
            keyring = MongoKeyring(documents, MasterKey(bytes(32)))
            await keyring.adopt(self.some.keys)
            return await served(self._part, written.prefix, not_detector(), MongoStore(documents), keyring, watch)

    async def naive(self, stage: Any, *, is_stored: bool) -> Took:
        """The reference over the first events of those, with states on the server or in memory."""
        async with topics_of_its_own(self._part, [TRACKS]) as written, database_of_its_own(self._server) as server:
            where = server if is_stored else None
            return await naive(self._part, written.prefix, stage, self.some.keys, EVENTS_NAIVE, where)


async def _placed(stack: AsyncExitStack, scores: Scores) -> Place:
    brokers, server = both()
    some = scores.first(EVENTS_STORED)
    whole = await stack.enter_async_context(topics_of_its_own(brokers, [SCORES]))
    part = await stack.enter_async_context(topics_of_its_own(brokers, [SCORES]))
    await scores.put(whole)
    await some.put(part)
    return Place(scores, some, whole, part, server)


def test_a_served_stage_against_a_bare_consumer_and_a_straightforward_service(scores: Scores) -> None:
    asyncio.run(_compared(scores))


async def _compared(scores: Scores) -> None:
    async with AsyncExitStack() as stack:
        place = await _placed(stack, scores)
        runs: dict[str, tuple[int, Run]] = {
            "bare getmany": (scores.events, place.bare),
            "served, passing on": (scores.events, lambda: place.in_memory(Passing())),
            "served, trivial fold": (scores.events, lambda: place.in_memory(Counting())),
            "served, not_detector": (scores.events, lambda: place.in_memory(not_detector())),
            "served, not_detector, FerretDB": (place.some.events, place.stored),
            NAIVE: (EVENTS_NAIVE, lambda: place.naive(not_detector(), is_stored=False)),
            NAIVE_STORED: (EVENTS_NAIVE, lambda: place.naive(not_detector(), is_stored=True)),
            NAIVE_TRIVIAL: (EVENTS_NAIVE, lambda: place.naive(Counting(), is_stored=True)),
        }
        took: dict[str, list[Took]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, (_, run) in runs.items():
                took[name].append(await run())

    def median(name: str, of: Callable[[Took], float]) -> float:
        return statistics.median(of(each) for each in took[name]) / runs[name][0]

    def times(name: str, reference: str, of: Callable[[Took], float]) -> float:
        pairs = zip(took[name], took[reference], strict=True)
        return statistics.median(of(b) / of(a) for a, b in pairs) * runs[name][0] / runs[reference][0]

    print(f"\n{scores.events:,} events of {len(scores.keys):,} cases, {scores.mean_bytes:,.0f} bytes each on average,")
    print(f"{scores.events / place.states:.1f} events for each state that is written; medians of {ROUNDS} rounds:")
    print(f"  {'':40}{'events/s':>10}{'core µs':>9}{'of bare, by the clock':>23}{'by core':>9}")
    for name in runs:
        by_clock, by_core = (times(name, "bare getmany", of) for of in (_wall, _cpu))
        print(
            f"  {name:40}{1 / median(name, _wall):10,.0f}{median(name, _cpu) * 1e6:9.1f}{by_clock:23.3f}{by_core:9.3f}"
        )
    print("Times as fast as a straightforward service of the same logic, by the clock:")
    for name, reference in [
        ("served, trivial fold", NAIVE_TRIVIAL),
        ("served, not_detector", NAIVE_STORED),
        ("served, not_detector", NAIVE),
        ("served, not_detector, FerretDB", NAIVE_STORED),
    ]:
        print(f"  {name:32} {reference:40}{times(name, reference, _wall):8,.1f}")
    print(FERRETDB)
    assert times("served, trivial fold", "bare getmany", _wall) >= RATIO_AT_LEAST
    assert times("served, not_detector", NAIVE_STORED, _wall) >= TIMES_AT_LEAST


def _wall(took: Took) -> float:
    return took.wall


def _cpu(took: Took) -> float:
    return took.cpu


LAYERS: Final[list[Layer]] = [
    (batch, "event_of", "decode: read, open, validate"),
    (batch, "tail", "pass on: look"),
    (batch, "renumbered", "pass on: number"),
    (batch, "prepared", "seal"),
    (batch, "encode", "encode"),
    (Counting, "step", "fold"),
    (NotDetector, "step", "fold"),
    (batch, "open_state", "states: open"),
    (batch.Stepper, "writes", "states: seal"),
    (batch.Stepper, "through", "stepper: loop"),
    (KafkaLog, "append", "publish: hand over"),
    (KafkaLog, "_written", "publish: pack"),
    (Fetcher, "fetched_records", "consume: unpack"),
    (subscription, "stored", "consume: hand over"),
    (subscription, "by_partition", "consume: hand over"),
    (MongoStore, "load", "store"),
    (MongoStore, "save", "store"),
    (MongoStore, "halted", "store"),
    (MongoStore, "set_position", "store"),
    (MongoKeyring, "keys", "store"),
    (subscription.Subscription, "tell_group", "commit"),
]

WAITED_FOR: Final[list[Layer]] = [
    (MongoKeyring, "keys", "keyring: keys"),
    (MongoStore, "load", "store: load"),
    (MongoStore, "halted", "store: halted"),
    (KafkaLog, "append", "log: append"),
    (MongoStore, "save", "store: save"),
    (MongoStore, "set_position", "store: position"),
]


def _others(place: str) -> str:
    if "aiokafka" in place:
        return "consume: aiokafka" if "Fetcher" in place else "publish: aiokafka" if "Sender" in place else "sockets"
    return "sockets" if "asyncio" in place or "Selector" in place else "serving, and everything else"


def test_where_the_time_of_a_served_stage_goes(scores: Scores) -> None:
    asyncio.run(_taken_apart(scores))


async def _taken_apart(scores: Scores) -> None:
    async with AsyncExitStack() as stack:
        place = await _placed(stack, scores)
        runs: dict[str, Callable[[Watch], Awaitable[Took]]] = {
            "passing on unopened": lambda watch: place.in_memory(Passing(), watch),
            "a trivial fold": lambda watch: place.in_memory(Counting(), watch),
            "not_detector": lambda watch: place.in_memory(not_detector(), watch),
            f"not_detector, with FerretDB. {FERRETDB}": place.stored,
        }
        for name, run in runs.items():
            spent: Counter[str] = Counter()
            await run(timed(LAYERS, _others, spent))
            print(f"\nWhere the time goes, {name} (timers included, so shares rather than seconds):")
            print("\n".join(shares(spent)))
        spent = Counter()
        await place.stored(waited(WAITED_FOR, spent))
        print(f"\nWhat a partition waits for, of all its waiting. {FERRETDB}")
        print("\n".join(shares(spent)))
