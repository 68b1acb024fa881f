"""`ontrack audit verify` finds events that were changed or moved, each where it stands, and blames no others."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.events.facts import ResponseSubmitted
from contracts.events.fields import instant
from contracts.events.notices import ReportIssued
from contracts.events.scores import ScoreComputed
from contracts.events.tracks import TrackEvaluated
from contracts.topics import (
    ACCESS,
    CASES,
    DEAD_LETTERS,
    DEFINITIONS,
    NOTICES,
    SCORES,
    SEALS,
    TRACKS,
    Topic,
    partition_of,
)
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import NOBODYS, Tampering, correlation_of_a_fact, renamed
from tests.cli.homes import SECRET, imported, written
from tests.support.command import ontrack, succeeded


def test_a_fact_that_stands_in_the_partition_of_other_cases_is_found_there(tampering: Tampering, p1: str) -> None:
    # given a fact of a case that somebody has put once more into another partition
    other = next(case_id for case_id in tampering.keys if partition_of(case_id) != partition_of(p1))
    fact, table = tampering.record(CASES, p1, 1), table_of(CASES, partition_of(other))
    ((end,),) = tampering.do(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    tampering.do(f"INSERT INTO {table} VALUES (?, ?, ?)", end, p1, fact)  # noqa: S608 - ours

    # when the history is verified
    (found,) = findings(tampering.home)

    # then it is found where it stands, and is no part of the history of its case
    assert (found["finding"], found["partition"], found["offset"]) == ("misplaced", partition_of(other), end)
    assert found["says"] == f"a fact of this case was expected in partition {partition_of(p1)}"

    # and nothing is put in place over such a log
    assert ontrack("audit", "replay", "--swap", "--data", tampering.home).exit_code == 1


@pytest.mark.parametrize("topic", [SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_a_bit_that_was_flipped_is_found_where_it_is(tampering: Tampering, p1: str, topic: Topic) -> None:
    # given a record of which one character of what is sealed is another one
    value = bytearray(tampering.record(topic, p1, 1))
    place = value.index(b'"data_base64":"') + 40
    value[place] = ord("B") if value[place] != ord("B") else ord("A")
    tampering.put(topic, p1, 1, bytes(value))

    # when the history is verified
    (first,) = findings(tampering.home)

    # then that record is named, and nothing of what follows from it
    assert (first["finding"], first["topic"], first["case"]) == ("altered", topic.name, p1)
    assert (first["partition"], first["offset"]) == (partition_of(p1), tampering.offsets(topic, p1)[1])
    assert {each["field"] for each in first["fields"]} == {"data", "data_base64"}


ALTERED: Final[dict[str, tuple[Topic, type, dict[str, object], str]]] = {
    "a status": (TRACKS, TrackEvaluated, {"status": "unknown"}, "data.status"),
    "a score": (SCORES, ScoreComputed, {"scales": ()}, "data.scales"),
    "a report": (NOTICES, ReportIssued, {"report": "00000000-0000-4000-8000-000000000000"}, "data.report"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_conclusion_that_was_changed_by_somebody_with_the_keys_is_found(
    tampering: Tampering, p1: str, name: str
) -> None:
    # given a conclusion that says something else, sealed as it should be
    topic, kind, change, field = ALTERED[name]
    place = tampering.place_of(topic, p1, kind)
    tampering.put(topic, p1, place, tampering.resealed(topic, p1, place, **change))

    # when the history is verified
    (found, *_) = altered = [each for each in findings(tampering.home) if each["finding"] == "altered"]

    # then that one is named, with the field that is another one, and no value of it
    assert len(altered) == 1
    assert (found["topic"], found["event"]) == (topic.name, tampering.event(topic, p1, place).id)
    (differing,) = found["fields"]
    assert differing["field"] == field
    assert len(differing["expected"]) == len(differing["found"]) == 16
    assert differing["expected"] != differing["found"]

    # and the values are told to whoever asks for them
    revealed = next(each for each in findings(tampering.home, "--reveal") if each["finding"] == "altered")
    assert orjson.loads(revealed["fields"][0]["found"]) == orjson.loads(orjson.dumps(next(iter(change.values()))))


def test_an_answer_that_was_changed_does_not_lead_to_what_stands_there(tampering: Tampering, p1: str) -> None:
    # given an answer that is another one on the log of facts
    place = tampering.place_of(CASES, p1, ResponseSubmitted)
    answers = dict.fromkeys(("frequency", "intensity", "engagement", "work_school_home", "social_life"), 4)
    tampering.put(CASES, p1, place, tampering.resealed(CASES, p1, place, answers=answers))

    # when the history is verified
    ran = ontrack("audit", "verify", "--data", tampering.home)

    # then what was concluded from it is found not to follow, and nothing is said of other cases
    assert ran.exit_code == 1
    found = findings(tampering.home, "--case", "P1")
    assert found == findings(tampering.home)
    assert (found[0]["finding"], found[0]["topic"]) == ("altered", SCORES.name)
    assert {each["case"] for each in found} == {p1}
    assert ran.gives_away([SECRET]) == []


def _in_another_order(value: bytes) -> bytes:
    return orjson.dumps(dict(reversed(orjson.loads(value).items())))


def _by_another_clock(value: bytes) -> bytes:
    recorded = datetime.fromisoformat(orjson.loads(value)["recordedtime"])
    return renamed(value, recordedtime=recorded.astimezone(timezone(timedelta(hours=14))).isoformat())


def _in_small_letters(value: bytes) -> bytes:
    """A moment as others write it too, and as not everything reads it."""
    return renamed(value, time=orjson.loads(value)["time"].replace("Z", "z"))


def _said_twice(value: bytes) -> bytes:
    """A name that stands there twice: the first is read by nobody, and says whatever somebody wants to."""
    return b'{"source":"words for somebody",' + value[1:]


@pytest.mark.parametrize("written", [_in_another_order, _by_another_clock, _in_small_letters, _said_twice])
def test_an_event_that_is_not_written_as_events_are_is_found(
    tampering: Tampering, p1: str, tmp_path: Path, written: Callable[[bytes], bytes]
) -> None:
    # given a fact, and a conclusion, that say what they said, and are written otherwise
    for topic in (CASES, SCORES):
        tampering.put(topic, p1, 2, written(tampering.record(topic, p1, 2)))

    # when the history is verified
    found = findings(tampering.home)

    # then the fact is found where it stands, first of all
    assert [each["finding"] for each in found].index("not-canonical") == 0
    assert (found[0]["topic"], found[0]["partition"]) == (CASES.name, partition_of(p1))
    assert found[0]["offset"] == tampering.offsets(CASES, p1)[2]

    # and nothing else but what is not as it follows, byte for byte
    assert kinds(found).keys() == {"not-canonical", "altered"}

    # and both are found by somebody without keys
    succeeded("audit", "export", "--data", tampering.home, "--output", tmp_path / "bundle")
    ran = ontrack("audit", "verify", "--bundle", tmp_path / "bundle", "--format", "json")
    alike = [(each["finding"], each["topic"]) for each in orjson.loads(ran.out)["findings"]]
    assert alike == [("not-canonical", CASES.name), ("not-canonical", SCORES.name)]


@pytest.mark.parametrize(
    ("topic", "number"), [(ACCESS, 0), (DEFINITIONS, 5), (SEALS, 3)], ids=lambda each: getattr(each, "name", str(each))
)
def test_words_that_stand_where_nobody_reads_are_found(tampering: Tampering, topic: Topic, number: int) -> None:
    # given a record in a place where nothing is ever said, on a log of which everything else is as it should be
    table = table_of(topic, number)
    tampering.do(f"INSERT INTO {table} VALUES (0, 'log', ?)", SECRET.encode())  # noqa: S608 - ours

    # when the history is verified, also of one case
    for options in ((), ("--case", "P1")):
        (found,) = findings(tampering.home, *options)

        # then it is found where it stands
        assert (found["finding"], found["topic"], found["partition"]) == ("unreadable", topic.name, number)
        assert found["offset"] == 0


def test_a_definition_that_is_not_written_as_events_are_is_found(tampering: Tampering) -> None:
    # given a definition before which words stand that nobody reads
    table = table_of(DEFINITIONS, 0)
    ((value,),) = tampering.do(f'SELECT value FROM {table} WHERE "offset" = 3')  # noqa: S608 - ours
    tampering.do(f'UPDATE {table} SET value = ? WHERE "offset" = 3', _said_twice(bytes(value)))  # noqa: S608 - ours

    # then it is found where it stands
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"], found["offset"]) == ("not-canonical", DEFINITIONS.name, 3)


def test_a_dead_letter_that_is_not_written_as_events_are_is_found(tampering: Tampering, p1: str) -> None:
    # given a fact that cannot be read, which is on record as such, and once more with words that nobody reads
    tampering.append(CASES, p1, b"nonsense")

    async def read_on() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.catch_up()

    asyncio.run(read_on())
    assert findings(tampering.home) == []
    table = table_of(DEAD_LETTERS, partition_of(p1))
    ((key, letter),) = tampering.do(f"SELECT key, value FROM {table}")  # noqa: S608 - ours
    tampering.do(f"INSERT INTO {table} VALUES (1, ?, ?)", key, _said_twice(bytes(letter)))  # noqa: S608 - ours

    # then that is found where it stands
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"], found["offset"]) == ("not-canonical", DEAD_LETTERS.name, 1)


def counted(home: Path) -> list[str]:
    """How much of each topic was read."""
    told = ontrack("audit", "verify", "--data", home).told
    return [line for line in told.splitlines() if line.startswith("rom.")]


def moved_back(tampering: Tampering, case_id: str, value: bytes | None = None) -> None:
    """Move an event behind the two that come after it. value: what is written in its place."""
    first = value or tampering.record(TRACKS, case_id, 4)
    for place in (4, 5):
        tampering.put(TRACKS, case_id, place, tampering.record(TRACKS, case_id, place + 1))
    tampering.put(TRACKS, case_id, 6, first)


def test_where_events_changed_places_nothing_is_called_missing_or_twice_there(tampering: Tampering, p1: str) -> None:
    # given an event that was moved behind two others
    events = counted(tampering.home)
    moved_back(tampering, p1)

    # when the history is verified, then it is told where it stands and where it was expected, and no more
    (found,) = findings(tampering.home)
    at = tampering.offsets(TRACKS, p1)
    says = f"number 5 of the case was expected before number 6, which stands at offset {at[4]}"
    assert (found["finding"], found["offset"], found["says"]) == ("misplaced", at[6], says)

    # and as many events are there as were
    assert counted(tampering.home) == events


def test_an_event_that_was_moved_and_altered_is_both(tampering: Tampering, p1: str) -> None:
    moved_back(tampering, p1, renamed(tampering.record(TRACKS, p1, 4), source="urn:ontrack:other"))
    assert kinds(findings(tampering.home)) == {"misplaced": 1, "altered": 1}


def test_where_one_of_two_events_is_gone_and_the_other_moved_each_is_told(tampering: Tampering, p1: str) -> None:
    tampering.swap(TRACKS, p1, 5, 6)
    tampering.cut(TRACKS, p1, 4)
    told = {each["finding"]: each["says"] for each in findings(tampering.home)}
    # The topic ends earlier, and where those behind are of another case, its state is after another offset.
    assert told.keys() - {"log-cut", "state-ahead"} == {"gap", "misplaced"}
    assert "number 5 to 6 of the case was expected before number 7" in told["gap"]
    assert "number 6 of the case was expected before number 7" in told["misplaced"]


def test_a_fact_that_refers_to_what_is_not_there_is_named_with_what_was_expected(tampering: Tampering, p1: str) -> None:
    # given a fact that says of another one that all of it follows from that
    fact = tampering.event(CASES, p1, 2)
    correlation_of_a_fact(tampering, p1)

    # when the history is verified
    found = next(each for each in findings(tampering.home, "--reveal") if each["finding"] == "correlation-wrong")

    # then it is told where that is, what was expected there and what stands there
    assert (found["topic"], found["partition"]) == (CASES.name, partition_of(p1))
    assert (found["offset"], found["event"]) == (tampering.offsets(CASES, p1)[2], fact.id)
    expected, stands = (orjson.dumps(each).decode() for each in (fact.id, NOBODYS))
    assert found["fields"] == [{"field": "correlationid", "expected": expected, "found": stands}]


def test_an_event_that_stands_there_twice_in_the_same_bytes_is_what_a_crash_leaves(
    tampering: Tampering, p1: str
) -> None:
    for topic in (SCORES, TRACKS, NOTICES):
        tampering.append(topic, p1, tampering.record(topic, p1, 1))
    assert findings(tampering.home) == []
    assert "1 once more" in succeeded("audit", "verify", "--data", tampering.home).told


def _recorded_again(value: bytes) -> bytes:
    """A fact as it stands there when it was recorded once more, a day later."""
    recorded = datetime.fromisoformat(orjson.loads(value)["recordedtime"]) + timedelta(days=1)
    return renamed(value, recordedtime=instant(recorded))


def test_a_fact_that_was_recorded_again_at_another_moment_is_what_a_crash_leaves(tampering: Tampering, p1: str) -> None:
    tampering.append(CASES, p1, _recorded_again(tampering.record(CASES, p1, 1)))
    assert findings(tampering.home) == []


def test_a_fact_that_stands_there_again_and_otherwise_is_found(tampering: Tampering, p1: str, tmp_path: Path) -> None:
    # given a fact that stands there again, as if another one had said it
    first = tampering.record(CASES, p1, 1)
    tampering.append(CASES, p1, renamed(_recorded_again(first), source="urn:ontrack:words for somebody"))

    # when the history is verified, whole and of this case
    for options in ((), ("--case", "P1")):
        (found,) = findings(tampering.home, *options)

        # then that is found where it stands
        assert (found["finding"], found["topic"]) == ("repeated-otherwise", CASES.name)
        assert found["offset"] == tampering.offsets(CASES, p1)[-1]
        assert [each["field"] for each in found["fields"]] == ["source"]

    # and by whoever has no key too
    bundle = tmp_path / "history.zip"
    succeeded("audit", "export", "--data", tampering.home, "--output", bundle)
    ran = ontrack("audit", "verify", "--bundle", bundle, "--format", "json")
    (again,) = orjson.loads(ran.out)["findings"]
    assert (again["finding"], again["offset"]) == ("repeated-otherwise", found["offset"])


def test_a_fact_that_says_something_else_under_an_id_was_set_aside_and_is_no_repetition(
    tampering: Tampering, p1: str
) -> None:
    # given another answer under the id of one, by another client, which the stages have read
    place = tampering.place_of(CASES, p1, ResponseSubmitted)
    other = tampering.resealed(CASES, p1, place, comment="something else")
    tampering.append(CASES, p1, renamed(other, source="urn:ontrack:north:other"))

    async def read_on() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.catch_up()

    asyncio.run(read_on())

    # then nothing is wrong
    assert findings(tampering.home) == []


def test_however_many_cases_come_at_once_all_that_was_done_to_them_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given more cases in a partition than are kept open, of each a fact that stands there again and otherwise
    courses = {f"C{number}": {0: 12, 1: 13} for number in range(40)}
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", courses, "odsis"))
    tampering = Tampering(home)
    for case_id in tampering.keys:
        tampering.append(CASES, case_id, renamed(tampering.record(CASES, case_id, 1), source="urn:ontrack:nobody"))
    monkeypatch.setattr("services.auditor.fold.OPEN_AT_MOST", 1)

    # when the history is verified, then each is found
    found = findings(home)
    assert [each["finding"] for each in found] == ["repeated-otherwise"] * len(courses)
    assert {each["case"] for each in found} == tampering.keys.keys()
