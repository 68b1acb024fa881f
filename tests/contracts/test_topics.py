"""The topics: what stands where, and in which partition."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.topics import (
    ACCESS,
    CASES,
    DEAD_LETTERS,
    DEFINITIONS,
    NOTICES,
    PARTITIONS,
    SCORES,
    SEALS,
    TOPICS,
    TRACKS,
    partition_of,
)

MURMUR2 = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}
"""What Kafka's own tests expect of its hash."""


@pytest.mark.parametrize("partitions", [1, 2, 7, 12, 100, 2**31])
@pytest.mark.parametrize(("key", "hashed"), MURMUR2.items())
def test_a_key_goes_where_kafka_puts_it(key: str, hashed: int, partitions: int) -> None:
    # given a key whose hash Kafka's tests know
    # when its partition is asked for
    # then it is the one of Kafka's default partitioner
    assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


@settings(deadline=None)
@given(key=st.text(), partitions=st.integers(1, 1_000))
def test_every_key_has_one_partition(key: str, partitions: int) -> None:
    # given any key
    # when its partition is asked for, twice
    found = {partition_of(key, partitions) for _ in range(2)}

    # then it is the same, and there is one of that number
    assert len(found) == 1
    assert found <= set(range(partitions))


def test_cases_spread_evenly_over_the_partitions() -> None:
    # given many cases
    counts = Counter(partition_of(f"{number:032x}") for number in range(12_000))

    # when those of each partition are counted
    # then each has about a twelfth
    assert set(counts) == set(range(PARTITIONS))
    assert all(850 <= count <= 1_150 for count in counts.values())


def test_a_case_keeps_its_partition_on_every_topic() -> None:
    # given all topics
    # when their partitions are counted
    # then there are as many of each, so a case is where it was
    assert {topic.partitions for topic in TOPICS.values()} == {PARTITIONS} == {12}


def test_every_topic_is_in_the_table_under_its_name() -> None:
    # given the table
    # then each topic has its name there, with its version
    assert set(TOPICS.values()) == {DEFINITIONS, CASES, SCORES, TRACKS, NOTICES, DEAD_LETTERS, ACCESS, SEALS}
    assert all(name == topic.name for name, topic in TOPICS.items())
    assert all(re.fullmatch(r"rom\.[a-z]+\.v[1-9](\.dlq)?", name) for name in TOPICS)


def test_a_wire_name_is_that_of_one_event_alone() -> None:
    # given every event of every topic
    kinds = {kind for topic in TOPICS.values() for kind in topic.events}

    # when their wire names are collected
    names = {kind.type() for kind in kinds}

    # then no two share one, and each is the event's name in kebab case with its version
    assert len(names) == len(kinds)
    assert all(re.fullmatch(r"ontrack\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*", name) for name in names)


def test_what_stands_on_a_topic_is_found_there_and_nothing_else() -> None:
    # given every event there is
    kinds = {kind for topic in TOPICS.values() for kind in topic.events}

    for topic in TOPICS.values():
        # when a topic is asked for each by name
        found = {kind for kind in kinds if topic.type_named(kind.type()) is kind}

        # then it knows its own
        assert found == set(topic.events)
        assert topic.type_named("ontrack.unheard-of.v1") is None


def test_no_fact_is_lost_on_the_way_to_the_decisions() -> None:
    # given the facts
    facts = set(CASES.events)

    # when it is asked where they may stand further down
    # then every one of them can be passed on to the scores, and from there to the tracks
    assert facts <= set(SCORES.events)
    assert facts & set(SCORES.events) <= set(TRACKS.events)
    assert set(SCORES.events) <= set(TRACKS.events)
