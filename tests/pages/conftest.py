"""What the tests of the pages share."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import pytest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.events.notices import ReportChange, ReportContent
from services.pages.report import report_page
from services.pages.subject import Now
from tests.pages.reading import Page
from tests.pages.reports import shipped

ISSUED: Final = datetime(2026, 3, 9, 8, 24, tzinfo=ZoneInfo("Europe/Copenhagen"))

Show = Callable[..., Page]


@pytest.fixture
def show() -> Show:
    """Write a report as a page and take the page apart."""

    def shown(
        content: ReportContent,
        *,
        definitions: Catalogue | None = None,
        patient: str = "0417-09",
        language: Language = "en",
        revision: int = 1,
        state: Literal["open", "retracted"] = "open",
        changes: Sequence[ReportChange] = (),
        issued_at: datetime = ISSUED,
        now: Now | None = None,
    ) -> Page:
        html = report_page(
            content,
            shipped() if definitions is None else definitions,
            patient=patient,
            language=language,
            issued_at=issued_at,
            revision=revision,
            state=state,
            changes=changes,
            now=now,
        )
        page = Page(html)
        assert page.is_whole
        return page

    return shown
