"""`ontrack audit why`: what a decision stood on, by which rules and numbers, and what was not known then."""

import asyncio
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.definitions.files import LIBRARY
from contracts.definitions.policy import Policy
from contracts.events.facts import (
    BaselineSet,
    OccasionOpened,
    PolicyChanged,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
)
from contracts.events.tracks import Decision
from contracts.topics import TRACKS
from services.embedded import EmbeddedHome
from tests.auditor.tampering import Tampering
from tests.cli.homes import (
    SECRET,
    Step,
    day_of,
    events_of,
    imported,
    lived,
    of_two_versions,
    reports_of,
    spread,
    written,
)
from tests.support.command import ontrack, succeeded
from tests.support.histories import ODSIS, reference
from tests.support.policies import own_policy

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
COURSES: Final = {"W": {0: 12, 1: 15, 2: 12, 3: 11}, "U": {1: 10}, "T": {0: 10, 1: 10, 2: 10}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Courses, one of which was corrected when everything was known."""
    folder = tmp_path_factory.mktemp("why")
    made = imported(folder / "home", written(folder / "answers.csv", COURSES, "odsis"))
    (answered,) = [
        event["id"]
        for event in events_of(made, "W")
        if event["event"] == "ontrack.response-submitted.v1" and event["data"]["session"] == 1
    ]
    answers = dict(zip(ITEMS, spread(13, 4), strict=True))
    report = next(each["report"] for each in reports_of(made) if each["case"] == "W")
    after = day_of(4)
    lived(
        made,
        [
            Step("W", ReportSeen(report=report, by="anna"), after),
            Step("W", ResponseCorrected(response=answered, answers=answers, reason="a slip", by="anna"), after),
            Step(
                "T",
                BaselineSet(instrument="odsis", scale="total", value=Decimal(7), reason="from the letter", by="anna"),
                after + timedelta(hours=1),
            ),
        ],
    )
    return made


def answered(session: int) -> ResponseSubmitted:
    """The answers to a session, by 12 points."""
    answers = dict(zip(ITEMS, spread(12, 4), strict=True))
    return ResponseSubmitted(
        session=session, instrument=ODSIS, answers=answers, answered_at=day_of(session), entered_by="patient"
    )


def why(home: Path, case: str, session: int, *options: str) -> dict[str, Any]:
    (row,) = orjson.loads(
        succeeded("audit", "why", case, "--session", str(session), "--data", home, "--format", "json", *options).out
    )
    found: dict[str, Any] = row
    return found


def text(home: Path, *arguments: str) -> str:
    """The text, without its breaks."""
    return re.sub(r"\s+", " ", succeeded("audit", "why", *arguments, "--data", home).out.decode())


def before(home: Path, case: str, kind: str) -> str:
    """The moment before the first event of a type was recorded."""
    ran = succeeded("export", "--data", home, "--case", case, "--topic", TRACKS.name)
    lines = map(orjson.loads, ran.out.splitlines())
    moment = next(line["recordedtime"] for line in lines if line["type"] == f"ontrack.{kind}.v1")
    return (datetime.fromisoformat(moment) - timedelta(milliseconds=1)).isoformat()


def test_a_decision_is_told_with_the_scores_answers_rules_and_baseline_that_it_stood_on(home: Path) -> None:
    # given a session that was judged again, after an answer was corrected
    found = why(home, "W", 1)

    # then what holds is told, and what held before
    assert found["status"] == "on_track"
    assert [each["data"]["status"] for each in found["before"]] == ["not_on_track"]

    # with the answers as they were corrected
    (stood,) = found["scores"]
    assert stood["score"]["event"] == "ontrack.score-revised.v1"
    assert stood["answers"]["event"] == "ontrack.response-corrected.v1"

    # and each rule with its numbers, fired or not
    worse, same = found["rules"]
    assert (worse["rule"], worse["fired"]) == ("deterioration/1", False)
    numbers = worse["numbers"]
    assert (numbers["values"], numbers["changes"], numbers["threshold"]) == (["13"], ["1"], "3")
    assert (same["rule"], same["fired"], same["not_looked_at"]) == ("no_change/1", False, "1 of 3 measured sessions")
    baseline = found["baseline"]
    assert (baseline["event"], baseline["corrected"]) == ("ontrack.score-computed.v1", False)
    assert baseline["answers"]["event"] == "ontrack.response-submitted.v1"
    assert baseline["answers"]["id"] == baseline["data"]["response"]


def test_what_was_known_then_is_told_apart_from_what_came_since(home: Path) -> None:
    # given the moment before the answer was corrected
    then = before(home, "W", "response-corrected")

    # when the same is asked as of then
    found = why(home, "W", 1, "--as-of", then)

    # then it was flagged, by the answers as they came first; what came since stands apart
    assert found["status"] == "not_on_track"
    assert found["before"] == []
    assert [each["answers"]["event"] for each in found["scores"]] == ["ontrack.response-submitted.v1"]
    assert [(rule["rule"], rule["fired"]) for rule in found["rules"]] == [
        ("deterioration/1", True),
        ("no_change/1", False),
    ]
    assert [each["event"] for each in found["later"]] == ["ontrack.response-corrected.v1", "ontrack.track-revised.v1"]
    assert "ontrack.report-seen.v1" in [each["event"] for each in found["told"]]
    assert text(home, "W", "--session", "1", "--as-of", then).startswith("Case W, session 1: NOT on track")


def test_a_score_of_a_newer_version_is_told_as_what_it_stood_on(tmp_path: Path) -> None:
    # given a course that goes on with a version of the instrument that is comparable with that of the policy
    made = of_two_versions(tmp_path)

    # when it is asked why the last session was flagged
    found = why(made, "N", 3)

    # then all that the rules looked at is told, and what fired among it
    assert found["status"] == "not_on_track"
    scores = [each["score"]["data"] for each in found["scores"]]
    assert [each["session"] for each in scores] == [1, 2, 3]
    assert [each["instrument"].partition("#")[0] for each in scores] == ["odsis@1", "odsis@2", "odsis@2"]
    assert [each["answers"]["data"]["session"] for each in found["scores"]] == [1, 2, 3]


def test_of_rules_that_differ_only_in_their_sessions_each_is_told_by_itself(tmp_path: Path) -> None:
    # given a policy that looks for no change over three sessions, and over four
    rules = [
        {"kind": "no_change/1", "less_than": "2", "sessions": sessions, "compared_with": "previous"}
        for sessions in (3, 4)
    ]
    answers = written(tmp_path / "answers.csv", {"R": {0: 12, 1: 12, 2: 12, 3: 12}}, "odsis")
    made = imported(tmp_path / "home", answers, "--policy", own_policy(tmp_path, rules=rules))

    # when it is asked why the third session was flagged, then only the first of them had fired
    assert [rule["fired"] for rule in why(made, "R", 3)["rules"]] == [True, False]


def test_the_change_is_told_by_which_the_policy_of_a_session_came_to_hold(tmp_path: Path) -> None:
    # given a policy that was changed, and changed back, and all sessions judged again since then
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"B": {0: 12, 1: 12, 2: 12}}, "odsis"))
    window, as_before = (reference(Policy, name) for name in ("gryesten-2023-window", "gryesten-2023"))
    facts = [
        PolicyChanged(policy=window, from_session=3, reason="a try", by="bo"),
        *(answered(session) for session in (3, 4)),
        PolicyChanged(policy=as_before, from_session=5, reason="as before", by="bo"),
        answered(5),
        BaselineSet(instrument="odsis", scale="total", value=Decimal(9), reason="from a letter", by="bo"),
    ]
    lived(made, [Step("B", fact, day_of(5)) for fact in facts])

    # then of each session that change is told which concerned it
    told = {session: why(made, "B", session)["policy_changed_by"] for session in range(1, 6)}
    assert [by and by["data"]["from_session"] for by in told.values()] == [None, None, 3, 3, 5]


def test_an_id_with_which_several_reports_begin_names_none(tmp_path: Path) -> None:
    # given a case with more reports than an id has ways to begin
    course = {0: 10} | {session: 15 if session % 2 else 6 for session in range(1, 41)}
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"R": course}, "odsis"))
    begin = Counter(each["report"][0] for each in reports_of(made))
    ((first, number),) = begin.most_common(1)

    # when one is asked for by what several begin with, then none is told
    ran = ontrack("audit", "why", "R", "--report", first, "--data", made)
    assert number > 1
    assert (ran.exit_code, f"{number} reports of this case begin so" in ran.told, ran.out) == (1, True, b"")


def test_a_report_leads_to_the_session_that_it_was_issued_for(home: Path) -> None:
    report = next(
        each["data"]["report"] for each in events_of(home, "W") if each["event"] == "ontrack.report-issued.v1"
    )
    told = text(home, "W", "--report", report)
    assert told.startswith("Case W, session 1: on track")
    for nothing in ("zzz", ""):
        refused = ontrack("audit", "why", "W", "--report", nothing, "--data", home)
        assert (refused.exit_code, "the beginning of the id of a report" in refused.told) == (1, True)


def test_a_report_leads_to_its_session_also_where_its_cause_decided_of_others(tmp_path: Path) -> None:
    # given an episode that one fact has made of several sessions, and a session after it
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"E": {0: 12, 1: 13, 2: 14, 3: 11}}, "odsis"))
    baseline = BaselineSet(instrument="odsis", scale="total", value=Decimal(10), reason="from a letter", by="bo")
    lived(made, [Step("E", baseline, day_of(4))])
    (report,) = [each["report"] for each in reports_of(made) if each["case"] == "E"]

    # then its report leads to the last of these sessions
    assert text(made, "E", "--report", report).startswith("Case E, session 2: NOT on track")

    # and what was told by it stands at each of them, and at no other one
    for session in (1, 2):
        assert [each["event"] for each in why(made, "E", session)["told"]] == ["ontrack.report-issued.v1"]
    assert why(made, "E", 3)["told"] == []


def test_a_baseline_that_was_set_by_hand_is_told_with_the_fact_that_set_it(home: Path) -> None:
    found = why(home, "T", 1)
    assert found["status"] == "not_on_track"
    assert found["baseline"]["event"] == "ontrack.baseline-set.v1"
    assert found["decision"]["data"]["baseline"]["how"] == "set_by_hand"
    assert "Baseline: 7, set by hand" in text(home, "T", "--session", "1")


def test_what_could_not_be_said_is_told_with_the_reason(home: Path) -> None:
    found = why(home, "U", 1)
    assert (found["status"], found["baseline"]) == ("unknown", None)
    assert found["rules"][0]["not_looked_at"] == "there was no baseline to compare with"
    never = ontrack("audit", "why", "U", "--session", "7", "--data", home)
    assert (never.exit_code, never.told) == (1, "Error: session 7 of U was not judged\n")


def test_what_was_asked_for_is_not_answered_once_its_answers_are_withdrawn(tmp_path: Path) -> None:
    # given a session that was asked for, and answered by another patient
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"X": {0: 12, 2: 12}}, "odsis"))
    opened = OccasionOpened(session=1, instrument=ODSIS, closes=day_of(1) + timedelta(hours=5))
    lived(made, [Step("X", opened, day_of(1)), Step("X", answered(1), day_of(1))])
    assert why(made, "X", 1)["missing"] == []
    response = next(
        event["id"]
        for event in reversed(events_of(made, "X"))
        if event["event"] == "ontrack.response-submitted.v1" and event["data"]["session"] == 1
    )

    # when that is withdrawn
    lived(made, [Step("X", ResponseWithdrawn(response=response, reason="another patient", by="bo"), day_of(1))])

    # then it was asked for, and is not answered
    assert [each["event"] for each in why(made, "X", 1)["missing"]] == ["ontrack.occasion-opened.v1"]


def test_where_a_session_has_no_score_no_rule_is_looked_at(tmp_path: Path) -> None:
    # given a session without a score, behind others that did not move
    course = {0: 12, 1: 12, 2: 12, 3: 12, 5: 12}
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"G": course}, "odsis"))

    # when it is asked why it was judged as it was
    found = why(made, "G", 4)

    # then it stood on no score, and that is what each rule says
    assert (found["status"], found["scores"]) == ("unknown", [])
    assert [(each["fired"], each["numbers"]) for each in found["rules"]] == [(False, None)] * 2
    assert [each["not_looked_at"] for each in found["rules"]] == ["the session has no valid score"] * 2


def test_a_rule_that_differs_from_one_that_fired_by_its_sessions_alone_is_told_by_its_own_numbers(
    tmp_path: Path,
) -> None:
    # given a policy that looks at three sessions and at five, and a course in which the last three did not move
    policy = json.loads((LIBRARY / "policies" / "gryesten-2023.json").read_text())
    rule = {"kind": "no_change/1", "less_than": "2", "compared_with": "previous"}
    rules = [{**rule, "sessions": sessions} for sessions in (3, 5)]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.json").write_text(json.dumps({**policy, "id": "own", "rules": rules}))
    answers = written(tmp_path / "answers.csv", {"S": {0: 12, 1: 18, 2: 12, 3: 12, 4: 12, 5: 12}}, "odsis")
    made = imported(tmp_path / "home", answers, "--definitions", tmp_path / "own", "--policy", "own")

    # then that one has fired, and not the other, at whose first session the score moved
    three, five = why(made, "S", 5)["rules"]
    assert (three["fired"], three["numbers"]["sessions"]) == (True, [3, 4, 5])
    assert (five["fired"], five["numbers"]["sessions"]) == (False, [1, 2, 3, 4, 5])


def test_a_session_that_stays_not_on_track_by_its_policy_is_told_with_the_one_by_which_it_does(tmp_path: Path) -> None:
    # given a policy by which a patient who was not on track stays so, and one who has been well since
    policy = json.loads((LIBRARY / "policies" / "gryesten-2023.json").read_text())
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.json").write_text(json.dumps({**policy, "id": "own", "once_not": "stays"}))
    answers = written(tmp_path / "answers.csv", {"S": {0: 12, 1: 16, 2: 9, 3: 6}}, "odsis")
    made = imported(tmp_path / "home", answers, "--definitions", tmp_path / "own", "--policy", "own")

    # then it is told by which session, as data, as text and on the page, and that no rule fired beside it
    since = "Not on track at session 1. By the policy the status stays from then on"
    stays, *others = why(made, "S", 3)["rules"]
    assert (stays["rule"], stays["fired"], stays["numbers"]["sessions"]) == ("once_not/1", True, [1])
    assert [each["fired"] for each in others] == [False, False]
    succeeded("audit", "why", "S", "--session", "3", "--data", made, "--write", tmp_path / "why.html")
    for told in (stays["says"], text(made, "S", "--session", "3"), (tmp_path / "why.html").read_text("utf-8")):
        assert since in told


def test_a_rule_that_did_not_fire_by_a_later_session_is_told_so_without_a_baseline_too(tmp_path: Path) -> None:
    # given a course without a baseline, of which the last session moved by more than the limit
    answers = written(tmp_path / "answers.csv", {"N": {1: 10, 2: 10, 3: 13}}, "odsis")
    found = why(imported(tmp_path / "home", answers), "N", 3)

    # then only the rule that compares with the baseline could not be looked at
    worse, same = found["rules"]
    assert (worse["numbers"], worse["not_looked_at"]) == (None, "there was no baseline to compare with")
    numbers = same["numbers"]
    assert (same["fired"], numbers["sessions"], numbers["changes"]) == (False, [2, 3], ["0", "3"])
    assert [each["score"]["data"]["session"] for each in found["scores"]] == [1, 2, 3]


def test_what_led_to_a_later_decision_is_told_with_it(tmp_path: Path) -> None:
    # given a session that was judged again as its baseline was corrected, and again as another one was set
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"B": {0: 12, 1: 15}}, "odsis"))
    first = next(each["id"] for each in events_of(made, "B") if each["event"] == "ontrack.response-submitted.v1")
    answers = dict(zip(ITEMS, spread(14, 4), strict=True))
    facts = [
        ResponseCorrected(response=first, answers=answers, reason="a slip", by="bo"),
        BaselineSet(instrument="odsis", scale="total", value=Decimal(9), reason="from a letter", by="bo"),
    ]
    lived(made, [Step("B", fact, day_of(2)) for fact in facts])

    # when it is asked as of the moment before
    found = why(made, "B", 1, "--as-of", before(made, "B", "response-corrected"))

    # then each of these stands before the decision to which it has led
    assert [each["event"] for each in found["later"]] == [
        "ontrack.response-corrected.v1",
        "ontrack.track-revised.v1",
        "ontrack.baseline-set.v1",
        "ontrack.track-revised.v1",
    ]


def test_a_decision_that_does_not_follow_from_its_scores_is_not_argued_for(tampering: Tampering, p1: str) -> None:
    # given a decision that was altered by somebody who has the key of the case
    places = range(len(tampering.offsets(TRACKS, p1)))
    place = next(
        place
        for place in places
        if isinstance(decision := tampering.event(TRACKS, p1, place).data, Decision) and decision.rules
    )
    altered = tampering.resealed(TRACKS, p1, place, status="on_track", rules=(), episode=None, ever_not=False)
    tampering.put(TRACKS, p1, place, altered)

    # when it is asked why it was made
    ran = ontrack("audit", "why", "P1", "--session", "5", "--data", tampering.home)

    # then nothing is made up for it
    assert (ran.exit_code, ran.out, "is not what follows from its scores" in ran.told) == (1, b"", True)


def test_answers_and_words_are_told_to_whoever_asks_for_them_alone(home: Path) -> None:
    for form in ("table", "json"):
        arguments = ("audit", "why", "W", "--session", "1", "--data", home, "--format", form)
        hidden, revealed = ontrack(*arguments), ontrack(*arguments, "--reveal")
        assert hidden.gives_away([SECRET, "a slip"]) == []
        assert revealed.gives_away(["a slip"]) == ["a slip"]


def test_the_argument_is_as_the_home_would_judge_now(home: Path) -> None:
    """Every session of every case: the rules that fired are those of the decision."""

    async def judged() -> list[tuple[str, int, tuple[str, ...]]]:
        async with await EmbeddedHome.open(home) as opened:
            names = await opened.names()
            return [
                (names[case_id], session, each.rules)
                async for case_id, course in opened.states(opened.not_detector)
                for session, each in course.judged.items()
            ]

    for case, session, rules in asyncio.run(judged()):
        found = why(home, case, session)
        assert [rule["rule"] for rule in found["rules"] if rule["fired"]] == list(rules)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "either --session or --report"),
        (("--session", "1", "--report", "x"), "either --session or --report"),
        (("--session", "1", "--as-of", "yesterday"), "a moment was expected"),
        (("--session", "1", "--format", "csv"), "table, json or ndjson was expected"),
    ],
)
def test_what_cannot_be_meant_is_told(home: Path, options: tuple[str, ...], says: str) -> None:
    ran = ontrack("audit", "why", "W", "--data", home, *options)
    assert (ran.exit_code, says in ran.told) == (2, True)
