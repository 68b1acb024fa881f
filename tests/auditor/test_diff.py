"""`ontrack audit diff`: which events two histories do not share, and which sessions they judge otherwise."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.codec import CaseKey, encode, seal
from contracts.events.facts import ResponseCorrected, ResponseSubmitted
from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic
from services.embedded import MASTER_KEY
from services.runtime.keyring.master import MasterKey
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import Step, day_of, lived, spread
from tests.support.command import ontrack, succeeded

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")


def differing(*arguments: str | Path) -> list[dict[str, Any]]:
    ran = ontrack("audit", "diff", *arguments, "--format", "json")
    found: list[dict[str, Any]] = orjson.loads(ran.out)
    assert ran.exit_code == bool(found), ran.told
    assert ("Both say the same" in ran.told) is not bool(found)
    return found


@pytest.fixture
def bundle(sound: Path, tmp_path: Path) -> tuple[Path, Path]:
    file, keys = tmp_path / "history.zip", tmp_path / "history.keys"
    succeeded("audit", "export", "--data", sound, "--output", file, "--keys", keys)
    return file, keys


def test_a_home_says_the_same_as_itself_and_as_its_bundle(sound: Path, bundle: tuple[Path, Path]) -> None:
    file, keys = bundle
    assert differing(sound, sound) == []
    assert differing(sound, file, "--keys-b", keys) == []
    assert differing(file, sound) == []


def test_a_correction_tells_what_it_changed_and_which_sessions_are_judged_otherwise(
    sound: Path, p1: str, tampering: Tampering
) -> None:
    # given a home in which one answer was corrected
    answered = tampering.event(CASES, p1, tampering.place_of(CASES, p1, ResponseSubmitted) + 3)
    answers = dict(zip(ITEMS, spread(20, 4), strict=True))
    correction = ResponseCorrected(response=answered.id, answers=answers, reason="a slip", by="anna")
    lived(tampering.home, [Step("P1", correction, day_of(6))])

    # when it is laid beside the one where it was not
    found = differing(sound, tampering.home)

    # then only what followed from it is listed, and the session with its two statuses
    events = [each for each in found if each["how"] != "judged"]
    assert {(each["how"], each["case"]) for each in events} == {("only-second", p1)}
    assert Counter(each["type"] for each in events if each["topic"] == CASES.name) == {
        "ontrack.response-corrected.v1": 1
    }
    assert {each["session"]: (each["first"], each["second"]) for each in found if each["how"] == "judged"}[3] == (
        "on_track",
        "not_on_track",
    )

    # and the other way round it is the other way round
    assert {each["how"] for each in differing(tampering.home, sound)} == {"only-first", "judged"}
    ran = ontrack("audit", "diff", sound, tampering.home)
    assert f"Session 3 of case {p1}: on_track in the first, not_on_track in the second" in ran.out.decode()


def test_a_changed_conclusion_is_told_by_its_fields(sound: Path, tampering: Tampering, p1: str) -> None:
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    tampering.put(TRACKS, p1, place, tampering.resealed(TRACKS, p1, place, status="unknown"))
    found, judged = differing(sound, tampering.home)
    assert (found["how"], found["fields"], found["event"]) == (
        "differs",
        ["data.status"],
        tampering.event(TRACKS, p1, place).id,
    )
    assert (judged["how"], judged["case"]) == ("judged", p1)


@pytest.mark.parametrize("topic", [CASES, TRACKS], ids=lambda topic: topic.name)
def test_another_record_under_the_id_of_an_event_is_told_and_decides_nothing(
    sound: Path, tampering: Tampering, p1: str, tmp_path: Path, topic: Topic
) -> None:
    # given a home in which a record stands once more as it was, and another one once more and otherwise
    kind, said = (ResponseSubmitted, {"session": 9}) if topic is CASES else (TrackEvaluated, {"status": "unknown"})
    place = tampering.place_of(topic, p1, kind)
    event = tampering.event(topic, p1, place).id
    tampering.append(topic, p1, tampering.record(topic, p1, place + 1))
    tampering.append(topic, p1, tampering.resealed(topic, p1, place, **said))

    # when it is laid beside the one where it stands once
    found = differing(sound, tampering.home)

    # then only that is told, and no session is judged otherwise by it
    fields = [f"data.{name}" for name in said]
    assert [(each["how"], each["event"], each["fields"]) for each in found] == [("repeated-second", event, fields)]
    assert [each["how"] for each in differing(tampering.home, sound)] == ["repeated-first"]
    told = ontrack("audit", "diff", sound, tampering.home).out.decode()
    assert f"stands once more in the second, and says something else there in {fields[0]}" in told

    # and without keys it is found and not told
    file = tmp_path / "history.zip"
    succeeded("audit", "export", "--data", tampering.home, "--output", file)
    assert [(each["how"], each["event"], each["fields"]) for each in differing(sound, file)] == [
        ("repeated-second", event, [])
    ]

    # and of two that have it nothing is told
    assert differing(tampering.home, tampering.home) == []


def test_what_has_only_another_number_is_counted_and_not_listed(sound: Path, tampering: Tampering, p1: str) -> None:
    last = len(tampering.offsets(SCORES, p1)) - 1
    tampering.put(SCORES, p1, last, renamed(tampering.record(SCORES, p1, last), sequence="99"))
    assert differing(sound, tampering.home) == []
    assert "1 of them with another number" in ontrack("audit", "diff", sound, tampering.home).told


def test_what_is_sealed_under_another_key_and_says_the_same_is_the_same(
    sound: Path, tampering: Tampering, p1: str
) -> None:
    # given a home where a case has another key
    other = CaseKey(bytes(range(64)))
    for topic in (CASES, SCORES, TRACKS, NOTICES):
        for place in range(len(tampering.offsets(topic, p1))):
            event = tampering.event(topic, p1, place)._replace(sealed=None)
            tampering.put(topic, p1, place, encode(event._replace(sealed=seal(event, other))))
    wrapped = MasterKey.read(tampering.home / MASTER_KEY).wrap(other)
    tampering.do("UPDATE keys SET wrapped = ? WHERE case_id = ?", wrapped, p1)

    # then both say the same
    assert differing(sound, tampering.home) == []


def test_without_keys_what_differs_is_found_and_not_told(
    sound: Path, tampering: Tampering, p1: str, tmp_path: Path
) -> None:
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    tampering.put(TRACKS, p1, place, tampering.resealed(TRACKS, p1, place, status="unknown"))
    file = tmp_path / "history.zip"
    succeeded("audit", "export", "--data", tampering.home, "--output", file)
    (found,) = differing(sound, file)
    assert (found["how"], found["fields"], found["topic"]) == ("differs", [], TRACKS.name)

    # and it is said that nobody could look how the sessions were judged
    assert "Sessions of 1 case were not compared: a key is not here." in ontrack("audit", "diff", sound, file).told


def test_where_a_seal_is_broken_no_key_is_said_to_lack(sound: Path, tampering: Tampering, p1: str) -> None:
    place = tampering.place_of(TRACKS, p1, TrackEvaluated)
    value = bytearray(tampering.record(TRACKS, p1, place))
    at = value.index(b'"data_base64":"') + 40
    value[at] = ord("B") if value[at] != ord("B") else ord("A")
    tampering.put(TRACKS, p1, place, bytes(value))
    told = ontrack("audit", "diff", sound, tampering.home).told
    assert "Sessions of 1 case were not compared: a conclusion cannot be read." in told
    assert "a key is not here" not in told


def test_keys_belong_to_a_bundle(sound: Path, bundle: tuple[Path, Path], tmp_path: Path) -> None:
    ran = ontrack("audit", "diff", sound, sound, "--keys-a", bundle[1])
    assert (ran.exit_code, "is no bundle" in ran.told) == (2, True)
    ran = ontrack("audit", "diff", sound, tmp_path / "nothing")
    assert ran.exit_code == 2
    shutil.copy(bundle[1], tmp_path / "none.zip")
    ran = ontrack("audit", "diff", sound, tmp_path / "none.zip")
    assert (ran.exit_code, "a bundle was expected" in ran.told) == (1, True)
