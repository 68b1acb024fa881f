"""`ontrack audit verify` where keys are gone: that is found, and what can be seen without them is looked at."""

from pathlib import Path

import orjson

from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, TRACKS
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import NOBODYS, Tampering, cause_of_a_fact, renamed
from tests.support.command import ontrack, succeeded


def test_without_a_key_facts_and_what_they_follow_from_are_looked_at_too(
    tampering: Tampering, p1: str, tmp_path: Path
) -> None:
    # given a history of which some facts follow from nothing, in a bundle without keys
    cause_of_a_fact(tampering, p1)
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
