"""`ontrack audit verify`: a history that is whole and right verifies, and whatever was done to one is found there."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.events.facts import CaseEnrolled, ResponseSubmitted
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
from services.auditor import states
from services.auditor.replay import History
from services.auditor.retold import known_at
from services.auditor.verify import verified
from services.cli.audit.shelf import shelf
from services.cli.audit.source import history_of
from services.cli.audit.verify import FIELDS_SHOWN
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from services.runtime.log.port import after
from services.runtime.store.port import Store, StoredState
from tests.auditor.moments import AMomentAgo, ends_before_the_last_fact
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import SECRET, imported, written
from tests.support.command import ontrack, succeeded


def findings(home: Path, *options: str) -> list[dict[str, Any]]:
    """What the audit finds."""
    ran = ontrack("audit", "verify", "--data", home, "--format", "json", *options)
    told = orjson.loads(ran.out)
    found: list[dict[str, Any]] = told["findings"]
    assert ran.exit_code == bool(found), ran.told
    assert told["verifies"] is not bool(found)
    assert ("The history verifies" in ran.told) is not bool(found)
    return found


def kinds(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(each["finding"] for each in found)


def test_a_history_to_which_nothing_was_done_verifies(sound: Path, mailing: Path) -> None:
    for home in (sound, mailing):
        assert findings(home) == []
    ran = succeeded("audit", "verify", "--data", sound)
    assert ran.out == b""
    assert "register: 8 states as derived" in ran.told
    assert "mailer" not in ran.told
    assert "mailer: 2 states as derived" in succeeded("audit", "verify", "--data", mailing).told


def test_a_program_is_told_whether_it_verifies(sound: Path, tampering: Tampering, p1: str, tmp_path: Path) -> None:
    # given a history that is whole, a bundle of it, and one to which something was done
    succeeded("audit", "export", "--data", sound, "--output", tmp_path / "bundle")
    _cut(tampering, p1)
    asked = {
        ("--data", sound): (0, True, True, "The history verifies"),
        ("--data", sound, "--case", "P1"): (0, True, False, "What was looked at verifies"),
        ("--bundle", tmp_path / "bundle"): (0, None, True, "What can be seen without keys is right"),
        ("--data", tampering.home): (1, False, True, " gap"),
    }
    for options, (code, verifies, whole, says) in asked.items():
        # when it is verified, then the verdict stands beside the findings, and in the last line of many
        ran = ontrack("audit", "verify", *options, "--format", "json")
        told = orjson.loads(ran.out)
        assert (ran.exit_code, told["verifies"], told["whole"]) == (code, verifies, whole)
        assert says in told["says"]
        assert told["says"] in ran.told
        assert told["events"] > 0
        assert bool(told["findings"]) is (verifies is False)
        *_, last = ontrack("audit", "verify", *options, "--format", "ndjson").out.splitlines()
        assert orjson.loads(last) == {name: told[name] for name in told if name != "findings"}


def test_where_nothing_is_nothing_verifies(tmp_path: Path) -> None:
    # given a home without a case
    async def found() -> None:
        await (await EmbeddedHome.found(tmp_path / "home")).close()

    asyncio.run(found())

    # when it is verified, then that is no good news, for people and for programs
    ran = ontrack("audit", "verify", "--data", tmp_path / "home", "--format", "json")
    told = orjson.loads(ran.out)
    assert (ran.exit_code, told["verifies"], told["events"], told["findings"]) == (1, None, 0, [])
    assert "There was nothing to verify" in ran.told


def test_it_makes_no_difference_how_much_is_read_at_a_time_and_how_many_cases_are_kept_open(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = succeeded("audit", "verify", "--data", sound).told
    for batch, kept in ((1, 1), (7, 2), (100, 1)):
        monkeypatch.setattr("services.auditor.replay.BATCH", batch)
        monkeypatch.setattr("services.auditor.fold.OPEN_AT_MOST", kept)
        told = succeeded("audit", "verify", "--data", sound).told
        assert [line for line in told.splitlines() if "a second" not in line] == [
            line for line in usual.splitlines() if "a second" not in line
        ]


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


NOBODYS: Final = "00000000-0000-4000-8000-000000000000"


def _cut(tampering: Tampering, case_id: str) -> None:
    tampering.cut(TRACKS, case_id, 5)


def _cut_last(tampering: Tampering, case_id: str) -> None:
    tampering.cut(NOTICES, case_id, -1)


def _cut_fact(tampering: Tampering, case_id: str) -> None:
    tampering.cut(CASES, case_id, 3)


def _swapped(tampering: Tampering, case_id: str) -> None:
    tampering.swap(TRACKS, case_id, 4, 5)


def _numbered_beyond(tampering: Tampering, case_id: str) -> None:
    """As far as a number goes: whoever counts up to it is busy for minutes."""
    tampering.append(TRACKS, case_id, renamed(tampering.record(TRACKS, case_id, -1), sequence=str(10**9 - 1)))


def _inserted(tampering: Tampering, case_id: str) -> None:
    last = tampering.record(TRACKS, case_id, -1)
    sequence = int(orjson.loads(last)["sequence"])
    tampering.append(TRACKS, case_id, renamed(last, sequence=str(sequence + 1)))


def _foreign(tampering: Tampering, case_id: str) -> None:
    tampering.append(SCORES, case_id, b"nonsense")


def _once_more_otherwise(tampering: Tampering, case_id: str) -> None:
    tampering.append(SCORES, case_id, renamed(tampering.record(SCORES, case_id, 3), source="urn:ontrack:other"))


def _edited_as_text(tampering: Tampering, case_id: str) -> None:
    """What an editor of databases leaves where it puts one word in the place of another."""
    statement = (
        f"UPDATE {table_of(SCORES, partition_of(case_id))} SET value = replace(value, 'urn:ontrack', 'urn:other')"  # noqa: S608 - ours
    )
    tampering.do(f'{statement} WHERE "offset" = ?', tampering.offsets(SCORES, case_id)[1])


def _flipped_outside(tampering: Tampering, case_id: str) -> None:
    """A bit of what stands before the end of a record."""
    value = bytearray(tampering.record(SCORES, case_id, 1))
    value[40] ^= 0x80
    tampering.put(SCORES, case_id, 1, bytes(value))


def _emptied(tampering: Tampering, case_id: str) -> None:
    """What zeroed pages leave: no value, where there has to be one."""
    table, offset = table_of(SCORES, partition_of(case_id)), tampering.offsets(SCORES, case_id)[1]
    tampering.do(f"ALTER TABLE {table} RENAME TO sound")
    tampering.do(f'CREATE TABLE {table} ("offset" INTEGER PRIMARY KEY, key TEXT, value BLOB)')
    copied = f'INSERT INTO {table} SELECT "offset", key, iif("offset" = ?, NULL, value) FROM sound'  # noqa: S608 - ours
    tampering.do(copied, offset)


def _state_changed(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'scoring' AND case_id = ?", case_id)


def _state_ahead(tampering: Tampering, case_id: str) -> None:
    """What is known of a case is nonsense, and the stage says that it has read what nobody has written."""
    statement = "UPDATE states SET \"offset\" = 999999, body = x'41' WHERE stage = 'not_detector' AND case_id = ?"
    tampering.do(statement, case_id)


def _state_of_another(tampering: Tampering, case_id: str) -> None:
    statement = "UPDATE states SET body = (SELECT body FROM states WHERE stage = 'scoring' AND case_id <> ?)"
    tampering.do(f"{statement} WHERE stage = 'scoring' AND case_id = ?", case_id, case_id)


def _state_gone(tampering: Tampering, case_id: str) -> None:
    tampering.do("DELETE FROM states WHERE stage = 'notifier' AND case_id = ?", case_id)


def _state_of_nobody(tampering: Tampering, case_id: str) -> None:
    columns = 'stage, case_id, "offset", read, written, schema, body, due'
    values = "stage, 'nobody', \"offset\", read, written, schema, body, due"
    tampering.do(
        f"INSERT INTO states ({columns}) SELECT {values} FROM states WHERE stage = 'register' AND case_id = ?",  # noqa: S608 - ours
        case_id,
    )


def _key_gone(tampering: Tampering, case_id: str) -> None:
    tampering.do("DELETE FROM keys WHERE case_id = ?", case_id)


def _key_of_text(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE keys SET wrapped = 'hello' WHERE case_id = ?", case_id)


def _key_with_a_letter_more(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE keys SET wrapped = wrapped || 'x' WHERE case_id = ?", case_id)


def _key_flipped(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE keys SET wrapped = zeroblob(length(wrapped)) WHERE case_id = ?", case_id)


def _of_the_state(column: str, value: str) -> Callable[[Tampering, str], None]:
    """Another value of a column of a state, as an editor of databases is told it."""

    def do(tampering: Tampering, case_id: str) -> None:
        tampering.do(f"UPDATE states SET {column} = {value} WHERE stage = 'scoring' AND case_id = ?", case_id)  # noqa: S608 - ours

    return do


def _of_the_record(topic: Topic, value: str) -> Callable[[Tampering, str], None]:
    """Another case of a record, as an editor of databases is told it."""

    def do(tampering: Tampering, case_id: str) -> None:
        table = table_of(topic, partition_of(case_id))
        offset = tampering.offsets(topic, case_id)[-1]
        tampering.do(f'UPDATE {table} SET key = {value} WHERE "offset" = ?', offset)  # noqa: S608 - ours

    return do


def _stage_lost_its_place(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE states SET \"offset\" = 0 WHERE stage = 'scoring' AND case_id = ?", case_id)
    tampering.do("UPDATE positions SET \"offset\" = 'hello' WHERE stage = 'scoring'")


def _moment_of_a_word(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE states SET due = 'hello' WHERE stage = 'register' AND case_id = ?", case_id)


def _unreadable_fact(tampering: Tampering, case_id: str) -> None:
    tampering.append(CASES, case_id, b"nonsense")


def _letter_of_nothing(tampering: Tampering, case_id: str) -> None:
    tampering.do(f"INSERT INTO {table_of(DEAD_LETTERS, 0)} VALUES (0, ?, 'nonsense')", case_id)  # noqa: S608 - ours


def _of_a_fact(tampering: Tampering, case_id: str, **changes: str) -> None:
    tampering.put(CASES, case_id, 2, renamed(tampering.record(CASES, case_id, 2), **changes))


def _cause_of_a_fact(tampering: Tampering, case_id: str) -> None:
    _of_a_fact(tampering, case_id, causationid=NOBODYS)


def _correlation_of_a_fact(tampering: Tampering, case_id: str) -> None:
    _of_a_fact(tampering, case_id, correlationid=NOBODYS)


def _correlation_of_a_conclusion(tampering: Tampering, case_id: str) -> None:
    place = tampering.place_of(TRACKS, case_id, TrackEvaluated)
    tampering.put(TRACKS, case_id, place, renamed(tampering.record(TRACKS, case_id, place), correlationid=NOBODYS))


def _definition_of_nobody(tampering: Tampering, case_id: str) -> None:
    place = tampering.place_of(CASES, case_id, CaseEnrolled)
    value = tampering.resealed(CASES, case_id, place, policy=f"of-nobody@1#{'0' * 64}")
    tampering.put(CASES, case_id, place, value)


def _definition_of_another_hash(tampering: Tampering, case_id: str) -> None:
    place = tampering.place_of(CASES, case_id, ResponseSubmitted)
    value = tampering.resealed(CASES, case_id, place, instrument=f"odsis@1#{'0' * 64}")
    tampering.put(CASES, case_id, place, value)


DONE: Final[dict[str, tuple[Callable[[Tampering, str], None], set[str], str]]] = {
    "an event taken out": (_cut, {"gap"}, "number 6 of the case was expected before number 7"),
    "the last event taken out": (
        _cut_last,
        {"missing"},
        "number 2 of the case (ontrack.notice-requested.v1) was expected",
    ),
    "a fact taken out": (_cut_fact, {"altered"}, "what follows from the facts was expected"),
    "two events that changed places": (_swapped, {"misplaced"}, "number 5 of the case was expected before number 6"),
    "an event with a number beyond all": (_numbered_beyond, {"gap"}, "of the case was expected before number"),
    "an event put in": (_inserted, {"underivable"}, "no fact leads to this event"),
    "a record that is no event": (_foreign, {"unreadable"}, "a record of rom.scores.v1 was expected"),
    "an event that was edited as text": (_edited_as_text, {"altered"}, "what follows from the facts was expected"),
    "an event that cannot be read": (_flipped_outside, {"altered"}, "; what stands there cannot be read"),
    "an event of which nothing is left": (_emptied, {"unreadable"}, "a record of rom.scores.v1 was expected"),
    "an event once more, in other bytes": (_once_more_otherwise, {"repeated-otherwise"}, "were expected once more"),
    "a state with another number": (_state_changed, {"state-altered"}, "what follows from the history was expected"),
    "a state that has read more": (_state_ahead, {"state-ahead"}, "up to offset 999999, does not stand there"),
    "a state of another case": (_state_of_another, {"state-altered"}, "what follows from the history was expected"),
    "a state that is gone": (_state_gone, {"state-missing"}, "a state was expected"),
    "a state of nobody": (_state_of_nobody, {"state-underivable"}, "nothing on the log leads to it"),
    "a key that is gone": (_key_gone, {"key-missing"}, "the key of the case was expected"),
    "a key that became text": (_key_of_text, {"key-missing"}, "in the keyring, undamaged"),
    "a key with a letter more": (_key_with_a_letter_more, {"key-missing"}, "in the keyring, undamaged"),
    "a key that is another one": (_key_flipped, {"key-missing"}, "in the keyring, undamaged"),
    "a state that became text": (_of_the_state("body", "'hello'"), {"state-altered"}, "what follows from the history"),
    "a state with a letter more": (_of_the_state("body", "body || 'x'"), {"state-altered"}, "what follows from the"),
    "a state whose place is a word": (
        _of_the_state('"offset"', "'hello'"),
        {"state-altered"},
        "the state after offset",
    ),
    "a state whose number is a word": (_of_the_state("written", "'hello'"), {"state-altered"}, "what follows from"),
    "a state whose case is no text": (_of_the_state("case_id", "x'ff00'"), {"state-missing"}, "a state was expected"),
    "a state whose moment is a word, and more": (
        _of_the_state("due = 'hello', written", "written + 1"),
        {"state-altered"},
        "what follows from the history",
    ),
    "a moment that became a word": (_moment_of_a_word, {"state-altered"}, "what follows from the history"),
    "a stage whose place is a word": (_stage_lost_its_place, {"state-altered"}, "the state after offset"),
    "a record whose case is no text": (_of_the_record(SCORES, "x'ff00'"), {"unreadable"}, "a record of rom.scores.v1"),
    "a record whose case is text of no letters": (
        _of_the_record(SCORES, "CAST(x'ff00' AS TEXT)"),
        {"unreadable"},
        "a record of rom.scores.v1",
    ),
    "a fact whose case is no text": (_of_the_record(CASES, "x'ff00'"), {"unreadable"}, "a fact"),
    "a fact that cannot be read": (_unreadable_fact, {"dead-letter-missing"}, "a dead letter was expected"),
    "a fact with the cause of nobody": (_cause_of_a_fact, {"cause-missing"}, f"its cause {NOBODYS} was expected"),
    "a fact with the correlation of nobody": (
        _correlation_of_a_fact,
        {"correlation-wrong", "altered"},
        "a fact was expected to name itself",
    ),
    "a conclusion with the correlation of nobody": (
        _correlation_of_a_conclusion,
        {"altered"},
        "what follows from the facts was expected",
    ),
    "a fact that names a definition of nobody": (
        _definition_of_nobody,
        {"definition-missing"},
        "no of-nobody@1 stands there",
    ),
    "a fact that names a definition by another hash": (
        _definition_of_another_hash,
        {"definition-missing"},
        "what stands there as odsis@1 is odsis@1#",
    ),
    "a dead letter of nothing": (_letter_of_nothing, {"dead-letter-underivable"}, "a fact that it speaks of"),
}


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


STRANGE: Final = ("\ufffd\0",)
"""What is told in the place of a case that is no text."""


@pytest.mark.parametrize("name", DONE)
def test_whatever_was_done_to_a_history_is_found(tampering: Tampering, p1: str, name: str) -> None:
    do, expected, says = DONE[name]
    do(tampering, p1)
    found = findings(tampering.home)
    assert kinds(found).keys() >= expected
    assert any(says in each["says"] for each in found if each["finding"] in expected)
    # Where a record was taken out, those behind it moved up, so the states of others are after another offset.
    assert {each["case"] for each in found if each["finding"] != "state-ahead"} <= {p1, "nobody", None, *STRANGE}


def test_where_a_definition_is_gone_that_an_event_names_a_case_is_not_told_and_it_is_said_why(
    tampering: Tampering, p1: str
) -> None:
    # given a log without the instrument that was answered
    answered = tampering.event(CASES, p1, tampering.place_of(CASES, p1, ResponseSubmitted)).data
    assert isinstance(answered, ResponseSubmitted)
    ref, table = answered.instrument, table_of(DEFINITIONS, 0)
    tampering.do(f"DELETE FROM {table} WHERE CAST(value AS TEXT) LIKE ?", f'%"ref":"{ref}"%')  # noqa: S608 - ours

    # when a case is asked for, then it is said which one, and who tells more
    for command in (("case", "P1"), ("audit", "history", "P1"), ("audit", "why", "P1", "--session", "2")):
        for form in ("table", "json"):
            ran = ontrack(*command, "--data", tampering.home, "--format", form)
            assert ran.exit_code == 1, ran.told
            assert f"the definition {ref} is not known here, and an event names it: ontrack audit verify" in ran.told
    assert "definition-missing" in kinds(findings(tampering.home))


def test_a_definition_that_is_gone_is_found_by_the_hole_where_it_stood(tampering: Tampering) -> None:
    # given a log without a definition that nothing names
    tampering.do(f'DELETE FROM {table_of(DEFINITIONS, 0)} WHERE "offset" = 3')  # noqa: S608 - ours

    # when the history is verified, also of one case
    for options in ((), ("--case", "P1")):
        holes = [each for each in findings(tampering.home, *options) if each["finding"] == "gap"]

        # then the hole is found where it is
        assert [(each["topic"], each["says"]) for each in holes] == [
            (DEFINITIONS.name, "offset 3 was expected before offset 4")
        ]


def test_two_definitions_of_one_name_and_version_are_found(tampering: Tampering) -> None:
    # given a policy, and another content under its name and version
    policy = next(entry for entry in library() if entry.ref.startswith("gryesten-2023@1#"))
    other = entry_of({**policy.body, "persistent_after": 9})

    async def publish() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.publish([other])

    asyncio.run(publish())

    # when the history is verified, then the second one is found
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"]) == ("definition-ambiguous", DEFINITIONS.name)
    assert found["says"] == f"one gryesten-2023@1 was expected; {policy.ref} stands before it"


def test_a_fact_that_is_gone_with_all_that_followed_is_found_by_the_hole_where_it_stood(
    tampering: Tampering, p1: str
) -> None:
    # given a fact that was removed, and nothing of its partition but facts
    offset, number = tampering.offsets(CASES, p1)[3], partition_of(p1)
    tampering.do(f'DELETE FROM {table_of(CASES, number)} WHERE "offset" = ?', offset)  # noqa: S608 - ours
    for topic in (SCORES, TRACKS, NOTICES):
        tampering.do(f"DELETE FROM {table_of(topic, number)}")  # noqa: S608 - ours
    tampering.do("DELETE FROM states WHERE case_id = ?", p1)
    tampering.do("DELETE FROM positions WHERE partition = ?", number)

    # when all that follows is to be made anew, then that is refused, and nothing is put on the log
    swapped = ontrack("audit", "replay", "--swap", "--data", tampering.home)
    assert swapped.exit_code == 1
    assert "The log lacks records" in swapped.told
    assert not tampering.offsets(SCORES, p1)

    # and the hole is found where it is
    holes = [each for each in findings(tampering.home) if each["finding"] == "gap"]
    assert [(each["topic"], each["partition"], each["says"]) for each in holes] == [
        (CASES.name, number, f"offset {offset} was expected before offset {after(offset)}")
    ]


def test_conclusions_that_nobody_can_conclude_again_are_found_by_the_hole_where_they_stood(
    tampering: Tampering, p1: str
) -> None:
    # given a case whose key was taken away, and a conclusion of it on each topic, with others behind it
    tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", p1)
    tampering.do("DELETE FROM states WHERE case_id = ?", p1)
    number, holes = partition_of(p1), []
    for topic in (SCORES, TRACKS, NOTICES):
        offset = tampering.offsets(topic, p1)[0]
        tampering.do(f'DELETE FROM {table_of(topic, number)} WHERE "offset" = ?', offset)  # noqa: S608 - ours
        holes.append((topic.name, number, f"offset {offset} was expected before offset {after(offset)}"))

    # when the history is verified, then each hole is found where it is
    found = [each for each in findings(tampering.home) if each["says"].startswith("offset ")]
    assert {each["finding"] for each in found} == {"gap"}
    assert [(each["topic"], each["partition"], each["says"]) for each in found] == holes


def test_a_log_of_which_the_end_was_cut_off_is_found_by_what_the_stages_have_read(
    tampering: Tampering, p1: str
) -> None:
    # given a log without its last fact and all that was concluded from it
    tampering.cut_off(p1)

    # when the history is verified
    found = findings(tampering.home)

    # then it is told how far each stage has read, and what is known of the case by what is gone
    assert kinds(found).keys() == {"log-cut", "state-ahead"}
    cuts = [each for each in found if each["finding"] == "log-cut"]
    assert [each["topic"] for each in cuts] == [CASES.name, CASES.name, SCORES.name, TRACKS.name]
    assert [each["stage"] for each in cuts] == ["register", "scoring", "not_detector", "notifier"]
    assert {each["partition"] for each in found} == {partition_of(p1)}
    first, *_ = cuts
    assert first["says"].startswith(f"register has read up to offset {after(first['offset'])}, ")


_HEAD: Final = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life"


def test_a_state_that_has_read_a_record_of_another_case_is_found(tampering: Tampering, tmp_path: Path) -> None:
    # given a state with the body of another case, behind the record of a third one: of 13 two share a partition
    file = tmp_path / "more.csv"
    rows = [f"Q{number},1,2026-03-02T09:00,odsis,1,1,1,1,1" for number in range(5)]
    file.write_text("\n".join([_HEAD, *rows]))
    succeeded("import", file, "--enrol", "--data", tampering.home)
    places = tampering.do("SELECT case_id, \"offset\" FROM states WHERE stage = 'register'")
    partition_ends = [
        max(other for of, other in places if partition_of(of) == partition_of(each)) for each, _ in places
    ]
    case_id = next(each for (each, offset), end in zip(places, partition_ends, strict=True) if offset < end)
    statement = "UPDATE states SET \"offset\" = \"offset\" + 1, body = x'41' WHERE stage = 'register' AND case_id = ?"
    tampering.do(statement, case_id)

    # when the history is verified, then it is found, though that record stands on the log
    (found,) = findings(tampering.home)
    assert (found["finding"], found["stage"], found["case"]) == ("state-ahead", "register", case_id)


def _all_of_it(ends: Mapping[str, int]) -> Mapping[str, int]:
    return ends


def _conclusions(ends: Mapping[str, int]) -> Mapping[str, int]:
    return {topic: end for topic, end in ends.items() if topic != CASES.name}


def _whole_cases(ends: Mapping[str, int]) -> Mapping[str, int]:
    return dict.fromkeys(ends, 0)


@pytest.mark.parametrize("since", [_all_of_it, _conclusions, _whole_cases], ids=lambda since: since.__name__)
async def test_what_comes_while_a_history_is_verified_is_no_finding(
    sound: Path, p1: str, since: Callable[[Mapping[str, int]], Mapping[str, int]]
) -> None:
    async with await EmbeddedHome.open(sound) as home, shelf() as empty:
        # given a fact, what is concluded from it, or cases that come after it was asked how far the log reaches
        partition = partition_of(p1)
        ends = since(await ends_before_the_last_fact(home.log, partition))
        history = await history_of(sound, home)

        # when the history is verified
        ago = replace(history, log=AMomentAgo(home.log, partition, ends))
        found = await verified(ago, empty, lambda _: None)

        # then nothing is found, and each state is as derived, or has read what came since
        assert found.findings.kept == []
        assert [each.equal + each.moved for each in found.states] == [8, 8, 8, 8]
        assert any(each.moved for each in found.states) is (CASES.name in ends)


def before_its_partition(history: History, case_id: str) -> History:
    """A history of which the partition of a case came since it was asked how far the log reaches."""
    nothing = dict.fromkeys((topic.name for topic in (CASES, SCORES, TRACKS, NOTICES)), 0)
    return replace(history, log=AMomentAgo(history.log, partition_of(case_id), nothing))


class GoneOn:
    """A store in which a stage has read on with a case when it is looked at once more."""

    def __init__(self, store: Store, stage: str, case_id: str, times: int) -> None:
        self._store = store
        self._of = stage, case_id
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        found = dict(await self._store.load(stage, case_ids, states))
        if stage == self._of[0] and self._of[1] in found:
            self._left -= 1
            if self._left < 0:
                found[self._of[1]] = replace(found[self._of[1]], offset=after(found[self._of[1]].offset))
        return found


@pytest.mark.parametrize(
    ("times", "fields"), [(99, ["written"]), (1, [])], ids=["as it was", "gone on since it was looked at"]
)
async def test_what_is_known_by_what_came_since_is_compared_too(
    tampering: Tampering, p1: str, times: int, fields: Sequence[str]
) -> None:
    # given a state that was altered, of a case of which the stage has read more since
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'not_detector' AND case_id = ?", p1)
    async with await EmbeddedHome.open(tampering.home) as home, shelf() as empty:
        history = await history_of(tampering.home, home)
        assert history.store is not None
        goes_on = replace(history, store=GoneOn(history.store, "not_detector", p1, times))

        # when the history is verified, then that is found, with its fields if that state stands there still
        (found,) = (await verified(before_its_partition(goes_on, p1), empty, lambda _: None)).findings.kept
        assert (found.what, found.place.stage, found.place.case) == ("state-altered", "not_detector", p1)
        assert [each.path for each in found.differences] == fields


async def test_where_a_stage_cannot_go_on_what_it_knows_by_what_came_since_is_counted(
    tampering: Tampering, p1: str
) -> None:
    # given a record that came since and cannot be read by the stage that has read it
    tampering.put(SCORES, p1, 1, b"x")
    async with await EmbeddedHome.open(tampering.home) as home, shelf() as empty:
        history = before_its_partition(await history_of(tampering.home, home), p1)
        found = await verified(history, empty, lambda _: None)

        # then nothing is claimed of its states, and none is left out
        assert "state-altered" not in found.findings.counts
        assert [each.equal + each.moved for each in found.states] == [8, 8, 8, 8]


@pytest.fixture
def behind(tmp_path: Path) -> tuple[Tampering, str]:
    """A home of which a stage has not come to what was answered since; and the case that was."""
    home, more = imported(tmp_path / "home", written(tmp_path / "answers.csv", COURSES, "odsis")), tmp_path / "more.csv"
    tampering = Tampering(home)
    kept = {table: tampering.do(f"SELECT * FROM {table} WHERE stage = 'not_detector'") for table in TABLES}  # noqa: S608 - ours
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life\n"
    more.write_text(f"{head}P1,6,2026-03-01T10:00:00Z,odsis,4,4,4,4,4\n")
    succeeded("import", more, "--data", home)
    stands = dict(tampering.do("SELECT case_id, body FROM states WHERE stage = 'not_detector'"))
    for table, rows in kept.items():
        for row in rows:
            marks = ", ".join("?" * len(row))
            tampering.do(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *row)  # noqa: S608 - ours
    (case_id,) = [row[1] for row in kept["states"] if stands[row[1]] != row[6]]
    return tampering, case_id


TABLES: Final = ("states", "positions")


def test_a_stage_that_has_not_read_everything_yet_is_no_finding(behind: tuple[Tampering, str]) -> None:
    tampering, _ = behind
    told = succeeded("audit", "verify", "--data", tampering.home).told
    assert "not_detector: 7 states as derived, 1 that have not read everything yet" in told
    assert "The history verifies" in told


def test_a_stage_that_has_not_read_everything_yet_and_cannot_go_on_is_counted(behind: tuple[Tampering, str]) -> None:
    tampering, case_id = behind
    tampering.put(SCORES, case_id, 1, b"x")
    told = ontrack("audit", "verify", "--data", tampering.home).told
    assert "not_detector: 7 states as derived, 1 that have not read everything yet" in told
    assert "state-altered" not in told


@pytest.mark.parametrize("cases_at_once", [1, 3, 99])
def test_for_states_of_another_moment_the_log_is_read_once_more_and_not_for_every_few_of_them(
    tampering: Tampering, monkeypatch: pytest.MonkeyPatch, cases_at_once: int
) -> None:
    # given a stage that is behind with all of its cases
    tampering.do("UPDATE states SET \"offset\" = -1 WHERE stage = 'not_detector'")
    tampering.do("UPDATE positions SET \"offset\" = 0 WHERE stage = 'not_detector'")
    asked: list[int] = []

    def seen(stage: Any, log: Any, log_id: Any, keys: Any, offsets: Mapping[str, int]) -> Any:
        asked.append(len(offsets))
        return known_at(stage, log, log_id, keys, offsets)

    monkeypatch.setattr(states, "known_at", seen)
    monkeypatch.setattr(states, "_AT_ONCE", cases_at_once)

    # when they are compared, however few are looked at together, then all of them are at once with what they have read
    assert {each["finding"] for each in findings(tampering.home)} == {"state-altered"}
    assert asked == [8]

    # but no more than can be open
    monkeypatch.setattr(states, "_APART_AT_ONCE", 4)
    asked.clear()
    assert len(findings(tampering.home)) == 8
    assert asked == {1: [4, 4], 3: [6, 2], 99: [8]}[cases_at_once]


@pytest.mark.parametrize(
    ("do", "says", "fields"),
    [
        ("body = x'41'", "what follows from what it has read was expected", ["state"]),
        ("written = written + 1", "what follows from what it has read was expected", ["written"]),
        ('"offset" = -1', "a record of the case was expected at offset -1", []),
    ],
)
def test_what_a_stage_knows_that_has_not_read_everything_is_compared_with_what_it_has_read(
    behind: tuple[Tampering, str], do: str, says: str, fields: Sequence[str]
) -> None:
    tampering, case_id = behind
    tampering.do(f"UPDATE states SET {do} WHERE stage = 'not_detector' AND case_id = ?", case_id)  # noqa: S608 - ours
    (found,) = findings(tampering.home)
    assert (found["finding"], found["stage"], found["case"]) == ("state-altered", "not_detector", case_id)
    assert found["says"].startswith(says)
    assert [each["field"] for each in found["fields"]] == fields


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


def test_a_fact_that_cannot_be_read_is_named_before_all_that_does_not_follow_without_it(
    tampering: Tampering, p1: str
) -> None:
    # given a fact that was damaged after much had been concluded from it
    tampering.put(CASES, p1, 2, b"x" + tampering.record(CASES, p1, 2)[1:])

    # when the history is verified, then it comes first, with its place
    first, *others = findings(tampering.home)
    assert (first["finding"], first["topic"], first["case"]) == ("unreadable", CASES.name, p1)
    assert (first["partition"], first["offset"]) == (partition_of(p1), tampering.offsets(CASES, p1)[2])
    alike = kinds([each for each in others if each["topic"] == SCORES.name])["altered"]
    assert alike > 5

    # and where people read it, what was found alike behind it is told in one line
    told = ontrack("audit", "verify", "--data", tampering.home).out.decode()
    assert told.startswith("unreadable: ")
    assert f"and {alike - 1} more altered of this case behind it; --format json names them" in told
    assert told.count("\naltered: ") == 3


def test_a_fact_that_refers_to_what_is_not_there_is_named_with_what_was_expected(tampering: Tampering, p1: str) -> None:
    # given a fact that says of another one that all of it follows from that
    fact = tampering.event(CASES, p1, 2)
    _correlation_of_a_fact(tampering, p1)

    # when the history is verified
    found = next(each for each in findings(tampering.home, "--reveal") if each["finding"] == "correlation-wrong")

    # then it is told where that is, what was expected there and what stands there
    assert (found["topic"], found["partition"]) == (CASES.name, partition_of(p1))
    assert (found["offset"], found["event"]) == (tampering.offsets(CASES, p1)[2], fact.id)
    expected, stands = (orjson.dumps(each).decode() for each in (fact.id, NOBODYS))
    assert found["fields"] == [{"field": "correlationid", "expected": expected, "found": stands}]


def _content_changed(body: dict[str, Any]) -> None:
    body["title"]["en"] += "!"


def _kind_changed(body: dict[str, Any]) -> None:
    del body["title"]


@pytest.mark.parametrize("change", [_content_changed, _kind_changed])
def test_a_definition_that_is_not_what_it_says_is_found_and_nothing_else_is_claimed(
    tampering: Tampering, change: Callable[[dict[str, Any]], None]
) -> None:
    # given a definition whose content was changed where it was published
    table = table_of(DEFINITIONS, 0)
    ((offset, value),) = tampering.do(f'SELECT "offset", value FROM {table} WHERE "offset" = 3')  # noqa: S608 - ours
    record = orjson.loads(value)
    change(record["data"]["body"])
    tampering.do(f'UPDATE {table} SET value = ? WHERE "offset" = ?', orjson.dumps(record), offset)  # noqa: S608 - ours

    # when the history is verified
    (found,) = findings(tampering.home, "--case", "P1")

    # then that is the finding, and nothing is said of what rests on it
    assert (found["finding"], found["topic"], found["partition"]) == ("definition-altered", DEFINITIONS.name, 0)
    assert (found["offset"], found["event"]) == (offset, record["id"])
    assert orjson.loads(found["fields"][0]["found"]) == record["data"]["ref"]
    assert "Nothing else was verified" in ontrack("audit", "verify", "--data", tampering.home).told


def test_a_definition_that_cannot_be_read_is_told_without_fields_that_nobody_knows(tampering: Tampering) -> None:
    tampering.do(f'UPDATE {table_of(DEFINITIONS, 0)} SET value = ? WHERE "offset" = 3', b"garbage")  # noqa: S608 - ours
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"], found["offset"]) == ("unreadable", DEFINITIONS.name, 3)
    assert found["fields"] == []
    assert "Nothing else was verified" in ontrack("audit", "verify", "--data", tampering.home).told


def test_without_a_key_facts_and_what_they_follow_from_are_looked_at_too(
    tampering: Tampering, p1: str, tmp_path: Path
) -> None:
    # given a history of which some facts follow from nothing, in a bundle without keys
    _cause_of_a_fact(tampering, p1)
    value = renamed(tampering.record(CASES, p1, 3), correlationid=NOBODYS)
    tampering.put(CASES, p1, 3, value)
    succeeded("audit", "export", "--data", tampering.home, "--output", tmp_path / "bundle")

    # when it is verified
    ran = ontrack("audit", "verify", "--bundle", tmp_path / "bundle", "--format", "json")

    # then they are found
    found = kinds([each for each in orjson.loads(ran.out)["findings"] if each["topic"] == CASES.name])
    assert found == {"cause-missing": 1, "correlation-wrong": 1}


def test_a_key_that_was_destroyed_though_nobody_erased_the_case_is_found_until_the_log_says_that_it_was(
    tampering: Tampering, p1: str
) -> None:
    # given a conclusion that was altered, and to hide it the key of its case is destroyed, and all that is known of it
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    tampering.put(TRACKS, p1, place, tampering.resealed(TRACKS, p1, place, status="unknown"))
    tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", p1)
    tampering.do("DELETE FROM states WHERE case_id = ?", p1)

    # when the history is verified
    ran = ontrack("audit", "verify", "--data", tampering.home, "--format", "json")
    told = orjson.loads(ran.out)

    # then that case stays sealed, and is found, by the audit and by the doctor
    assert (ran.exit_code, told["verifies"], told["unexplained"]) == (1, False, [p1])
    assert [(each["finding"], each["case"]) for each in told["findings"]] == [("key-destroyed", p1)]
    assert "that stay sealed" in ran.told
    assert "of erased cases" not in ran.told
    checked = orjson.loads(ontrack("doctor", "--data", tampering.home, "--format", "json").out)
    assert [each["do"] for each in checked if each["verdict"] == "finding"] == [
        f"if they were, ontrack erase says so there: {p1}"
    ]

    # and once somebody has said on the log that it was erased, that is told, and nothing else
    succeeded("erase", p1, "--ground", "ordered", "--confirm", p1, "--data", tampering.home)
    assert findings(tampering.home) == []
    assert f"{p1}: this case was erased" in succeeded("audit", "verify", "--data", tampering.home).told


def test_what_is_known_of_a_case_whose_key_is_destroyed_is_found(tampering: Tampering, p1: str) -> None:
    tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", p1)
    found = findings(tampering.home)
    assert kinds(found) == {"state-underivable": 4, "key-destroyed": 1}
    assert {each["case"] for each in found} == {p1}


def test_an_event_that_stands_there_twice_in_the_same_bytes_is_what_a_crash_leaves(
    tampering: Tampering, p1: str
) -> None:
    for topic in (SCORES, TRACKS, NOTICES):
        tampering.append(topic, p1, tampering.record(topic, p1, 1))
    assert findings(tampering.home) == []
    assert "1 once more" in succeeded("audit", "verify", "--data", tampering.home).told


def test_a_state_that_differs_in_many_fields_names_the_first_of_them_where_people_read_it(
    tampering: Tampering, p1: str
) -> None:
    # given a state that knows nothing any more
    nothing = tampering.keys[p1].seal(b"{}", b"register", p1.encode())
    tampering.do("UPDATE states SET body = ? WHERE stage = 'register' AND case_id = ?", nothing, p1)

    # when it is verified, then some fields are named, and how many more there are
    told = ontrack("audit", "verify", "--data", tampering.home).out.decode()
    more = re.search(r"and (\d+) more fields; --format json names all of them", " ".join(told.split()))
    assert more
    assert len(re.findall(r"^ {4}state\.", told, re.MULTILINE)) == FIELDS_SHOWN

    # and all of them for programs
    (found,) = findings(tampering.home)
    assert len(found["fields"]) == FIELDS_SHOWN + int(more[1])
