"""`ontrack audit verify` compares what a stage knows with what it has read, also where that is not all there is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.topics import SCORES, partition_of
from services.auditor import states
from services.auditor.retold import known_at
from tests.auditor.found import findings
from tests.auditor.tampering import Tampering
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import imported, written
from tests.support.command import ontrack, succeeded

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
