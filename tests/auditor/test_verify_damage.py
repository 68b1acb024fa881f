"""Whatever was done to a history, `ontrack audit verify` finds it, and names what was expected there."""

from collections.abc import Callable
from typing import Final

import pytest

from contracts.events.facts import CaseEnrolled, ResponseSubmitted
from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, DEAD_LETTERS, NOTICES, SCORES, TRACKS, Topic, partition_of
from services.runtime.database import table_of
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import (
    NOBODYS,
    Tampering,
    cause_of_a_fact,
    conclusion_put_in,
    correlation_of_a_fact,
    key_gone,
    renamed,
)


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
    "an event put in": (conclusion_put_in, {"underivable"}, "no fact leads to this event"),
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
    "a key that is gone": (key_gone, {"key-missing"}, "the key of the case was expected"),
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
    "a fact with the cause of nobody": (cause_of_a_fact, {"cause-missing"}, f"its cause {NOBODYS} was expected"),
    "a fact with the correlation of nobody": (
        correlation_of_a_fact,
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
