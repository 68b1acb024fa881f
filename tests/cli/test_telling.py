"""Everything that the stages can say has words: whatever happens to a case, its history can be read."""

from typing import Any, Final, get_args

import pytest

from contracts.definitions.definition import Language
from contracts.events.notices import ReportChange, ReportRevised
from contracts.events.scores import FactSetAside, SetAsideReason
from services.cli.home import library_catalogue
from services.cli.naming import Naming
from services.cli.telling_conclusions import conclusion
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
