"""`ontrack audit why --write`: the argument as a page, which says what the text and the data say."""

import asyncio
import re
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.event import Data
from contracts.events.facts import (
    NoticeSent,
    PolicyChanged,
    ReportSeen,
    ResponseCorrected,
    SessionCancelled,
    SessionScheduled,
)
from services.embedded import EmbeddedHome
from services.pages.words import Words
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
from tests.pages.reading import Page
from tests.support.command import ontrack, succeeded

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
COURSES: Final = {"W": {0: 12, 1: 15, 2: 12, 3: 11, 4: 10}, "U": {1: 10, 2: 11}}
STYLE: Final = Path(__file__).parents[2] / "services" / "pages" / "templates" / "style.css"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Courses: of one a report was seen, and an answer corrected after all was judged; the other has no baseline."""
    folder = tmp_path_factory.mktemp("page")
    made = imported(folder / "home", written(folder / "answers.csv", COURSES, "odsis"))
    answered = next(
        event["id"]
        for event in events_of(made, "W")
        if event["event"] == "ontrack.response-submitted.v1" and event["data"]["session"] == 1
    )
    report = next(each["report"] for each in reports_of(made, "--all") if each["case"] == "W" and each["session"] == 1)
    notice = next(event["id"] for event in events_of(made, "W") if event["event"] == "ontrack.notice-requested.v1")
    answers = dict(zip(ITEMS, spread(13, 4), strict=True))
    policy = next(event["data"]["policy"] for event in events_of(made, "W") if event["event"].endswith("enrolled.v1"))
    facts = [
        NoticeSent(notice=notice, recipient="anna", recipients=("anna",)),
        ReportSeen(report=report, by="anna"),
        ResponseCorrected(response=answered, answers=answers, reason="a slip", by="anna"),
        PolicyChanged(policy=policy, from_session=1, reason="nothing new", by="anna"),
    ]
    for fact in facts:
        lived(made, [Step("W", fact, day_of(5))])
    return made


def page(home: Path, file: Path, case: str, session: int, *options: str) -> Page:
    succeeded("audit", "why", case, "--session", str(session), "--data", home, "--write", file, *options)
    found = Page(file.read_text("utf-8"))
    assert found.is_whole
    return found


def data(home: Path, case: str, session: int, *options: str) -> dict[str, Any]:
    ran = succeeded("audit", "why", case, "--session", str(session), "--data", home, "--format", "json", *options)
    (row,) = orjson.loads(ran.out)
    found: dict[str, Any] = row
    return found


def text(home: Path, case: str, session: int, *options: str) -> str:
    out = succeeded("audit", "why", case, "--session", str(session), "--data", home, *options).out.decode()
    return re.sub(r"\s+", " ", out)


def ids(value: object) -> Iterator[str]:
    """Every event that is named."""
    if isinstance(value, dict):
        yield from [value["id"]] if "id" in value and "event" in value else []
        for each in value.values():
            yield from ids(each)
    elif isinstance(value, list):
        for each in value:
            yield from ids(each)


def before_the_correction(home: Path) -> str:
    return before_the_first(ResponseCorrected, home, "W")


def before_the_first(kind: type[Data], home: Path, case: str) -> str:
    ran = succeeded("audit", "history", case, "--data", home, "--format", "json")
    recorded = next(each["recorded"] for each in orjson.loads(ran.out) if each["event"] == kind.type())
    return (datetime.fromisoformat(recorded) - timedelta(milliseconds=1)).isoformat()


def judged(home: Path) -> list[tuple[str, int]]:
    async def ask() -> list[tuple[str, int]]:
        async with await EmbeddedHome.open(home) as opened:
            names = await opened.names()
            return [
                (names[case_id], session)
                async for case_id, course in opened.states(opened.not_detector)
                for session in course.judged
            ]

    return asyncio.run(ask())


@pytest.mark.parametrize("language", ["en", "da"])
def test_page_text_and_data_say_the_same(home: Path, tmp_path: Path, language: str) -> None:
    words = Words("da" if language == "da" else "en")
    for case, session in judged(home):
        # given an argument as data
        found = data(home, case, session)

        # when it is written as a page and as a text
        shown, told = (
            page(home, tmp_path / "why.html", case, session, "--language", language),
            text(home, case, session),
        )

        # then they name the same events
        named = set(ids(found))
        assert {each.text for each in shown.all("span", "event-id")} == named
        assert set(re.findall(r"event ([0-9a-f-]{36})", told)) == named

        # and the same rules, with the same numbers and what each one said
        fired = [rule["fired"] for rule in found["rules"]]
        assert ["fired" in each.looks for each in shown.all("section", "rule")] == fired
        assert [each == "FIRED" for each in re.findall(r"(FIRED|did not fire):", told)] == fired
        numbers = [
            (words.number(int(value)), rule["fired"])
            for rule in found["rules"]
            for value in (rule["numbers"] or {"values": []})["values"]
        ]
        rows = [row for row in shown.rows("rule") if len(row) == 3 and row[1].isdecimal()]
        assert [row[1] for row in rows] == [value for value, _ in numbers]
        for rule in found["rules"]:
            assert f"limit {rule['limit']}" in told

        # and the same baseline
        baseline = found["baseline"]
        assert (baseline is None) == ("Baseline: none" in told)
        if baseline is not None:
            assert f"Baseline: {baseline['value']}," in told
            assert words("value.of", value=int(baseline["value"]), highest=20) in shown.text


def test_the_scores_that_rules_looked_at_are_told_whether_they_fired_or_not(home: Path) -> None:
    # given a session that was not flagged, by a rule that compares each of three scores with the one before
    found = data(home, "W", 4)
    assert (found["status"], [rule["reading"] for rule in found["rules"]]) == ("not_on_track", ["baseline", "previous"])

    # then all of these scores are there, the one before the first among them
    assert [each["score"]["data"]["session"] for each in found["scores"]] == [1, 2, 3, 4]
    assert found["scores"][0]["corrected"]


def test_it_draws_the_scores_of_another_version_that_can_be_compared(tmp_path: Path) -> None:
    # given a course that goes on with a version of the instrument that is comparable with that of the policy
    made = of_two_versions(tmp_path)

    # when the page of its last session is written, then the scores of both versions are drawn
    assert set(page(made, tmp_path / "why.html", "N", 3).points()) == {"0", "1", "2", "3"}


def test_the_picture_is_that_of_when_it_was_judged(home: Path, tmp_path: Path) -> None:
    # given a session that was judged again when an answer was corrected
    corrected = page(home, tmp_path / "now.html", "W", 1)
    at_first = page(home, tmp_path / "then.html", "W", 1, "--as-of", before_the_correction(home))

    # then each page shows the course as it was known when its decision was made, and nothing of what came later
    for shown, score in ((corrected, "13"), (at_first, "15")):
        marks = {m.attributes["data-session"]: m.attributes["data-value"] for m in shown.all("path", "point", "wide")}
        assert marks == {"0": "12", "1": score}
    assert "does not hold any more" in at_first.text
    assert "does not hold any more" not in corrected.text
    assert "Before that: Session 1 judged: not on track" in corrected.text


def test_what_was_not_known_and_what_was_told_stand_on_the_page(home: Path, tmp_path: Path) -> None:
    shown = page(home, tmp_path / "why.html", "W", 1, "--as-of", before_the_correction(home))
    assert "Session 1, corrected by anna" in shown.text
    assert "Session 1 judged again: on track" in shown.text
    assert "from session 1 on, decided by anna" in shown.text
    assert re.search(r"Notice [0-9a-f]{8} sent to anna", page(home, tmp_path / "now.html", "W", 4).text) is None
    told = page(home, tmp_path / "danish.html", "W", 1, "--as-of", "2200-01-01", "--language", "da").text
    assert "Før det: Session 1 vurderet: ikke på rette spor" in told


def test_a_session_that_was_cancelled_or_planned_anew_since_is_told_of_on_the_page(tmp_path: Path) -> None:
    # given a session without a score that was judged, then cancelled, and planned anew
    made = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"C": {0: 12, 1: 12, 3: 12}}, "odsis"))
    lived(made, [Step("C", SessionCancelled(session=2), day_of(4))])
    lived(made, [Step("C", SessionScheduled(session=2, scheduled=day_of(5)), day_of(4))])

    # then the page of the first decision says so
    shown = page(made, tmp_path / "why.html", "C", 2, "--as-of", before_the_first(SessionCancelled, made, "C")).text
    assert shown.index("Session 2 cancelled") < shown.index("Session 2 planned for")


def test_a_session_of_which_nothing_could_be_said_has_its_page_too(home: Path, tmp_path: Path) -> None:
    shown = page(home, tmp_path / "why.html", "U", 1)
    assert "There was no baseline to compare with" in shown.text
    assert "There is no baseline" in shown.text


def test_answers_and_words_are_on_the_page_of_whoever_asks_for_them_alone(home: Path, tmp_path: Path) -> None:
    hidden = page(home, tmp_path / "hidden.html", "W", 1)
    assert "The answers themselves are not on this page" in hidden.text
    assert not hidden.all("ul", "given")
    revealed = page(home, tmp_path / "revealed.html", "W", 1, "--reveal", "--as-of", before_the_correction(home))
    assert [each.text for each in revealed.all("li", within="given")] == [
        "Frequency of low mood 4 of 4",
        "Strength of low mood 4 of 4",
        "Trouble joining in with things 4 of 4",
        "Trouble at work, in school or at home 3 of 4",
        "Trouble in contact with others 0 of 4",
        # And those behind the baseline.
        "Frequency of low mood 4 of 4",
        "Strength of low mood 4 of 4",
        "Trouble joining in with things 4 of 4",
        "Trouble at work, in school or at home 0 of 4",
        "Trouble in contact with others 0 of 4",
    ]
    for secret in (SECRET, "a slip"):
        assert secret not in hidden.html
        assert secret in revealed.html


def test_only_its_owner_can_read_the_file_whatever_stood_there_before(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "why.html"
    file.write_text("<!DOCTYPE html>for everybody")
    file.chmod(0o644)
    page(home, file, "W", 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "link.html").symlink_to(tmp_path / "elsewhere.html")
    refused = ontrack("audit", "why", "W", "--session", "1", "--data", home, "--write", tmp_path / "link.html")
    assert (refused.exit_code, "a file that can be written was expected" in refused.told) == (2, True)
    assert not (tmp_path / "elsewhere.html").exists()


def test_a_file_that_is_no_page_is_not_written_over(home: Path) -> None:
    before = (home / "master.key").read_bytes()
    refused = ontrack("audit", "why", "W", "--session", "1", "--data", home, "--write", home / "master.key")
    assert (refused.exit_code, "is there already, and is no page" in refused.told) == (2, True)
    assert (home / "master.key").read_bytes() == before


@pytest.mark.parametrize("language", ["en", "da"])
def test_the_page_needs_nothing_else_and_is_read_by_everybody(home: Path, tmp_path: Path, language: str) -> None:
    shown = page(home, tmp_path / "why.html", "W", 4, "--reveal", "--language", language)

    # nothing is loaded, nothing runs
    assert list(shown.addresses()) == []
    assert not shown.all("script")
    assert "default-src 'none'" in shown.html
    assert "url(" not in shown.html

    # it says its language, has one heading, and none that skips a step
    (top,) = shown.all("html")
    assert top.attributes["lang"] == language
    depths = [int(each.tag[1]) for each in shown.elements if re.fullmatch(r"h[1-6]", each.tag)]
    assert depths[0] == 1
    assert depths.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(depths))

    # every section is named by its heading, every picture is described, every column has a head
    names = {each.attributes["id"] for each in shown.elements if "id" in each.attributes}
    for element in shown.elements:
        if element.tag in ("section", "svg") and element.attributes.get("aria-hidden") != "true":
            assert set(element.attributes["aria-labelledby"].split()) <= names
    assert len(names) == sum("id" in each.attributes for each in shown.elements)
    assert all("scope" in each.attributes for each in shown.all("th"))


def test_what_is_read_stands_out_in_light_and_in_the_dark() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: text by 4.5, marks and lines that mean something by 3."""
    style = STYLE.read_text("utf-8")
    light = _colours(style.partition("}")[0])
    dark = light | _colours(style.partition("(prefers-color-scheme: dark)")[2].partition("}")[0])
    assert light["paper"] != dark["paper"]
    for colours in (light, dark):
        for name in ("ink", "soft", "brand", "not", "unknown", "ok", "faint"):
            assert _contrast(colours[name], colours["paper"]) >= 4.5, name
        for name in ("not", "unknown", "ok", "brand"):
            for text_colour in (name, "ink", "soft"):
                assert _contrast(colours[text_colour], colours[f"{name}-soft"]) >= 4.5, name
        for name in ("edge", "event"):
            assert _contrast(colours[name], colours["paper"]) >= 3, name


def _colours(style: str) -> dict[str, str]:
    found = re.findall(r"--([a-z-]+): #([0-9a-f]{3}|[0-9a-f]{6});", style)
    return {name: value if len(value) == 6 else "".join(2 * each for each in value) for name, value in found}


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)
