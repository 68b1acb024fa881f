"""`ontrack audit loop`: what came of each report, and of those of a group that is large enough."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.facts import ActionChosen, ReportClosed, ReportDiscussed, ReportSeen
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
    assert (first["actions"], first["agreed"]) == (["another-programme"], "no")
    assert (first["session"], first["score"], first["scores_after"]) == (1, "14", ["15", "10", "9"])
    assert (first["group"], first["back_on_track"]) == ("large", "yes")
    nobody = rows["B1"]
    assert (nobody["seen_after_hours"], nobody["actions"], nobody["agreed"]) == (None, [], None)
    assert (nobody["scores_after"], nobody["back_on_track"]) == (["15"], None)


def test_people_are_told_of_spans_of_time_as_they_say_them(home: Path) -> None:
    shown = succeeded("audit", "loop", "--list", "--data", home).out.decode()
    for text in ("seen_after ", " 2.0 h ", " 7.0 d "):
        assert text in shown
    assert "hours" not in shown


def test_of_what_bears_a_time_before_its_report_no_time_is_told_and_that_is_said(tmp_path: Path) -> None:
    # given a report that was seen before it was issued and discussed afterwards, by the clocks of those who said so
    home = imported(tmp_path / "home", written(tmp_path / "a.csv", {"A": {0: 10, 1: 14}, "B": {0: 10, 1: 14}}, "odsis"))
    reports = {each["case"]: each["report"] for each in reports_of(home, "--all")}
    lived(
        home,
        [
            Step("A", ReportSeen(report=reports["A"], by="anna"), day_of(1) - timedelta(minutes=6)),
            Step("A", ReportDiscussed(report=reports["A"], by="anna"), day_of(1) + timedelta(hours=3)),
            Step("B", ReportSeen(report=reports["B"], by="anna"), day_of(1) + timedelta(hours=2)),
        ],
    )

    # when it is told what came of it
    listed = {row["case"]: row for row in told(home, "--list")}
    (every,) = told(home)

    # then how long it took until it was seen is not told, nor in the median, and that is named
    assert (listed["A"]["seen_after_hours"], listed["A"]["before_issued"]) == (None, ["seen"])
    assert (listed["A"]["discussed_after_hours"], listed["B"]["before_issued"]) == (3.0, [])
    assert (every["seen"], every["seen_after_hours"], every["before_issued"]) == (2, 2.0, 1)
    for options in ((), ("--list",)):
        ran = succeeded("audit", "loop", "--data", home, *options)
        assert "Of 1 report something bears a time before it was issued, so no time is told of that" in ran.told


def test_groups_that_are_large_enough_are_summed_up_and_the_others_together(home: Path) -> None:
    large, together, every = told(home)
    assert (large["group"], together["group"], every["group"]) == ("large", "smaller groups together", "all")
    assert (large["reports"], large["seen"], large["seen_after_hours"]) == (5, 2, 3.0)
    assert (large["discussed"], large["with_action"], large["closed"]) == (1, 1, 1)
    assert large["back_on_track"] == "5 of 5"
    assert (together["patients"], together["reports"], together["back_on_track"]) == (5, 5, "0 of 0")
    assert (every["patients"], every["reports"]) == (10, 10)


def test_one_group_is_told_of_if_it_is_large_enough(home: Path) -> None:
    (row,) = told(home, "--group", "large")
    assert (row["group"], row["reports"]) == ("large", 5)
    ran = succeeded("audit", "loop", "--data", home, "--group", "small", "--format", "json")
    assert (orjson.loads(ran.out), "of so few, one could be recognised" in ran.told) == ([], True)
    unknown = ontrack("audit", "loop", "--data", home, "--group", "nowhere")
    assert (unknown.exit_code, "no patient was ever in nowhere" in unknown.told) == (1, True)


def test_groups_that_are_too_small_together_are_not_told_of(tmp_path: Path) -> None:
    made = imported(tmp_path / "home", written(tmp_path / "a.csv", SMALL, "odsis"), "--group", "small")
    (every,) = told(made)
    assert (every["group"], every["reports"]) == ("all", 3)
