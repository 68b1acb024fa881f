"""The pictures: up is better, and every line and gap lies where it belongs."""

from itertools import pairwise

import pytest

from contracts.definitions.catalogue import Catalogue, entry_of
from contracts.definitions.definition import Language
from contracts.events.fields import Session
from contracts.events.tracks import Decision
from services.pages.chart import chart
from services.pages.drawing import spread
from services.pages.plot import NARROW, WIDE, Frame
from services.pages.subject import Subject
from services.pages.words import Words
from tests.pages.conftest import Show
from tests.pages.reports import (
    curve,
    decided,
    definitions_with,
    event,
    own_policy,
    report,
    shipped,
    still,
    worrying,
    worse,
)

SCORES = {0: "12", 1: "13", 2: "9", 3: "16"}
DETERIORATED = decided(3, "16", worse("16", "4"))


def well_being() -> tuple[Catalogue, Decision]:
    """A course on a scale where a higher score is better, with a limit of 10."""
    definitions = definitions_with(
        {"kind": "deterioration/1", "at_least": "10", "compared_with": "baseline"},
        instrument="who-5",
        healthy="screen-positive",
    )
    evidence = worse("40", "12", at_least="10")
    policy = own_policy(definitions)
    return definitions, decided(3, "40", evidence, baseline="52", instrument="who-5", policy=policy)


@pytest.mark.parametrize("picture", ["wide", "narrow"])
def test_a_worse_score_lies_lower_where_higher_is_worse(picture: str, show: Show) -> None:
    points = show(report(DETERIORATED, SCORES)).points(picture)

    depth = {session: y for session, (_, y) in points.items()}
    assert depth["2"] < depth["0"] < depth["1"] < depth["3"]


@pytest.mark.parametrize("picture", ["wide", "narrow"])
def test_a_worse_score_lies_lower_where_lower_is_worse(picture: str, show: Show) -> None:
    definitions, decision = well_being()
    page = show(report(decision, {0: "52", 1: "60", 2: "44", 3: "40"}), definitions=definitions)

    depth = {session: y for session, (_, y) in page.points(picture).items()}
    assert depth["1"] < depth["0"] < depth["2"] < depth["3"]


def test_sessions_go_from_left_to_right(show: Show) -> None:
    places = [x for x, _ in show(report(DETERIORATED, SCORES)).points().values()]

    assert places == sorted(places)


def test_an_individual_session_of_an_open_course_stands_behind_those_before_it(show: Show) -> None:
    # given a course without an end, in which safety answers came at an individual session after three others
    values: dict[Session, str | None] = {1: "13", 2: "9", 3: "16", "individual-1": "17"}
    told = worrying("individual-1", 2)
    content = report(
        None,
        kind="safety",
        session="individual-1",
        protocol="open-ended",
        forms=[told],
        safety=[told],
        curves=[curve(values, "odsis", "total")],
    )

    # when it is drawn
    points = show(content).points()

    # then the course goes from left to right, up to that session
    assert [session for session, _ in sorted(points.items(), key=lambda each: each[1][0])] == [*map(str, values)]


@pytest.mark.parametrize("picture", ["wide", "narrow"])
def test_the_lines_lie_at_their_values(picture: str, show: Show) -> None:
    page = show(report(DETERIORATED, SCORES))

    assert page.line("baseline", picture) == pytest.approx(page.depth("12", picture), abs=0.2)
    assert page.line("not-line", picture) == pytest.approx(page.depth("15", picture), abs=0.2)
    assert page.line("cut-off", picture) == pytest.approx(page.depth("7.5", picture), abs=0.2)
    names = {label.text for label in page.all("text", "name", within=picture)}
    assert names == {"Baseline 12", "NOT line 15", "Cut-off 7.5"}


def test_the_not_line_lies_below_the_baseline_where_lower_is_worse(show: Show) -> None:
    definitions, decision = well_being()
    page = show(report(decision, {0: "52", 3: "40"}), definitions=definitions)

    assert page.line("not-line") == pytest.approx(page.depth("42"), abs=0.2)
    assert "that is 42 or lower" in page.text


def test_without_a_baseline_there_is_no_line_and_that_is_said(show: Show) -> None:
    decision = decided(4, "10", still({2: "10", 3: "10", 4: "10"}, ["0", "0", "0"]), baseline=None)
    page = show(report(decision, {1: "10", 2: "10", 3: "10", 4: "10"}))

    assert page.line("not-line") is None
    assert page.line("baseline") is None
    assert "No NOT line: there is no baseline to measure it from." in page.text


def test_values_of_a_version_that_cannot_be_compared_are_no_part_of_the_trajectory(show: Show) -> None:
    # given a course that goes on with a version of the instrument that the policy cannot judge by
    definitions = shipped()
    odsis = next(entry.body for entry in definitions if entry.model.id == "odsis")
    newer = entry_of({**odsis, "version": 2, "comparable_from": 2})
    definitions.add(newer)
    answered = curve({2: "16", 3: "17"}, "odsis", "total").model_copy(update={"instrument": newer.ref})

    page = show(
        report(decided(3, None, silent=(2, 3)), {1: "13"}, kind="silent", curves=[answered]), definitions=definitions
    )

    assert set(page.points()) == {"0", "1"}
    assert "16 → 17" in page.text


def test_a_line_beyond_the_scale_is_not_drawn_and_that_is_said(show: Show) -> None:
    decision = decided(3, "20", still({1: "20", 2: "20", 3: "20"}, ["1", "0", "0"]), baseline="19")
    page = show(report(decision, {0: "19", 1: "20", 2: "20", 3: "20"}))

    assert page.line("not-line") is None
    assert "it would lie at 22, beyond the worst value of the scale (20)" in page.text


def test_a_policy_that_does_not_measure_from_the_baseline_has_no_line_and_that_is_said(show: Show) -> None:
    definitions = definitions_with({"kind": "deterioration/1", "at_least": "3", "compared_with": "previous"})
    decision = decided(3, "16", worse("16", "4"), policy=own_policy(definitions))
    page = show(report(decision, SCORES), definitions=definitions)

    assert page.line("not-line") is None
    assert page.line("baseline") is not None
    assert "No NOT line: no rule of the policy compares with the baseline towards worse." in page.text


def test_a_session_not_on_track_has_a_shape_of_its_own(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES, not_at=[3]))

    shapes = {
        mark.attributes["data-session"]: mark.attributes["d"] for mark in page.all("path", "point", within="wide")
    }
    assert shapes["1"] == shapes["2"]
    assert shapes["3"] not in (shapes["0"], shapes["1"])
    states = page.all("path", "state", within="wide")
    assert states[0].attributes["d"] == states[1].attributes["d"] != states[2].attributes["d"]
    assert [(s.attributes["data-session"], "not_on_track" in s.looks) for s in states] == [
        ("1", False),
        ("2", False),
        ("3", True),
    ]


def test_a_session_without_a_score_is_a_gap_with_a_mark_on_the_axis(show: Show) -> None:
    page = show(report(decided(5, "16", worse("16", "4", session=5)), {0: "12", 1: "13", 2: None, 4: "14", 5: "16"}))

    pieces = [piece.attributes["d"].count("L") + 1 for piece in page.all("path", "curve", within="wide")]
    assert pieces == [2, 2]
    missing = page.all("path", "missing", within="wide")
    assert [mark.attributes["data-session"] for mark in missing] == ["2"]
    assert "no valid score" in page.all("ul", "legend")[0].text


@pytest.mark.parametrize(
    ("missed", "expected"), [({2: None}, [2, 2]), ({}, [4])], ids=["asked beyond the protocol", "not asked"]
)
def test_a_session_that_the_protocol_does_not_ask_at_is_a_gap_if_it_was_missed(
    missed: dict[int, str | None], expected: list[int], show: Show
) -> None:
    definitions, decision = well_being()
    page = show(report(decision, {0: "52", 1: "60", 3: "40", 4: "44", **missed}), definitions=definitions)

    assert [piece.attributes["d"].count("L") + 1 for piece in page.all("path", "curve", within="wide")] == expected


def test_life_events_are_marks_with_a_legend(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES, context=[event(2, "job"), event(2, "family"), event(3, "housing")]))

    marks = page.all("path", "event", within="wide")
    assert [mark.text for mark in marks] == ["session 2: 2 life events", "session 3: 1 life event"]
    assert "life event" in page.all("ul", "legend")[0].text
    assert "Session 2 Job · Family" in page.all("dl", "occurrences")[0].text


def test_each_picture_has_its_numbers_in_the_table(show: Show) -> None:
    curves = [
        curve({1: "5.25", 2: "3.5"}, "gq-12", "positive-working"),
        curve({0: "3", 1: "4"}, "psychlops-2", "problem-1", series=1),
        curve({2: "5", 3: "2"}, "psychlops-2", "problem-1", series=2),
    ]
    page = show(report(DETERIORATED, SCORES, not_at=[3], curves=curves))

    head, *rows = page.rows()
    assert head == [
        "Session",
        "Status",
        "Depression (ODSIS)",
        "Positive working",
        "Problem 1 (PSYCHLOPS), wording 1",
        "Problem 1 (PSYCHLOPS), wording 2",
    ]
    assert rows == [
        ["Session 0", "–", "12", "–", "3", "–"],
        ["Session 1", "on track", "13", "5.25", "4", "–"],
        ["Session 2", "on track", "9", "3.5", "–", "5"],
        ["Session 3", "not on track", "16", "–", "–", "2"],
    ]
    assert len(page.all("svg", "spark")) == len(curves)


def test_each_picture_has_a_title_and_a_description(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES, curves=[curve({1: "4", 2: "2"}, "homework", "adherence")]))

    words = {element.attributes.get("id"): element.text for element in page.elements}
    pictures = [element for element in page.all("svg") if element.attributes.get("role") == "img"]
    assert len(pictures) == 3
    for picture in pictures:
        named = picture.attributes["aria-labelledby"].split()
        assert all(words[name] for name in named)


def test_a_small_curve_says_its_first_and_last_value(show: Show) -> None:
    curves = [
        curve({1: "4", 2: "2", 3: "0"}, "homework", "adherence"),
        curve({2: "3"}, "psychlops-2", "problem-1", series=1),
    ]
    page = show(report(DETERIORATED, SCORES, curves=curves, problems={1: ["My post"]}))

    homework, problem = (figure.text for figure in page.all("figure", "small-curve"))
    assert "4 → 0 of 4 4 worse session 1–3" in homework
    described = [desc.text for desc in page.all("desc", within="spark")]
    assert described[0] == "4 → 0 of 4. 4 worse. All values are in the table of numbers."
    assert described[1].startswith("3 of 5. All values")
    assert "“My post”" in problem
    assert "3 of 5" in problem


def test_up_is_better_on_a_small_curve_too(show: Show) -> None:
    curves = [
        curve({1: "4", 2: "2"}, "homework", "adherence"),
        curve({1: "2", 2: "6"}, "gq-12", "negative-relationship"),
    ]
    page = show(report(DETERIORATED, SCORES, curves=curves))

    for piece in page.all("path", "curve", within="spark"):
        first, last = (point.split(" ")[1] for point in piece.attributes["d"].removeprefix("M").split("L"))
        assert float(first) < float(last)


@pytest.mark.parametrize("frame", [WIDE, NARROW])
@pytest.mark.parametrize("sessions", [1, 5, 14, 40, 60, 140])
@pytest.mark.parametrize("language", ["en", "da"])
def test_nothing_in_a_picture_overlaps_or_leaves_it(frame: Frame, sessions: int, language: Language) -> None:
    scores: dict[int, str | None] = {0: "12", **{session: str(9 + session % 8) for session in range(1, sessions + 1)}}
    decision = decided(sessions, scores[sessions], worse("16", "4", session=sessions))
    content = report(decision, scores, protocol="open-ended", context=[event(1, "job")])

    drawing = chart(Subject(content, shipped(), Words(language)), frame)

    assert drawing is not None
    rows: dict[tuple[float, str], list[tuple[float, float]]] = {}
    for label in drawing.labels:
        letter = 6.2 if frame is WIDE else 5.6
        narrower = 0.86 if "dense" in label.look or "name" in label.look else 1
        width = len(label.text) * letter * narrower
        left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
        if not label.upright:
            assert left >= 0, label
            assert left + width <= drawing.width, label
            assert 0 <= label.y <= drawing.height, label
            rows.setdefault((label.y, label.look.split()[0]), []).append((left, left + width))
    for places in rows.values():
        places.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(places)), places
    assert all(0 <= mark.x <= drawing.width and 0 <= mark.y <= drawing.height for mark in drawing.marks)


@pytest.mark.parametrize("sessions", [1, 5, 14, 40])
def test_every_session_is_labelled_while_there_is_room(sessions: int, show: Show) -> None:
    scores: dict[int, str | None] = dict.fromkeys(range(1, sessions + 1), "12")
    page = show(report(decided(sessions, "12", worse("12", "4", session=sessions)), scores, protocol="open-ended"))

    labels = [label.text for label in page.all("text", "session", within="wide")]
    assert labels == [str(session) for session in range(max(sessions, 6) + 1)]


def test_where_there_is_no_room_for_every_label_the_session_of_the_report_keeps_its_own(show: Show) -> None:
    scores: dict[int, str | None] = dict.fromkeys(range(1, 141), "12")
    page = show(report(decided(140, "12", worse("12", "4", session=140)), scores, protocol="open-ended"))

    labels = [label.text for label in page.all("text", "session", within="wide")]
    assert 20 < len(labels) < 141
    assert labels[-1] == "140"


def test_a_baseline_of_an_individual_session_has_its_place_before_session_1(show: Show) -> None:
    decision = decided(2, "16", worse("16", "4", session=2), baseline_at="individual-1")
    points = show(report(decision, {1: "13", 2: "16"})).points()

    assert list(points) == ["individual-1", "1", "2"]
    assert points["individual-1"][0] < points["1"][0]


def test_a_report_without_any_score_has_an_empty_picture(show: Show) -> None:
    page = show(report(decided(2, None, baseline=None, silent=(1, 2)), {1: None, 2: None}, kind="silent"))

    assert page.points() == {}
    assert [mark.attributes["data-session"] for mark in page.all("path", "missing", within="wide")] == ["1", "2"]


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([10.0, 50.0, 90.0], [10.0, 50.0, 90.0]),
        ([10.0, 12.0, 90.0], [10.0, 20.0, 90.0]),
        ([95.0, 98.0, 99.0], [80.0, 90.0, 100.0]),
        ([-5.0, 0.0], [0.0, 10.0]),
    ],
)
def test_names_of_lines_move_apart_and_stay_in_the_picture(wanted: list[float], placed: list[float]) -> None:
    assert spread(wanted, 10, 0, 100) == placed
