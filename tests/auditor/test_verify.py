"""`ontrack audit verify`: a history that is right verifies, and people and programs are told whether it does."""

import asyncio
import re
from pathlib import Path

import orjson
import pytest

from contracts.topics import CASES, SCORES, TRACKS, partition_of
from services.cli.audit.findings import FIELDS_SHOWN
from services.embedded import EmbeddedHome
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import Tampering, fact_spoilt
from tests.support.command import ontrack, succeeded


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
    tampering.cut(TRACKS, p1, 5)
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
    interleaved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given what is told of a home whose cases are asked for again after others
    usual = succeeded("audit", "verify", "--data", interleaved).told
    assert "The history verifies" in usual

    # when it is verified with less at hand, then the same is told
    for batch, kept in ((1, 1), (7, 2), (100, 1)):
        monkeypatch.setattr("services.auditor.replay.BATCH", batch)
        monkeypatch.setattr("services.auditor.fold.OPEN_AT_MOST", kept)
        told = succeeded("audit", "verify", "--data", interleaved).told
        assert [line for line in told.splitlines() if "a second" not in line] == [
            line for line in usual.splitlines() if "a second" not in line
        ]


def test_a_fact_that_cannot_be_read_is_named_before_all_that_does_not_follow_without_it(
    tampering: Tampering, p1: str
) -> None:
    # given a fact that was damaged after much had been concluded from it
    fact_spoilt(tampering, p1)

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
