"""`ontrack audit loop`: what came of each report, and of those of a group that is large enough."""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.facts import ActionChosen, BaselineSet, NeedsStated, ReportClosed, ReportDiscussed, ReportSeen
from contracts.topics import TRACKS
from services.embedded import EmbeddedHome
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import SECRET, Step, day_of, imported, lived, reports_of, written
from tests.support.command import ontrack, succeeded

WORSE: Final = {0: 10, 1: 14, 2: 15, 3: 10, 4: 9}
"""Not on track at the first two sessions, then on track."""

LARGE: Final = {f"A{number}": WORSE for number in range(5)}
SMALL: Final = {f"B{number}": {0: 10, 1: 14, 2: 15} for number in range(3)}
SMALLER: Final = {f"C{number}": {0: 10, 1: 14} for number in range(2)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three groups, of five, three and two, and what therapists did about two reports."""
    folder = tmp_path_factory.mktemp("loop")
    made = folder / "home"
    for name, courses in {"large": LARGE, "small": SMALL, "smaller": SMALLER}.items():
        imported(made, written(folder / f"{name}.csv", courses, "odsis"), "--group", name)
    reports = {each["case"]: each["report"] for each in reports_of(made, "--all")}
    first, second = reports["A0"], reports["A1"]
    issued = day_of(1)
    lived(
        made,
        [
            Step("A0", ReportSeen(report=first, by="anna"), issued + timedelta(hours=2)),
            Step("A0", ReportSeen(report=first, by="bo"), issued + timedelta(hours=9)),
            Step("A0", ReportDiscussed(report=first, by="anna"), issued + timedelta(hours=5)),
            Step(
                "A0",
                ActionChosen(report=first, action="another-programme", by="anna", patient_agreed=False, note=SECRET),
                issued + timedelta(hours=6),
            ),
            Step("A0", ReportClosed(report=first, by="anna", note=SECRET), issued + timedelta(days=7)),
            Step("A1", ReportSeen(report=second, by="anna"), issued + timedelta(hours=4)),
        ],
    )
    return made


def told(home: Path, *options: str) -> list[dict[str, Any]]:
    ran = succeeded("audit", "loop", "--data", home, "--format", "json", *options)
    assert ran.gives_away([SECRET]) == []
    rows: list[dict[str, Any]] = orjson.loads(ran.out)
    return rows


def test_each_report_is_told_with_what_came_of_it(home: Path) -> None:
    rows = {row["case"]: row for row in told(home, "--list")}
    assert len(rows) == 10
    first = rows["A0"]
    assert [first[f"{what}_after_hours"] for what in ("seen", "discussed", "closed")] == [2.0, 5.0, 168.0]
    assert (first["actions"], first["agreed"]) == (["another-programme"], False)
    assert (first["session"], first["score"], first["scores_after"]) == (1, "14", ["15", "10", "9"])
    assert (first["group"], first["back_on_track"]) == ("large", True)
    nobody = rows["B1"]
    assert (nobody["seen_after_hours"], nobody["actions"], nobody["agreed"]) == (None, [], None)
    assert (nobody["scores_after"], nobody["back_on_track"]) == (["15"], None)


def test_people_are_told_of_spans_of_time_as_they_say_them(home: Path) -> None:
    shown = succeeded("audit", "loop", "--list", "--data", home).out.decode()
    for text in ("seen_after ", " 2.0 h ", " 7.0 d ", " yes"):
        assert text in shown
    summed = succeeded("audit", "loop", "--data", home).out.decode()
    assert " 5 of 5" in summed
    assert "judged_after" not in summed
    assert "hours" not in shown


def test_of_what_bears_a_time_before_its_report_no_time_is_told_and_that_is_said(tmp_path: Path) -> None:
    # given reports that were seen before they were issued, by the clocks of those who said so; one was discussed since
    home = imported(tmp_path / "home", written(tmp_path / "a.csv", {case: {0: 10, 1: 14} for case in "ABC"}, "odsis"))
    reports = {each["case"]: each["report"] for each in reports_of(home, "--all")}
    lived(
        home,
        [
            Step("A", ReportSeen(report=reports["A"], by="anna"), day_of(1) - timedelta(minutes=6)),
            Step("A", ReportDiscussed(report=reports["A"], by="anna"), day_of(1) + timedelta(hours=3)),
            Step("B", ReportSeen(report=reports["B"], by="anna"), day_of(1) + timedelta(hours=2)),
            Step("C", ReportSeen(report=reports["C"], by="anna"), day_of(1) - timedelta(minutes=6)),
        ],
    )

    # when it is told what came of it
    listed = {row["case"]: row for row in told(home, "--list")}
    (every,) = told(home)

    # then how long it took is told by what was said since, or not at all, also in the median, and that is named
    assert (listed["A"]["seen_after_hours"], listed["A"]["discussed_after_hours"]) == (3.0, 3.0)
    assert (listed["C"]["seen_after_hours"], listed["B"]["seen_after_hours"]) == (None, 2.0)
    assert [listed[case]["before_issued"] for case in "ABC"] == [["seen"], [], ["seen"]]
    assert (every["seen"], every["seen_after_hours"], every["before_issued"]) == (3, 2.5, 2)
    for options in ((), ("--list",)):
        ran = succeeded("audit", "loop", "--data", home, *options)
        assert "Of 2 reports something bears a time before it was issued, so no time is told of that" in ran.told


def test_a_moment_is_the_first_at_which_it_was_done_whoever_said_so_first(tmp_path: Path) -> None:
    # given a report that somebody saw earlier than another one who said so first, and one of which only one clock was
    # wrong
    home = imported(tmp_path / "home", written(tmp_path / "a.csv", {case: {0: 10, 1: 14} for case in "ABCD"}, "odsis"))
    reports = {each["case"]: each["report"] for each in reports_of(home, "--all")}
    at = {hours: day_of(1) + timedelta(hours=hours) for hours in (-1, 1, 2, 3)}
    needs = NeedsStated(report=reports["D"], seen_by="therapist", needs=("motivation",), by="bo")
    lived(
        home,
        [
            Step("A", ReportSeen(report=reports["A"], by="bo"), at[2]),
            Step("A", ReportSeen(report=reports["A"], by="anna"), at[1]),
            Step("B", ReportSeen(report=reports["B"], by="bo"), at[-1]),
            Step("B", ReportSeen(report=reports["B"], by="anna"), at[2]),
            # and others that were dealt with, though nobody has said that they were seen
            Step("C", ReportDiscussed(report=reports["C"], by="bo"), at[3]),
            Step("D", needs, at[3]),
        ],
    )

    # then the first moment is told at which that can have been
    rows = {row["case"]: row for row in told(home, "--list")}
    assert {case: row["seen_after_hours"] for case, row in rows.items()} == {"A": 1.0, "B": 2.0, "C": 3.0, "D": 3.0}
    (every,) = told(home)
    assert (every["seen"], every["discussed"]) == (4, 1)


def test_a_report_that_was_retracted_is_listed_as_such_and_in_no_sum(tmp_path: Path) -> None:
    # given two reports, one of which is retracted once the baseline is another one
    home = imported(tmp_path / "home", written(tmp_path / "a.csv", {case: {0: 10, 1: 14} for case in "AB"}, "odsis"))
    baseline = BaselineSet(instrument="odsis", scale="total", value=Decimal(14), reason="a letter", by="anna")
    lived(home, [Step("A", baseline, day_of(1))])

    # then both are listed, and the other one is counted
    assert {row["case"]: row["retracted"] for row in told(home, "--list")} == {"A": True, "B": False}
    (every,) = told(home)
    assert every["reports"] == 1


def test_groups_that_are_large_enough_are_summed_up_and_the_others_together(home: Path) -> None:
    large, together, every = told(home)
    assert (large["group"], together["group"], every["group"]) == ("large", "smaller groups together", "all")
    assert (large["reports"], large["seen"], large["seen_after_hours"]) == (5, 2, 3.0)
    assert (large["discussed"], large["with_action"], large["closed"]) == (1, 1, 1)
    assert (large["back_on_track"], large["judged_after"]) == (5, 5)
    assert (together["patients"], together["reports"]) == (5, 5)
    assert (together["back_on_track"], together["judged_after"]) == (0, 0)
    assert (every["patients"], every["reports"]) == (10, 10)


def test_one_group_is_told_of_if_it_is_large_enough(home: Path) -> None:
    (row,) = told(home, "--group", "large")
    assert (row["group"], row["reports"]) == ("large", 5)
    ran = succeeded("audit", "loop", "--data", home, "--group", "small", "--format", "json")
    assert (orjson.loads(ran.out), "of so few, one could be recognised" in ran.told) == ([], True)
    unknown = ontrack("audit", "loop", "--data", home, "--group", "nowhere")
    assert (unknown.exit_code, "no patient was ever in nowhere" in unknown.told) == (1, True)


def test_what_is_not_told_of_few_patients_is_not_what_others_lack_of_all(tmp_path: Path) -> None:
    # given two large groups, and one with a single patient
    made = tmp_path / "home"
    larger = {f"L{number}": WORSE for number in range(6)}
    for name, courses in {"larger": larger, "large": LARGE, "single": {"S": {0: 10, 1: 14}}}.items():
        imported(made, written(tmp_path / f"{name}.csv", courses, "odsis"), "--group", name)

    # then the smaller one of the large groups is told of with that patient alone
    rows = told(made)
    assert [(row["group"], row["patients"]) for row in rows] == [
        ("larger", 6),
        ("smaller groups together", 6),
        ("all", 12),
    ]

    # also where it is asked for by itself, and it is said why
    ran = succeeded("audit", "loop", "--data", made, "--group", "large", "--format", "json")
    assert orjson.loads(ran.out) == []
    assert "large is told of together with groups that had fewer than five patients" in ran.told
    (row,) = told(made, "--group", "larger")
    assert row["reports"] == 6


def test_groups_that_are_too_small_together_are_not_told_of(tmp_path: Path) -> None:
    made = imported(tmp_path / "home", written(tmp_path / "a.csv", SMALL, "odsis"), "--group", "small")
    (every,) = told(made)
    assert (every["group"], every["reports"]) == ("all", 3)


def test_what_cannot_be_read_is_not_passed_over_as_if_it_had_not_happened(home: Path, tmp_path: Path) -> None:
    # given the fact that a report was seen, of which the seal is broken
    made = Path(shutil.copytree(home, tmp_path / "home"))
    tampering = Tampering(made)
    (a1,) = asyncio.run(_cases_named(made, "A1"))
    place = tampering.place_of(TRACKS, a1, ReportSeen)
    tampering.put(TRACKS, a1, place, renamed(tampering.record(TRACKS, a1, place), data_base64="AAAA" * 10))

    # when it is asked what came of reports, by each of them or in sum
    for options in (("--list",), ()):
        ran = ontrack("audit", "loop", "--data", made, *options)

        # then they are told of, and it is said that something is missing
        assert (ran.exit_code, b"A0" in ran.out or b"all" in ran.out) == (1, True)
        assert "1 event that can tell of reports cannot be read" in ran.told


async def _cases_named(directory: Path, name: str) -> Sequence[str]:
    async with await EmbeddedHome.open(directory) as opened:
        return await opened.cases_named(name)
