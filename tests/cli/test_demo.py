"""`ontrack demo`: what it prints about the clinic is what stands in the log."""

import json
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contracts.events.notices import NoticeRequested
from contracts.topics import NOTICES
from tests.support.command import succeeded

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A simulated clinic, and what was printed while it was made."""
    home = tmp_path_factory.mktemp("demo") / "home"
    return home, succeeded("demo", "--data", home).out.decode()


def test_the_notices_of_each_week_are_those_on_the_log(shown: tuple[Path, str]) -> None:
    home, printed = shown
    exported = succeeded("export", "--data", home, "--topic", NOTICES.name, "--reveal").out.splitlines()
    events = [event for event in map(json.loads, exported) if event["type"] == NoticeRequested.type()]
    weeks: Counter[str] = Counter()
    for event in events:
        if event["data"]["to"] == "therapists":
            day = datetime.fromisoformat(event["time"])
            weeks[f"{day - timedelta(days=day.weekday()):%d %b %Y}"] += 1

    told = re.findall(r"^(\d\d \w{3} \d{4}) .* (\d+|-)$", printed, re.MULTILINE)

    assert {week: int(notices) for week, notices in told if notices != "-"} == weeks
    supervisor = sum(1 for event in events if event["data"]["to"] == "supervisor")
    assert f"{weeks.total()} notices went to therapists, and {supervisor or 'none'} to the supervisor" in printed


def test_the_doctor_finds_nothing_wrong_with_it(shown: tuple[Path, str]) -> None:
    """Its groups were drawn, and never were on a roster."""
    home, _ = shown
    assert succeeded("doctor", "--data", home).told == "Nothing is wrong.\n"


def test_therapists_look_at_a_report_when_it_is_there(shown: tuple[Path, str]) -> None:
    home, _ = shown
    reports = json.loads(succeeded("audit", "loop", "--list", "--data", home, "--format", "json").out)
    assert [each["seen_after_hours"] for each in reports if each["seen_after_hours"] is not None]
    assert [each["report"] for each in reports if each["before_issued"]] == []
