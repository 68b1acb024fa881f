"""What was done to a log is found in a bundle of it, without keys too."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.codec import canonical
from contracts.events.event import Data
from contracts.events.facts import ResponseSubmitted
from contracts.events.scores import ScoreComputed
from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic
from services.embedded import EmbeddedHome
from tests.auditor.handed import Handed, changed, emptied, otherwise, torn_off, torn_out
from tests.auditor.tampering import Tampering, renamed
from tests.support.command import ontrack

EARLIER: Final = "2020-01-01T00:00:00.000Z"

FINDS_IN_A_HOME_ONLY: Final = {"log-cut", "state-ahead", "state-altered", "state-missing", "state-underivable"}

TAMPERINGS: Final = (changed, torn_out, torn_off, emptied, otherwise)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_what_was_done_to_a_log_is_found_in_a_bundle_of_it(
    tampering: Tampering, p1: str, tmp_path: Path, tamper: Callable[[Tampering, str], None]
) -> None:
    tamper(tampering, p1)
    ran = ontrack("audit", "verify", "--data", tampering.home, "--format", "json")
    in_home = [each for each in orjson.loads(ran.out)["findings"] if each["finding"] not in FINDS_IN_A_HOME_ONLY]
    assert in_home
    assert Handed(tmp_path, tampering.home).findings() == in_home


@pytest.mark.parametrize(
    ("tamper", "topic", "finding"),
    [(torn_out, SCORES, "gap"), (emptied, TRACKS, "unreadable"), (otherwise, SCORES, "repeated-otherwise")],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_what_breaks_the_order_is_found_without_keys(
    tampering: Tampering,
    p1: str,
    tmp_path: Path,
    tamper: Callable[[Tampering, str], None],
    topic: Topic,
    finding: str,
) -> None:
    tamper(tampering, p1)
    found = Handed(tmp_path, tampering.home).findings(keys=False)
    assert (finding, topic.name, p1) in {(each["finding"], each["topic"], each["case"]) for each in found}


def test_what_is_no_fact_is_found_though_the_key_of_its_case_is_not_there(tampering: Tampering, tmp_path: Path) -> None:
    # given a record among the facts that is of no case
    tampering.append(CASES, "nobody", b"nonsense")
    (tmp_path / "before").mkdir()
    before = Handed(tmp_path / "before", tampering.home)

    # when a bundle is verified, with keys or without, then it is found, and is none of the events that stay sealed
    for keys in (True, False):
        (found,) = before.findings(keys=keys)
        assert (found["finding"], found["topic"], found["case"]) == ("unreadable", CASES.name, "nobody")
    assert "1 that cannot be read" in before.verify().told
    assert "stay sealed" not in before.verify().told

    # but not once it is on record as what cannot be read
    async def read_on() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.catch_up()

    asyncio.run(read_on())
    (tmp_path / "after").mkdir()
    after = Handed(tmp_path / "after", tampering.home)
    assert (after.findings(), after.findings(keys=False)) == ([], [])


@pytest.mark.parametrize("name", ["causationid", "correlationid"])
def test_a_conclusion_that_follows_from_nothing_that_is_there_is_found_without_keys(
    tampering: Tampering, p1: str, tmp_path: Path, name: str
) -> None:
    # given a conclusion that names a cause which is nowhere
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    other = "00000000-0000-4000-8000-000000000000"
    tampering.put(TRACKS, p1, place, renamed(tampering.record(TRACKS, p1, place), **{name: other}))

    # when a bundle is verified without keys
    (found,) = Handed(tmp_path, tampering.home).findings(keys=False)

    # then it is found there
    assert (found["finding"], found["topic"]) == ("cause-missing", TRACKS.name)
    assert found["offset"] == tampering.offsets(TRACKS, p1)[place]


@pytest.mark.parametrize("name", ["source", "time", "recordedtime", "keyid", "data_base64"])
@pytest.mark.parametrize("kind", [ResponseSubmitted, ScoreComputed], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("topic", [SCORES, TRACKS], ids=lambda topic: topic.name)
def test_what_an_event_has_from_the_one_before_it_is_held_to_that_without_keys(
    tampering: Tampering, p1: str, tmp_path: Path, topic: Topic, kind: type[Data], name: str
) -> None:
    # given a fact that is passed on, or a score, of which something was changed that nobody needs a key for
    others = {"source": "urn:ontrack:other", "keyid": "0" * 16, "data_base64": "AAAA" * 10}
    place = tampering.place_of(topic, p1, kind)
    event_id = tampering.event(topic, p1, place).id
    tampering.put(topic, p1, place, renamed(tampering.record(topic, p1, place), **{name: others.get(name, EARLIER)}))

    # when the bundle is verified by somebody without keys
    found = Handed(tmp_path, tampering.home).findings(keys=False)

    # then that event is found, and nothing else
    assert {each["event"] for each in found} == {event_id}
    assert {each["finding"] for each in found} <= {"altered", "cause-missing"}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "ontrack.track-revised.v1", "dataschema": "urn:ontrack:schema:track-revised.v1"},
        {"id": "00000000-0000-5000-8000-000000000000"},
    ],
    ids=["type", "id"],
)
def test_what_a_conclusion_is_called_is_held_to_its_cause_and_its_type_without_keys(
    tampering: Tampering, p1: str, tmp_path: Path, changes: Mapping[str, str]
) -> None:
    # given a decision that bears another type or another id, which are sealed with what it says
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    tampering.put(TRACKS, p1, place, renamed(tampering.record(TRACKS, p1, place), **changes))

    # when the bundle is verified by somebody without keys, then it is found where it stands
    found = Handed(tmp_path, tampering.home).findings(keys=False)
    assert ("altered", TRACKS.name, tampering.offsets(TRACKS, p1)[place]) in [
        (each["finding"], each["topic"], each["offset"]) for each in found
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"data_base64": "Nobody knows"},
        {"data_base64": "AAAA"},
        {"data_base64": None},
        {"keyid": None},
        {"keyid": "words"},
    ],
    ids=["words", "too short", "nothing", "under no key", "under words"],
)
@pytest.mark.parametrize("topic", [CASES, NOTICES], ids=lambda topic: topic.name)
def test_what_cannot_have_been_sealed_is_found_without_keys(
    tampering: Tampering, p1: str, tmp_path: Path, topic: Topic, change: Mapping[str, str | None]
) -> None:
    # given the last event of a case on a topic, of which something stands there that no key can open
    said = {**orjson.loads(tampering.record(topic, p1, -1)), **change}
    value = canonical({name: each for name, each in said.items() if each is not None})
    tampering.put(topic, p1, len(tampering.offsets(topic, p1)) - 1, value)

    # when the bundle is verified by somebody without keys, then it is found where it stands
    found = Handed(tmp_path, tampering.home).findings(keys=False)
    assert ("unreadable", topic.name, tampering.offsets(topic, p1)[-1]) in [
        (each["finding"], each["topic"], each["offset"]) for each in found
    ]
