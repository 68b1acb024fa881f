"""The page of a report of a silence."""

import pytest

from contracts.definitions.definition import Language
from tests.pages.conftest import Show
from tests.pages.reports import (
    decided,
    report,
)


def test_a_silent_report_names_each_session_and_why_it_is_unknown(show: Show) -> None:
    missed = decided(4, None, silent=(3, 4))
    unjudged = decided(2, "10", baseline=None, silent=(1, 2))

    not_measured = show(report(missed, {1: "12", 2: "12", 3: None, 4: None}, kind="silent")).text
    no_baseline = show(report(unjudged, {1: "11", 2: "10"}, kind="silent")).text

    assert "no usable answers for two sessions in a row" in not_measured
    assert "Sessions 3 and 4: no valid score for Depression (ODSIS) (not measured)." in not_measured
    assert "Sessions 1 and 2: answered (11 → 10 of 20), but there is no baseline to compare with." in no_baseline
    assert "No status for two sessions in a row: there is no baseline to compare with" in no_baseline
    assert "There is no baseline: no valid score was given before session 1." in no_baseline
    assert "What can be done: Set a baseline" in no_baseline


@pytest.mark.parametrize("latest_is_answered", [True, False])
@pytest.mark.parametrize(
    ("language", "headline", "action"),
    [
        (
            "en",
            (
                "No status for 13 sessions in a row: 11 answered without a baseline to compare with, "
                "2 without a usable answer"
            ),
            "Set a baseline, so that the course can be judged. Then get in touch with the patient about the 2 sessions",
        ),
        (
            "da",
            "Ingen status 13 sessioner i træk: 11 besvaret uden en baseline at sammenligne med, 2 uden brugbart svar",
            "Fastsæt en baseline, så forløbet kan vurderes. Kontakt derefter patienten om de 2 sessioner",
        ),
    ],
)
def test_a_silent_report_with_mixed_reasons_names_them_all(
    latest_is_answered: bool, language: Language, headline: str, action: str, show: Show
) -> None:
    missed = (4, 7) if latest_is_answered else (4, 13)
    scores = {session: None if session in missed else "10" for session in range(1, 14)}
    decision = decided(13, scores[13], baseline=None, silent=range(1, 14))
    page = show(report(decision, scores, kind="silent"), language=language)

    assert page.all("h2")[0].text == headline
    assert action in page.all("p", "next")[0].text
    # one for those that were answered, one for those that were missed, the limit, and why there is no baseline
    assert len(page.all("p", "reason")) == 4


def test_where_there_is_a_baseline_by_now_nobody_is_asked_to_set_one(show: Show) -> None:
    page = show(report(decided(3, None, silent=(2, 3)), {2: "10", 3: None}, kind="silent"))

    assert "What can be done: Get in touch with the patient" in page.text


def test_without_any_answer_the_patient_is_contacted_though_there_is_no_baseline(show: Show) -> None:
    page = show(report(decided(3, None, baseline=None, silent=(2, 3)), {2: None, 3: None}, kind="silent"))

    assert "no usable answers for two sessions in a row" in page.text
    assert "What can be done: Get in touch with the patient" in page.text
