"""The simulated cohort keeps to the clinic's rules, and looks like the clinic that it imitates."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from statistics import mean, stdev

import pytest

from contracts.definitions.definition import Language
from contracts.definitions.instrument import Instrument
from services.simulation import phrases
from services.simulation.cohort import CourseKind, SimulatedCase, SimulatedResponse, draw
from services.simulation.courses import PROFILES

WEEK = timedelta(weeks=1)


def responses(cases: Iterable[SimulatedCase], instrument: str) -> Iterator[SimulatedResponse]:
    return (each for case in cases for each in case.responses if each.instrument == instrument)


def totals(case: SimulatedCase) -> dict[int, int]:
    """The answered ODSIS totals by session."""
    return {int(each.session): sum(each.answers.values()) for each in responses([case], "odsis")}


def of_course(cases: Iterable[SimulatedCase], *courses: CourseKind) -> list[SimulatedCase]:
    return [case for case in cases if case.course in courses]


def mean_change(cases: Iterable[SimulatedCase]) -> float:
    """Mean change of the ODSIS from session 0 to the last session, of those who completed and answered both."""
    measured = [totals(case) for case in cases if case.closed_because == "completed"]
    return mean(each[14] - each[0] for each in measured if {0, 14} <= set(each))


def share(flags: Iterable[bool]) -> float:
    return mean(map(float, flags))


# The same again


def test_the_same_seed_draws_the_same_cases(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort
    first = list(draw(instruments, seed=7))

    # when it is drawn again, and once with another seed
    second, other = list(draw(instruments, seed=7)), list(draw(instruments, seed=8))

    # then the same seed gives the same cases, and another one others
    assert first == second
    assert first != other


def test_more_groups_leave_the_first_ones_unchanged(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort of two groups
    few = list(draw(instruments, seed=7, groups=2))

    # when seven are drawn
    many = list(draw(instruments, seed=7, groups=7))

    # then the first two are the same as before
    assert many[: len(few)] == few


def test_the_language_changes_the_words_alone(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort that writes English
    english = list(draw(instruments, seed=7))

    # when it is drawn to write Danish
    danish = list(draw(instruments, seed=7, language="da"))

    # then the words differ and nothing else does
    assert danish != english
    assert [silent(case) for case in danish] == [silent(case) for case in english]


def silent(case: SimulatedCase) -> SimulatedCase:
    """The case without its words."""
    return replace(
        case,
        problems=tuple(replace(problem, text="") for problem in case.problems),
        responses=tuple(replace(each, comment=each.comment and "…") for each in case.responses),
    )


def test_cases_are_drawn_one_by_one(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort larger than any memory
    endless = draw(instruments, seed=7, groups=10**12)

    # when its first cases are asked for
    first = list(islice(endless, 10))

    # then they are there, and those of a small cohort
    assert first == list(draw(instruments, seed=7, groups=2))[:10]


# What every case keeps to


def test_groups_and_cases_are_numbered(instruments: Mapping[str, Instrument]) -> None:
    # given two groups of three
    # when they are drawn
    cases = list(draw(instruments, seed=7, groups=2, patients=3))

    # then cases are numbered through, groups by themselves
    assert [(case.group, case.number) for case in cases] == [
        ("G01", "P0001"),
        ("G01", "P0002"),
        ("G01", "P0003"),
        ("G02", "P0004"),
        ("G02", "P0005"),
        ("G02", "P0006"),
    ]


def test_every_answer_is_within_its_range_and_none_is_missing(
    cohort: list[SimulatedCase], instruments: Mapping[str, Instrument]
) -> None:
    # given every response of a large cohort
    for case in cohort:
        for response in case.responses:
            # when it is compared with its instrument
            items = instruments[response.instrument].items

            # then it answers exactly the instrument's items, each within its range
            assert list(response.answers) == [item.id for item in items]
            assert all(item.lowest <= response.answers[item.id] <= item.highest for item in items)


def test_answers_keep_to_other_ranges_too(instruments: Mapping[str, Instrument]) -> None:
    # given an ODSIS whose items reach from 1 to 3 only
    items = tuple(item.model_copy(update={"lowest": 1, "highest": 3}) for item in instruments["odsis"].items)
    narrow = {"odsis": instruments["odsis"].model_copy(update={"items": items})}

    # when a cohort answers it
    cases = list(draw(narrow, seed=7))

    # then every answer keeps to that range, and nothing else is asked
    answered = [each for case in cases for each in case.responses]
    assert {each.instrument for each in answered} == {"odsis"}
    assert {value for each in answered for value in each.answers.values()} == {1, 2, 3}


def test_morning_forms_are_answered_before_the_session(cohort: list[SimulatedCase]) -> None:
    # given the days of session 0 and of the sessions
    for case in cohort:
        days = days_of(case)

        # when the morning's forms are looked at
        morning = [each for each in case.responses if each.instrument != "gq-12"]

        # then each was answered between 06:00 and 08:30 of its day
        for each in morning:
            assert each.answered_at.date() == days[each.session]
            assert time(6) <= each.answered_at.time() <= time(8, 30)


def days_of(case: SimulatedCase) -> dict[int | str, date]:
    first = case.sessions[0].scheduled
    return {0: (first - WEEK).date(), **{session.session: session.scheduled.date() for session in case.sessions}}


def test_the_group_is_rated_right_after_a_session_that_was_attended(cohort: list[SimulatedCase]) -> None:
    # given the days of the sessions that a patient attended
    for case in cohort:
        attended = {each.session: each.scheduled.date() for each in case.sessions if each.attended}

        # when the ratings of the group are looked at
        # then each belongs to one of them, and was given within 40 minutes of its end
        for each in responses([case], "gq-12"):
            assert each.answered_at.date() == attended[int(each.session)]
            assert time(11, 5) <= each.answered_at.time() <= time(11, 40)


def test_homework_is_asked_once_there_was_some(cohort: list[SimulatedCase]) -> None:
    # given a large cohort
    # when the sessions of each form are collected
    asked = {
        name: {each.session for each in responses(cohort, name)}
        for name in ("odsis", "life-events", "psychlops-2", "homework", "gq-12")
    }

    # then homework begins at session 2, the group at session 1, and everything else before the course
    everything = set(range(15))
    assert asked.pop("homework") == everything - {0, 1}
    assert asked.pop("gq-12") == everything - {0}
    assert all(sessions == everything for sessions in asked.values())


def test_a_case_runs_from_enrolment_to_closing_in_order(cohort: list[SimulatedCase]) -> None:
    # given the moments of a case
    for case in cohort:
        named = [problem.named_at for problem in case.problems]
        answered = [each.answered_at for each in case.responses]

        # when they are put one after the other
        moments = [case.enrolled_at, *named, *answered, case.closed_at]

        # then each lies after the one before, in UTC and whole seconds
        assert all(earlier < later for earlier, later in pairwise(moments))
        assert all(moment.tzinfo is UTC and moment.microsecond == 0 for moment in moments)


def test_sessions_are_weekly_at_nine_on_working_days(instruments: Mapping[str, Instrument]) -> None:
    # given seven groups, the first of which begins on a Saturday
    # when they are drawn
    cases = list(draw(instruments, seed=7, groups=7, patients=1, start=date(2026, 1, 10)))

    # then they begin from the Monday after it, five groups a week, and go on each week
    begins = [case.sessions[0].scheduled for case in cases]
    assert begins[:5] == [datetime(2026, 1, day, 9, tzinfo=UTC) for day in (12, 13, 14, 15, 16)]
    assert begins[5:] == begins[:2]
    for case in cases:
        assert all(later.scheduled - earlier.scheduled == WEEK for earlier, later in pairwise(case.sessions))


def test_a_patient_who_leaves_misses_two_sessions_and_is_closed(cohort: list[SimulatedCase]) -> None:
    # given those who left, and those who stayed
    left = [case for case in cohort if case.closed_because == "dropped_out"]
    stayed = [case for case in cohort if case.closed_because == "completed"]

    # when their sessions are looked at
    # then the former end with two missed ones before the course does, the latter with the course
    for case in left:
        assert [each.attended for each in case.sessions[-3:]] == [True, False, False]
        assert len(case.sessions) <= 14
    assert all(len(case.sessions) == 14 for case in stayed)
    assert all(case.closed_at.date() == case.sessions[-1].scheduled.date() for case in cohort)


@pytest.mark.parametrize("sessions", [1, 2, 3, 30])
def test_a_course_has_as_many_sessions_as_asked(instruments: Mapping[str, Instrument], sessions: int) -> None:
    # given a course of another length
    # when it is drawn
    cases = list(draw(instruments, seed=7, groups=10, sessions=sessions))

    # then those who complete it have all of its sessions, the others fewer or as many
    assert {len(case.sessions) for case in cases if case.closed_because == "completed"} == {sessions}
    assert all(1 <= len(case.sessions) <= sessions for case in cases)


# What the cohort looks like


def test_a_quarter_of_the_patients_drop_out_mostly_in_the_middle(cohort: list[SimulatedCase]) -> None:
    # given a large cohort
    # when those who left are counted, and the last sessions that they came to
    left = [case for case in cohort if case.closed_because == "dropped_out"]
    last = [max(each.session for each in case.sessions if each.attended) for case in left]

    # then they are a quarter, and most of them left between sessions 3 and 10
    assert len(left) / len(cohort) == pytest.approx(0.25, abs=0.04)
    assert share(3 <= session <= 10 for session in last) > 0.8


def test_courses_have_their_shares(cohort: list[SimulatedCase]) -> None:
    # given a large cohort
    # when its courses are counted
    counted = Counter(case.course for case in cohort)

    # then their shares are the declared ones, within what chance allows
    for course, profile in PROFILES.items():
        assert counted[course] / len(cohort) == pytest.approx(profile.share, abs=0.045), course


def test_patients_begin_with_moderate_depression(cohort: list[SimulatedCase]) -> None:
    # given a large cohort
    # when the totals before the course are collected
    baselines = [measured[0] for case in cohort if 0 in (measured := totals(case))]

    # then they lie around 12 and between 5 and 19
    assert mean(baselines) == pytest.approx(12, abs=0.5)
    assert stdev(baselines) == pytest.approx(3.5, abs=0.4)
    assert (min(baselines), max(baselines)) == (5, 19)


def test_some_sessions_are_missed_and_mostly_without_forms(cohort: list[SimulatedCase]) -> None:
    # given the sessions of a large cohort
    sessions = [(case, each) for case in cohort for each in case.sessions]

    # when the missed ones are counted, and those of them that were answered in the morning
    missed = [(case, each) for case, each in sessions if not each.attended]
    answered = [any(response.session == each.session for response in case.responses) for case, each in missed]

    # then 6 to 8 % are missed, and a few of those are answered
    assert 0.06 <= len(missed) / len(sessions) <= 0.08
    assert 0.05 < share(answered) < 0.3


def test_single_forms_are_left_out(cohort: list[SimulatedCase]) -> None:
    # given the attended sessions of a large cohort, from which on everything is asked
    sessions = [(case, each) for case in cohort for each in case.sessions[1:] if each.attended]

    # when the forms are counted that were answered for them
    answered = sum(response.session == each.session for case, each in sessions for response in case.responses)

    # then about 5 % of the five are missing
    assert 1 - answered / (5 * len(sessions)) == pytest.approx(0.05, abs=0.01)


def test_responders_improve_steadily(cohort: list[SimulatedCase]) -> None:
    # given the responders of a large cohort
    measured = [totals(case) for case in of_course(cohort, "responder")]

    # when their mean total at each session is computed
    means = [mean(each[session] for each in measured if session in each) for session in range(15)]

    # then it falls at every session
    assert all(later < earlier for earlier, later in pairwise(means)), means


@pytest.mark.parametrize(
    ("course", "least", "most"),
    [
        ("responder", -9.0, -6.0),
        ("slow", -4.0, -2.0),
        ("non_responder", -0.75, 0.75),
        ("deteriorating", 3.0, 6.0),
        ("sudden_gain", -9.0, -5.0),
    ],
)
def test_a_course_ends_where_its_name_says(
    cohort: list[SimulatedCase], course: CourseKind, least: float, most: float
) -> None:
    # given those of one course who completed it
    # when their mean change since the baseline is computed
    change = mean_change(of_course(cohort, course))

    # then it is what the course means; more is worse
    assert least <= change <= most


def test_a_sudden_gain_comes_between_two_sessions_and_stays(cohort: list[SimulatedCase]) -> None:
    # given those of that course who answered at every session
    measured = [totals(case) for case in of_course(cohort, "sudden_gain")]
    complete = [[each[session] for session in range(15)] for each in measured if len(each) == 15]
    assert len(complete) > 20

    for course in complete:
        # when the largest drop between two neighbouring sessions is looked for
        drop, session = max((earlier - later, number) for number, (earlier, later) in enumerate(pairwise(course), 1))

        # then it is at least 5 points, and the totals after it lie that much lower on average
        assert drop >= 5
        assert mean(course[:session]) - mean(course[session:]) >= 4


def test_problems_follow_the_depression(cohort: list[SimulatedCase]) -> None:
    # given the sessions for which both were answered
    problems = {
        (case.number, each.session): mean(each.answers.values())
        for case in cohort
        for each in responses([case], "psychlops-2")
    }
    pairs = [
        (total, problems[case.number, session])
        for case in cohort
        for session, total in totals(case).items()
        if (case.number, session) in problems
    ]

    # when the problems are averaged over mild and over severe weeks
    mild, severe = ([problem for total, problem in pairs if (total > 10) is severe] for severe in (False, True))

    # then they weigh more in the severe ones
    assert mean(severe) > mean(mild) + 1


def test_patients_who_do_badly_do_less_homework_and_feel_less_at_home(
    cohort: list[SimulatedCase], instruments: Mapping[str, Instrument]
) -> None:
    # given those who do badly, and the others
    badly = of_course(cohort, "non_responder", "deteriorating")
    well = of_course(cohort, "responder", "slow", "sudden_gain")

    for name in ("homework", "gq-12"):
        for scale in instruments[name].scales:
            # when each scale is averaged over both
            means = [
                mean(each.answers[item] for each in responses(cases, name) for item in scale.items)
                for cases in (well, badly)
            ]

            # then it is worse for those who do badly, in the direction that the scale declares
            worse_by = means[1] - means[0] if scale.worse == "higher" else means[0] - means[1]
            assert worse_by > 0.3, scale.id


def test_life_events_are_rare_and_less_so_where_things_get_worse(cohort: list[SimulatedCase]) -> None:
    # given the life events of everyone, and of those who deteriorate
    everyone, deteriorating = (
        share(value > 0 for each in responses(cases, "life-events") for value in each.answers.values())
        for cases in (cohort, of_course(cohort, "deteriorating"))
    )

    # then about 4 % happen in a week, and more to the latter
    assert everyone == pytest.approx(0.04, abs=0.01)
    assert deteriorating > 1.5 * everyone


# What the patients write


@pytest.mark.parametrize(("instrument", "expected"), [("odsis", 0.15), ("gq-12", 0.10), ("homework", 0.0)])
def test_some_responses_carry_a_comment(cohort: list[SimulatedCase], instrument: str, expected: float) -> None:
    # given the responses to one instrument
    # when those with a comment are counted
    commented = share(each.comment is not None for each in responses(cohort, instrument))

    # then they have their share
    assert commented == pytest.approx(expected, abs=0.02)


def test_a_comment_fits_the_week(cohort: list[SimulatedCase]) -> None:
    # given what is written when a week was better, or worse, than the one before
    better, worse = ({text.en for text in phrases.WEEK[tone]} for tone in ("better", "worse"))

    for case in cohort:
        measured = totals(case)
        for each in responses([case], "odsis"):
            session = int(each.session)

            # when such a comment stands beside a total whose predecessor was answered too
            # then the total moved that way
            if session - 1 in measured and each.comment in better:
                assert measured[session] < measured[session - 1]
            if session - 1 in measured and each.comment in worse:
                assert measured[session] > measured[session - 1]


def test_everyone_names_two_problems(cohort: list[SimulatedCase]) -> None:
    # given a large cohort
    for case in cohort:
        # when the problems of a case are looked at
        numbers, texts = [each.problem for each in case.problems], {each.text for each in case.problems}

        # then there are two, in different words
        assert numbers == [1, 2]
        assert len(texts) == 2


@pytest.mark.parametrize("language", ["en", "da"])
def test_the_phrases_are_many_and_all_different(language: Language) -> None:
    # given the phrases of one language
    for tones in (phrases.WEEK, phrases.GROUP):
        comments = [text.in_language(language) for texts in tones.values() for text in texts]

        # when they are counted
        # then there are at least twenty, none of them twice
        assert len(set(comments)) == len(comments) >= 20
    problems = [text.in_language(language) for text in phrases.PROBLEMS]
    assert len(set(problems)) == len(problems) >= 15
