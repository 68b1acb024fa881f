"""`ontrack case`: the picture, the reports and the events of one patient."""

import asyncio
import json
import os
import pty
import re
import shutil
import subprocess
import termios
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from contracts.events.facts import SessionMoved, SessionScheduled
from contracts.topics import NOTICES, TRACKS
from services.cli.screen import day
from services.embedded import EmbeddedHome
from services.runtime.log.port import Record
from tests.cli.homes import PROBLEM, SECRET, SEEN, Step, day_of, events_of, lived, reports_of
from tests.cli.pictures import read
from tests.support.command import ONTRACK, ontrack, succeeded

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)


def lines(home: Path, case: str, *options: str) -> list[str]:
    return succeeded("case", case, "--data", home, *options).out.decode().splitlines()


def test_the_baseline_and_the_not_line_are_where_they_belong(home: Path) -> None:
    picture = read(lines(home, "P2"))

    assert picture.levels["baseline 12"] == picture.row_of("12")
    assert picture.row_of("12") < picture.levels["NOT line 15"] <= picture.row_of("16")
    assert picture.levels["cut-off 7.5"] == picture.row_of("8")


def test_up_is_better_where_higher_is_worse(home: Path) -> None:
    picture = read(lines(home, "P1"))

    assert picture.row_of("0") < picture.row_of("20")
    assert picture.rows == sorted(picture.rows, reverse=True)
    assert picture.rows[-1] < picture.rows[0]


def test_up_is_better_where_higher_is_better(well_being: Path) -> None:
    picture = read(lines(well_being, "W1"))

    assert picture.row_of("100") < picture.row_of("0")
    assert picture.levels["NOT line 30"] > picture.levels["baseline 40"] == picture.row_of("40")
    assert picture.rows[-1] < picture.rows[0]


def test_a_score_on_the_not_line_is_a_session_that_is_not_on_track(home: Path) -> None:
    picture = read(lines(home, "P10"))

    before, first, second = (picture.marks[column] for column in sorted(picture.marks))
    assert before == (picture.levels["baseline 10"], "○")
    assert first == (picture.levels["NOT line 13"], "✕")
    assert second[1] == "●"


def test_a_gap_is_shaded_and_the_curve_is_broken_there(home: Path) -> None:
    printed = lines(home, "P2")
    picture = read(printed)
    (gap,) = picture.gaps
    before = max(column for column in picture.marks if column < gap)
    after = min(column for column in picture.marks if column > gap)

    assert picture.below["score"].split() == ["12", "12", "11", "–", "9", "8"]
    assert picture.below["status"].split() == ["○", "●", "●", "?", "●", "●"]
    beside = [line[before + 1 : gap] + line[gap + 1 : after] for line in printed if "┤" in line or "│" in line]
    assert not any("⠀" < letter <= "⣿" for line in beside for letter in line)


def test_every_mark_is_explained_and_none_that_is_not_there(home: Path) -> None:
    printed = "\n".join(lines(home, "P2", "--no-events"))

    for explained in ("● on track", "? unknown", "○ measured, not judged", "░ no valid score", "━ NOT line"):
        assert explained in printed
    assert "✕" not in printed


@pytest.mark.parametrize(("case", "marks"), [("one", 2), ("waiting", 1), ("forty", 40)])
def test_it_fits_80_columns_however_many_sessions_there_are(home: Path, case: str, marks: int) -> None:
    printed = lines(home, case)

    assert max(map(len, printed)) <= 80
    assert len(read(printed).marks) == marks


def test_without_a_baseline_it_says_that_there_is_none(home: Path) -> None:
    printed = lines(home, "no-baseline", "--no-events")

    assert any(line.startswith("No baseline and no NOT line") for line in printed)
    assert [mark for _, mark in read(printed).marks.values()] == ["?", "?", "?"]


def test_a_not_line_beyond_the_scale_is_not_drawn_and_that_is_said(home: Path) -> None:
    printed = "\n".join(lines(home, "worst", "--no-events"))

    assert "No NOT line: it would lie at 22, beyond the worst score (20)" in printed
    assert "NOT line 22" not in printed


def test_it_begins_with_what_it_means_and_why(home: Path) -> None:
    printed = lines(home, "P1")

    assert printed[0] == "Case P1 · group tuesday"
    assert printed[3] == "Not on track: no step of 2 points or more in the last three sessions"


@pytest.mark.parametrize("zone", ["Europe/Copenhagen", "America/New_York"])
def test_a_session_at_the_end_of_the_calendar_is_shown(
    home: Path, zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a case with sessions where the calendar begins and ends
    copied = Path(shutil.copytree(home, tmp_path / "home"))
    sessions = (SessionScheduled(session=20, scheduled=FIRST), SessionMoved(session=20, scheduled=LAST))
    lived(copied, [Step("one", data, SEEN) for data in sessions])

    # when its history is told by a clock east or west of Greenwich
    monkeypatch.setenv("ONTRACK_TIME_ZONE", zone)
    printed = "\n".join(lines(copied, "one", "--all-events"))

    # then both are there
    assert "session 20 planned for 1-01-01 0" in printed
    assert "session 20 moved to 9999-12-31 " in printed


def test_the_latest_events_are_listed_and_the_others_where_they_are_asked_for(home: Path) -> None:
    # given a case with more events than fit below its picture
    everything = lines(home, "forty", "--all-events")
    heading = next(place for place, line in enumerate(everything) if line.startswith("What happened"))

    # when it is shown without a wish, then the end of the list is there, and how much more there is
    printed = lines(home, "forty")
    assert printed[: heading + 1] == everything[: heading + 1]
    earlier = re.fullmatch(r"(\d+) earlier entries: see all with --all-events", printed[heading + 1])
    entries = [line for line in everything[heading + 1 :] if line[12:13] in ("•", "→")]
    shown = [line for line in printed[heading + 1 :] if line[12:13] in ("•", "→")]
    assert len(shown) == 20
    assert [line[12:] for line in shown] == [line[12:] for line in entries[-20:]]
    assert shown[0][:10].strip(), "the first entry has its date"
    assert earlier is not None
    assert int(earlier[1]) == len(entries) - 20

    # and none of it is there where none is wanted
    assert not any(line.startswith("What happened") for line in lines(home, "forty", "--no-events"))


def test_all_events_and_none_of_them_are_not_both_wanted(home: Path) -> None:
    ran = ontrack("case", "P1", "--data", home, "--no-events", "--all-events")

    assert ran.exit_code == 2
    assert "either --all-events or --no-events" in ran.told


def test_few_events_are_listed_whole(home: Path) -> None:
    assert lines(home, "waiting") == lines(home, "waiting", "--all-events")


def test_on_a_terminal_the_summary_and_the_picture_stay_in_sight(home: Path) -> None:
    # given a terminal of 40 lines
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (40, 80))

    # when a case is shown on it
    arguments: list[str | Path] = [ONTRACK, "case", "forty", "--data", home]
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(arguments, stdout=there, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(there)
        shown = b"".join(iter(lambda: _read(here), b"")).decode().splitlines()
    os.close(here)

    # then its last lines hold what it means and the picture, and what happened stands above
    assert process.returncode == 0
    assert "Case forty · group tuesday" in shown[-40:]
    assert read(shown[-40:]).marks
    above = shown[:-40]
    assert any(line.startswith("What happened") for line in above)


def _read(terminal: int) -> bytes:
    """Read what was printed on a terminal; nothing once it is closed."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_answers_comments_and_reasons_are_not_shown(acted: Path) -> None:
    for case in ("closed", "corrected"):
        for form in ("table", "csv", "json", "ndjson"):
            said = succeeded("case", case, "--data", acted, "--format", form).said
            assert SECRET not in said
            assert PROBLEM not in said
            assert '"frequency"' not in said


def test_they_are_shown_to_somebody_who_asks(acted: Path) -> None:
    closed, corrected = (" ".join(" ".join(lines(acted, case, "--reveal")).split()) for case in ("closed", "corrected"))

    assert f"; comment: “{SECRET}”" in closed
    assert f"in the patient's own words: “{PROBLEM}”" in closed
    assert "Frequency of low mood 4" in closed
    assert f"corrected by therapist-1: “{SECRET}”" in corrected
    assert SECRET in json.dumps(events_of(acted, "closed", "--reveal"))


def test_events_as_data_name_what_they_withhold(acted: Path) -> None:
    submitted = next(event for event in events_of(acted, "closed") if "session 1" in event["says"])

    assert submitted["event"] == "ontrack.response-submitted.v1"
    assert submitted["data"]["withheld"] == ["answers", "comment"]


def test_each_conclusion_stands_after_what_it_follows_from(acted: Path) -> None:
    for case in ("closed", "corrected", "open", "late"):
        events = events_of(acted, case)
        places = {event["id"]: place for place, event in enumerate(events)}
        assert len(places) == len(events)
        for event in events:
            if event["is"] == "conclusion":
                assert places[event["follows_from"]] < places[event["id"]]
            else:
                assert event["follows_from"] is None


def test_a_decision_is_told_with_its_numbers(home: Path) -> None:
    says = [event["says"] for event in events_of(home, "P10")]

    assert "session 1 NOT on track: 3 worse than the baseline, limit 3" in says


def test_what_came_of_a_report_is_told(acted: Path) -> None:
    printed = "\n".join(lines(acted, "closed", "--no-events"))
    report = reports_of(acted, "--case", "closed")[0]["report"]

    assert f"{report[:8]}  NOT report, session 1: closed" in printed
    for told in (
        f"{day(day_of(1))} issued",
        f"{day(SEEN)} seen by therapist-1",
        "as the patient confirms",
        "needs as the patient sees them: Individual attention",
        "the patient agreed",
        f"{day(day_of(4))} closed by therapist-1",
    ):
        assert told in " ".join(printed.split())


def test_records_that_came_twice_are_told_once(home: Path, tmp_path: Path) -> None:
    repeated = shutil.copytree(home, tmp_path / "home")
    asyncio.run(_repeat_everything(repeated))

    assert events_of(repeated, "P1") == events_of(home, "P1")


async def _repeat_everything(directory: Path) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        for topic in (TRACKS, NOTICES):
            for partition in range(topic.partitions):
                records = await home.log.read(topic, partition, 0, 10_000)
                await home.log.append(topic, partition, [Record(record.key, record.value) for record in records])


def test_of_an_erased_case_nothing_is_shown(home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(home, tmp_path / "home")
    case_id = asyncio.run(_erase(copy, "P1"))

    ran = ontrack("case", case_id, "--data", copy)

    assert ran.exit_code == 0
    assert f"{case_id}: the key of this case is destroyed, so nothing of it can be read." in ran.told
    assert not ran.out
    assert not any(
        row["case"] == "P1" for row in json.loads(succeeded("tracks", "--data", copy, "--format", "json").out)
    )


async def _erase(directory: Path, number: str) -> str:
    async with await EmbeddedHome.open(directory, write=True) as home:
        (case_id,) = await home.cases_named(number)
        await home.keyring.destroy(case_id)
        return case_id


def test_words_of_a_person_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    header = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life,comment"
    file.write_text(f'{header}\nP1,1,2026-01-05,odsis,1,1,1,1,1,"\u009b2Jgone\u202e"\n', encoding="utf-8")
    succeeded("import", file, "--enrol", "--data", tmp_path / "home")

    printed = succeeded("case", "P1", "--data", tmp_path / "home", "--reveal").out.decode()

    assert "gone" in printed
    assert "\u009b" not in printed
    assert "\u202e" not in printed
