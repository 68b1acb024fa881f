"""Everything that the stages can say has words: whatever happens to a case, its history can be read."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import pytest

from contracts.definitions.definition import Language
from contracts.events.event import Data, Event
from contracts.events.notices import ReportChange, ReportRevised
from contracts.events.scores import FactSetAside, SetAsideReason
from services.cli.home import library_catalogue
from services.cli.naming import Naming
from services.cli.telling.conclusions import conclusion
from services.cli.telling.events import told_shortly
from services.pages.words import Words

ID: Final = "00000000-0000-5000-8000-000000000001"


@pytest.fixture
def naming() -> Naming:
    return Naming([], library_catalogue(), reveal=False)


@pytest.mark.parametrize("reason", get_args(SetAsideReason))
def test_every_reason_for_setting_a_fact_aside_has_words(reason: SetAsideReason, naming: Naming) -> None:
    assert conclusion(FactSetAside(fact=ID, reason=reason), naming).startswith("a fact was set aside: ")


@pytest.mark.parametrize("change", get_args(ReportChange))
def test_every_change_of_a_report_has_words(change: ReportChange, naming: Naming) -> None:
    told: dict[str, Any] = {"report": ID, "number": 2, "changes": (change,)}
    assert conclusion(ReportRevised.model_construct(**told), naming).startswith("report 00000000, revision 2: ")


@pytest.mark.parametrize("change", get_args(ReportChange))
@pytest.mark.parametrize("language", get_args(Language))
def test_every_change_of_a_report_has_words_on_its_page(change: ReportChange, language: Language) -> None:
    assert Words(language)(f"change.{change}")


def revised(number: int, *changes: ReportChange, report: str = ID) -> Event[Data]:
    """A revision of a report, a week after the one before it."""
    told: dict[str, Any] = {"report": report, "number": number, "changes": changes}
    time = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(weeks=number)
    return Event(
        id=f"{report}/{number}",
        source="urn:ontrack:notifier",
        subject="case",
        time=time,
        recordedtime=time,
        correlationid=ID,
        causationid=ID,
        data=ReportRevised.model_construct(**told),
    )


def test_revisions_for_nothing_but_other_forms_are_told_in_one_line(naming: Naming) -> None:
    # given two reports that forms of other sessions revise together, and one that something else happened to between
    other = "11111111-0000-5000-8000-000000000001"
    events = [
        revised(2, "context_changed"),
        revised(2, "context_changed", report=other),
        revised(3, "context_changed"),
        revised(3, "context_changed", report=other),
        revised(4, "context_changed", "safety_changed"),
        revised(5, "context_changed"),
        revised(5, "context_changed", report=other),
    ]

    told = [text for _, text in told_shortly(events, naming)]

    # then each row of revisions is one line, where its last one stands, and what broke it stands alone
    forms = "other forms came in or were corrected, or a problem was put in other words"
    assert told == [
        f"report 00000000 revised 2 times, from 2026-01-19 to 2026-01-26: {forms}",
        f"report 00000000, revision 4: {forms} and a safety answer changed",
        f"report 00000000, revision 5: {forms}",
        f"report 11111111 revised 3 times, from 2026-01-19 to 2026-02-09: {forms}",
    ]
