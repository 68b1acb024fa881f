"""Homes that are made once: reading changes nothing in them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from contracts.events.facts import (
    ActionChosen,
    NeedsStated,
    ProblemNamed,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
    ResponseCorrected,
    SessionDue,
)
from tests.cli.homes import (
    CASES,
    ODSIS,
    PROBLEM,
    SECRET,
    SEEN,
    WELL_BEING,
    Step,
    day_of,
    events_of,
    imported,
    lived,
    policy_file,
    reports_of,
    spread,
    written,
)

THERAPIST: Final = "therapist-1"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic that measures ODSIS, where higher is worse."""
    directory = tmp_path_factory.mktemp("odsis")
    return imported(directory / "home", written(directory / "answers.csv", CASES, "odsis"), "--group", "tuesday")


@pytest.fixture(scope="session")
def well_being(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic that measures WHO-5, where lower is worse, by a policy of its own."""
    directory = tmp_path_factory.mktemp("who-5")
    file = written(directory / "answers.csv", WELL_BEING, "who-5")
    return imported(directory / "home", file, "--policy", policy_file(directory))


@pytest.fixture(scope="session")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic where people have dealt with the reports: one closed, one overdue, one retracted, one open."""
    directory = tmp_path_factory.mktemp("acted")
    courses = {
        "closed": {0: 12, 1: 16, 2: 8},
        "late": {0: 12, 1: 16},
        "corrected": {0: 10, 1: 13},
        "open": {0: 12, 1: 12, 2: 12, 3: 17},
    }
    home = imported(directory / "home", written(directory / "answers.csv", courses, "odsis"))
    reports = {row["case"]: row["report"] for row in reports_of(home)}
    answered = next(event for event in events_of(home, "corrected") if "session 1" in event["says"])
    lived(
        home,
        [
            Step("closed", ProblemNamed(problem=1, text=PROBLEM), day_of(0)),
            Step("closed", ReportSeen(report=reports["closed"], by=THERAPIST), SEEN),
            Step(
                "closed",
                ReportDiscussed(report=reports["closed"], by=THERAPIST, confirmed_by_patient=True),
                SEEN + timedelta(hours=1),
            ),
            Step(
                "closed",
                NeedsStated(
                    report=reports["closed"],
                    seen_by="patient",
                    needs=("individual-attention",),
                    text=SECRET,
                    by="patient",
                ),
                SEEN + timedelta(hours=2),
            ),
            Step(
                "closed",
                ActionChosen(
                    report=reports["closed"],
                    action="individual-session",
                    by=THERAPIST,
                    patient_agreed=True,
                    note=SECRET,
                ),
                SEEN + timedelta(hours=3),
            ),
            Step("closed", ReportClosed(report=reports["closed"], by=THERAPIST), day_of(4)),
            Step("late", SessionDue(session=2, scheduled=datetime.now(UTC) + timedelta(days=7)), day_of(2)),
            Step(
                "corrected",
                ResponseCorrected(
                    response=answered["id"],
                    answers=dict(zip(ODSIS, spread(11, 4), strict=True)),
                    reason=SECRET,
                    by=THERAPIST,
                ),
                day_of(1) + timedelta(days=1),
            ),
        ],
    )
    return home
