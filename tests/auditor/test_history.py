"""`ontrack audit history`: a case as it was known at any moment, and what the therapists had been told by then."""

import re
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.facts import ReportSeen, ResponseCorrected
from tests.cli.homes import SECRET, Step, day_of, events_of, imported, lived, reports_of, spread, written
from tests.support.command import ontrack, succeeded

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with a report that was seen, and with an answer that was corrected afterwards."""
    folder = tmp_path_factory.mktemp("history")
    made = imported(
        folder / "home", written(folder / "answers.csv", {"W": {0: 12, 1: 15, 2: 12}, "U": {1: 10}}, "odsis")
    )
    (answered,) = [
        event["id"]
        for event in events_of(made, "W")
        if event["event"] == "ontrack.response-submitted.v1" and event["data"]["session"] == 1
    ]
    (report,) = [each["report"] for each in reports_of(made) if each["case"] == "W"]
    answers = dict(zip(ITEMS, spread(13, 4), strict=True))
    lived(made, [Step("W", ReportSeen(report=report, by="anna"), day_of(3))])
    lived(
        made, [Step("W", ResponseCorrected(response=answered, answers=answers, reason="a slip", by="anna"), day_of(3))]
    )
    return made


def rows(home: Path, *options: str | Path) -> list[dict[str, Any]]:
    ran = succeeded("audit", "history", "W", "--data", home, "--format", "json", *options)
    found: list[dict[str, Any]] = orjson.loads(ran.out)
    return found


def recorded(home: Path, event: str) -> str:
    """When an event of a type was recorded."""
    return next(str(each["recorded"]) for each in rows(home) if each["event"] == event)


def text(home: Path, *options: str) -> str:
    out = succeeded("audit", "history", "W", "--data", home, *options).out.decode()
    return re.sub(r"\s+", " ", out)


def test_a_case_is_told_in_order_with_who_said_what_and_when_it_was_learned(home: Path) -> None:
    told = rows(home)
    assert [each["id"] for each in told] == [each["id"] for each in events_of(home, "W")]
    assert {each["by"] for each in told if each["is"] == "fact"} == {"clinic:import", "clinic:test"}
    assert {each["by"] for each in told if each["is"] == "conclusion"} == {"scoring", "not_detector", "notifier"}
    shown = text(home)
    assert "by clinic:import" in shown
    assert re.search(r"• session 1: ODSIS imported.*recorded 20\d\d-\d\d-\d\d \d\d:\d\d, by clinic:import", shown)
    assert "Up is better" in shown


def test_what_was_learned_later_is_left_out_and_all_that_followed_from_it(home: Path) -> None:
    # given the moment before the correction was recorded
    before = recorded(home, "ontrack.report-seen.v1")

    # when the case is told as it was known then
    then = rows(home, "--as-of", before)

    # then neither the correction nor what followed from it is there, and what was known is
    every = rows(home)
    assert next(each["event"] for each in every if each not in then) == "ontrack.response-corrected.v1"
    assert all(each["recorded"] <= before for each in then)
    assert "ontrack.report-seen.v1" in {each["event"] for each in then}

    # and the picture is that of then
    assert "12 15 12" in text(home, "--as-of", before)
    assert "12 13 12" in text(home)
    assert "events left out: recorded later" in text(home, "--as-of", before)


def test_what_the_therapists_had_been_told_and_had_seen_by_then_stands_apart(home: Path) -> None:
    def section(*options: str) -> str:
        return (
            text(home, *options)
            .partition("What the therapists had been told, and had seen")[2]
            .partition("What happened")[0]
        )

    first = recorded(home, "ontrack.report-issued.v1")
    assert "the therapists to be told of report" in section("--as-of", first)
    assert "seen by anna" not in section("--as-of", first)
    assert "seen by anna" in section()

    # and that somebody is to be told is not taken for having told them
    assert "No notice had been sent, and no report seen." in section("--as-of", first)
    assert "No notice had been sent." in section()


def test_nothing_was_known_before_the_first_fact(home: Path) -> None:
    ran = ontrack("audit", "history", "W", "--data", home, "--as-of", "2020-01-01T00:00")
    assert (ran.exit_code, "nothing was known of W by 2020-01-01 00:00" in ran.told) == (1, True)


def test_a_moment_that_no_calendar_has_is_refused(home: Path) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        ran = ontrack("audit", "history", "W", "--data", home, "--as-of", moment)
        assert (ran.exit_code, "a moment that the calendar has was expected" in ran.told) == (2, True)
    for moment in ("0001-01-01T00:00:00", "9999-12-31T23:59:59"):
        assert "Traceback" not in ontrack("audit", "history", "W", "--data", home, "--as-of", moment).told


def test_a_case_of_which_nothing_was_judged_is_told_too(home: Path) -> None:
    assert "U" in succeeded("audit", "history", "U", "--data", home).out.decode()


def test_what_patients_wrote_is_told_to_whoever_asks_for_it(home: Path) -> None:
    assert SECRET not in succeeded("audit", "history", "W", "--data", home, "--format", "json").out.decode()
    assert SECRET in succeeded("audit", "history", "W", "--data", home, "--format", "json", "--reveal").out.decode()


def test_a_bundle_tells_the_same(home: Path, tmp_path: Path) -> None:
    succeeded("audit", "export", "--data", home, "--output", tmp_path / "b", "--keys", tmp_path / "k")
    told = succeeded("audit", "history", "W", "--bundle", tmp_path / "b", "--keys", tmp_path / "k").out
    assert told == succeeded("audit", "history", "W", "--data", home).out
