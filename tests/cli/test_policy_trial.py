"""`ontrack policy try`: a policy that nobody has published, tried on a home, a bundle, a clinic of real scores."""

import asyncio
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from services.embedded import EmbeddedHome
from services.runtime.roster.port import Group
from tests.cli.homes import CASES, SECRET, day_of, imported, written
from tests.pages.reading import Page
from tests.support.command import ontrack, ran_apart, succeeded
from tests.support.enrichd import enrichd
from tests.support.policies import bdi_policy_of, own_policy

COURSES: Final = {
    "P2": {0: 14, 1: 13, 2: 12, 3: 11},
    "P10": {0: 15, 1: 9, 2: 8, 3: 9, 4: 18},
    "P1": {0: 12, 1: 12},
}
"""Slowly better; on a plateau, then worse; and hardly begun."""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tried")
    return imported(folder / "home", written(folder / "answers.csv", COURSES, "odsis"), "--group", "tuesday")


@pytest.fixture
def window(tmp_path: Path) -> Path:
    """The reading of the window, as a file of the clinic's own."""
    return own_policy(tmp_path, "gryesten-2023-window")


def rows(*arguments: str | Path) -> list[dict[str, Any]]:
    ran = succeeded("policy", "try", *arguments, "--format", "json")
    assert ran.gives_away([SECRET]) == []
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def test_every_policy_is_told_beside_the_one_that_held(clinic: Path, window: Path) -> None:
    now, tried, previous, baseline = rows(window, "--data", clinic)

    assert [row["policy"] for row in (now, tried, previous, baseline)] == ["now", "tried", "previous", "baseline"]
    assert (now["sessions"], now["sessions_not"], now["sessions_not_of"]) == (8, 2, 8)
    assert (tried["sessions_newly"], tried["sessions_no_longer"], tried["sessions_otherwise"]) == (1, 1, 0)
    assert (tried["cases_changed"], tried["cases_changed_of"]) == (2, 3)
    # The literal reading is what the cases had.
    assert [previous[f"sessions_{how}"] for how in ("newly", "no_longer", "otherwise")] == [0, 0, 0]
    assert {name: previous[name] for name in ("sessions_not", "told", "seen_at")} == {
        name: now[name] for name in ("sessions_not", "told", "seen_at")
    }
    assert (tried["worse_by"], tried["worse_by_from"], tried["seen_before"], now["seen_before"]) == (
        "3",
        "policies",
        1,
        0,
    )


def test_the_sessions_that_change_are_listed_with_the_rule_that_fires(clinic: Path, window: Path) -> None:
    listed = rows(window, "--data", clinic, "--list")
    assert listed == [
        {
            "case": "P2",
            "session": 3,
            "score": "11",
            "baseline": "14",
            "before": "not_on_track",
            "after": "on_track",
            "fires": None,
            "fired_before": "no_change/1 previous",
        },
        {
            "case": "P10",
            "session": 3,
            "score": "9",
            "baseline": "15",
            "before": "on_track",
            "after": "not_on_track",
            "fires": "no_change/1 window",
            "fired_before": None,
        },
    ]


def test_it_is_told_as_lines_and_as_a_file_for_a_spreadsheet_too(clinic: Path, window: Path) -> None:
    as_json = rows(window, "--data", clinic)
    lines = succeeded("policy", "try", window, "--data", clinic, "--format", "ndjson").out.splitlines()
    assert [json.loads(line) for line in lines] == as_json
    table = succeeded("policy", "try", window, "--data", clinic, "--format", "csv").out.decode()
    read = list(csv.DictReader(io.StringIO(table)))
    assert [row["sessions_not"] for row in read] == [str(row["sessions_not"]) for row in as_json]


def test_as_a_table_it_says_how_it_is_counted_and_that_these_are_few(clinic: Path, window: Path) -> None:
    ran = succeeded("policy", "try", window, "--data", clinic)
    words = " ".join(ran.out.decode().split())
    assert ran.gives_away([SECRET]) == []
    for told in (
        "2 of 8 sessions would be judged otherwise, in 2 of 3 patients.",
        "Compared with the policies that the patients really had",
        "the decision that holds after every late answer and every correction",
        "at least 3 points worse than the baseline, which is the most that a policy compared here asks for",
        "each counted in the week in which the answer was given, or was found missing",
        "These are few patients: 3, of whom 1 got worse.",
        "ours@1#",
    ):
        assert told in words
    for case in COURSES:
        assert case not in words.split()


def test_a_policy_that_the_cases_have_changes_nothing(clinic: Path) -> None:
    ran = succeeded("policy", "try", "gryesten-2023", "--data", clinic)
    assert "No session would be judged otherwise." in ran.out.decode()
    listing = succeeded("policy", "try", "gryesten-2023", "--data", clinic, "--list", "--format", "json")
    assert (json.loads(listing.out), "No session would be judged otherwise." in listing.told) == ([], True)


def test_it_is_compared_with_another_policy_if_that_is_asked(clinic: Path, window: Path) -> None:
    against, tried, *_ = rows(window, "--data", clinic, "--against", "gryesten-2023-window")
    assert (against["policy"], tried["sessions_newly"] + tried["sessions_no_longer"]) == ("against", 0)


def test_how_many_points_are_a_deterioration_can_be_said_or_follows_from_a_clinics_figures(
    clinic: Path, tmp_path: Path
) -> None:
    said = rows("gryesten-2023", "--data", clinic, "--worse-by", "2.5")[0]
    assert (said["worse_by"], said["worse_by_from"]) == ("2.5", "asked")
    figures = {"sd": "2", "alpha": "0.9", "n": 340, "population": "our own", "source": "our own"}
    by_figures = rows(own_policy(tmp_path, reliable_change=figures), "--data", clinic)[0]
    assert (by_figures["worse_by"], by_figures["worse_by_from"], by_figures["deteriorated"]) == ("1.75", "figures", 1)


def test_where_no_policy_says_what_a_deterioration_is_nothing_is_told_of_it(clinic: Path, tmp_path: Path) -> None:
    stepwise = [{"kind": "no_change/1", "less_than": "2", "sessions": 3, "compared_with": "previous"}]
    file = own_policy(tmp_path, rules=stepwise)
    ran = succeeded("policy", "try", file, "--against", file, "--data", clinic)
    words = " ".join(ran.out.decode().split())
    assert "no policy here says by how many points from the baseline that is" in words
    assert "patients who got worse" not in words


def test_a_policy_without_no_change_has_no_readings(clinic: Path, tmp_path: Path) -> None:
    file = own_policy(tmp_path, rules=[{"kind": "deterioration/1", "at_least": "3", "compared_with": "baseline"}])
    assert [row["policy"] for row in rows(file, "--data", clinic)] == ["now", "tried"]
    told = succeeded("policy", "try", file, "--data", clinic, "--language", "da").out.decode()
    assert "ingen regel om »ingen ændring«" in " ".join(told.split())


def test_another_primary_scale_that_nobody_answered_judges_nothing(clinic: Path, tmp_path: Path) -> None:
    file = bdi_policy_of(tmp_path, "5")
    _, tried, *_ = rows(file, "--data", clinic)
    assert (tried["sessions_not"], tried["sessions_not_of"], tried["cases_not"]) == (0, 0, 0)
    assert tried["sessions_no_longer"] == 2


def test_a_bundle_answers_as_the_home_that_it_came_from(clinic: Path, window: Path, tmp_path: Path) -> None:
    bundle, keys = tmp_path / "history.zip", tmp_path / "history.keys"
    succeeded("audit", "export", "--data", clinic, "--output", bundle, "--keys", keys)

    assert rows(window, "--bundle", bundle, "--keys", keys) == rows(window, "--data", clinic)
    listed = rows(window, "--bundle", bundle, "--keys", keys, "--list")
    assert [row["case"] for row in listed] == ["P2", "P10"]
    without = ontrack("policy", "try", window, "--bundle", bundle)
    assert (without.exit_code, "--keys FILE" in without.told) == (2, True)


def test_what_a_therapist_with_several_groups_gets_is_told_where_the_roster_knows_who_leads_them(
    window: Path, tmp_path: Path
) -> None:
    # given two groups of one clinic, and somebody who leads both
    home = tmp_path / "home"
    worse = {0: 10, 1: 14}
    for group in ("tuesday", "friday"):
        file = written(tmp_path / f"{group}.csv", {f"{group}-1": worse}, "odsis")
        imported(home, file, "--group", group, "--clinic", "north")

    async def lead() -> None:
        async with await EmbeddedHome.open(home, write=True) as opened:
            for group in ("tuesday", "friday"):
                await opened.roster.put(Group(clinic="north", id=group, sessions={}, therapists=("anna",)))

    unknown, *_ = rows(window, "--data", home)
    asyncio.run(lead())
    known, *_ = rows(window, "--data", home)

    # then she gets what both get
    assert "therapist_a_week" not in unknown
    assert (known["pair_a_week"], known["pair_a_week_of"]) == (1.0, 2)
    assert (known["therapist_a_week"], known["therapist_a_week_of"], known["therapist_busiest"]) == (2.0, 1, 2)
    assert "Who leads which group" not in succeeded("policy", "try", window, "--data", home).out.decode()


def test_a_case_whose_key_is_not_handed_on_is_left_out_and_that_is_said(
    clinic: Path, window: Path, tmp_path: Path
) -> None:
    # given a bundle, and the keys of all but one of its cases
    bundle, keys = tmp_path / "history.zip", tmp_path / "history.keys"
    succeeded("audit", "export", "--data", clinic, "--output", bundle, "--keys", keys)
    keys.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if '"P10"' not in line))

    # when a policy is tried on it
    ran = ontrack("policy", "try", window, "--bundle", bundle, "--keys", keys, "--format", "json")

    # then the others are told of, and no program takes that for an answer about all
    assert ran.exit_code == 1
    assert json.loads(ran.out)[0]["cases"] == 2
    assert "Left out: 1 case without a key here." in ran.told


def test_a_case_that_was_erased_is_left_out_for_ever_and_is_no_finding(
    clinic: Path, window: Path, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(clinic, tmp_path / "home", ignore=shutil.ignore_patterns("copies.ndjson")))
    succeeded("erase", "P10", "--ground", "asked-for", "--confirm", "P10", "--data", home)
    ran = succeeded("policy", "try", window, "--data", home, "--format", "json")
    assert json.loads(ran.out)[0]["cases"] == 2
    assert "Left out: 1 case whose key was destroyed." in ran.told


def test_whoever_erases_a_case_is_told_of_a_page_that_lists_cases_and_what_it_is(
    clinic: Path, window: Path, tmp_path: Path
) -> None:
    # given pages about trials, with cases on them and without
    home = Path(shutil.copytree(clinic, tmp_path / "home", ignore=shutil.ignore_patterns("copies.ndjson")))
    listing, plain = tmp_path / "listing.html", tmp_path / "plain.html"
    succeeded("policy", "try", window, "--data", home, "--page", listing, "--list")
    succeeded("policy", "try", window, "--data", home, "--page", plain)

    # when a case is erased, then it is not claimed that it stands there, and it is told until the page is gone
    erase = ("erase", "P10", "--ground", "asked-for", "--confirm", "P10", "--data", home)
    ran = ontrack(*erase)
    assert ran.exit_code == 1
    told = f"the page {listing} is about the trial of a policy, and can name it with its scores: delete it"
    assert [line for line in ran.said.splitlines() if ".html" in line] == [f"  - {told}"]
    listing.unlink()
    assert f"the page {listing} is not there" in ontrack(*erase).said
    assert ontrack(*erase, "--gone", listing).exit_code == 0


def test_nothing_is_changed_and_nobody_is_told(clinic: Path, window: Path) -> None:
    before = (clinic / "ontrack.db").read_bytes()
    succeeded("policy", "try", window, "--data", clinic)
    assert (clinic / "ontrack.db").read_bytes() == before


@pytest.mark.parametrize("language", ["en", "da"])
def test_the_page_holds_no_patient_unless_they_are_asked_for(
    clinic: Path, window: Path, tmp_path: Path, language: str
) -> None:
    page = tmp_path / "trial.html"
    arguments = (window, "--data", clinic, "--page", page, "--language", language)

    succeeded("policy", "try", *arguments)
    plain = Page(page.read_text("utf-8"))
    succeeded("policy", "try", *arguments, "--list")
    listing = Page(page.read_text("utf-8"))

    assert (plain.is_whole, listing.is_whole) == (True, True)
    assert not {"P2", "P10"} & set(plain.text.split())
    assert [row[0] for row in listing.rows("listed")[1:]] == ["P2", "P10"]
    assert SECRET not in listing.html
    assert page.stat().st_mode & 0o077 == 0


def test_wrong_use_is_told_in_words(clinic: Path, tmp_path: Path) -> None:
    nowhere = ontrack("policy", "try", tmp_path / "nobody.json", "--data", clinic)
    assert (nowhere.exit_code, "the id of a policy or a file was expected; known are" in nowhere.told) == (2, True)
    faulty = ontrack("policy", "try", own_policy(tmp_path, persistent_after=0), "--data", clinic)
    assert (faulty.exit_code, "persistent_after: " in faulty.told) == (2, True)
    no_place = ontrack("policy", "try", "gryesten-2023")
    assert (no_place.exit_code, "name a data directory: --data DIR" in no_place.told) == (2, True)
    no_home = ontrack("policy", "try", "gryesten-2023", "--data", tmp_path / "nothing")
    assert (no_home.exit_code, "Traceback" in no_home.told) == (2, False)
    for points in ("0", "-1", "many", "nan"):
        wrong = ontrack("policy", "try", "gryesten-2023", "--data", clinic, "--worse-by", points)
        assert (wrong.exit_code, "a number of points above 0 was expected" in wrong.told) == (2, True)
    unwritable = ontrack("policy", "try", "gryesten-2023", "--data", clinic, "--page", tmp_path / "no" / "trial.html")
    assert (unwritable.exit_code, "a file that can be written was expected" in unwritable.told) == (2, True)


def test_where_nobody_was_judged_yet_it_says_so(tmp_path: Path) -> None:
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"P1": {0: 12}}, "odsis"))
    now, tried, *_ = rows("gryesten-2023-window", "--data", home)
    assert (now["cases"], now["sessions"], tried["sessions"]) == (1, 0, 0)
    page = tmp_path / "trial.html"
    succeeded("policy", "try", "gryesten-2023-window", "--data", home, "--page", page)
    assert Page(page.read_text("utf-8")).is_whole


def test_the_example_home_of_the_other_commands_can_be_tried(tmp_path: Path) -> None:
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", CASES, "odsis"))
    now, *_ = rows("gryesten-2023", "--data", home)
    assert (now["cases"], now["cases_not_of"]) == (len(CASES), len(CASES))
    assert day_of(1).isoformat()[:10] not in succeeded("policy", "try", "gryesten-2023", "--data", home).said


def test_a_changed_policy_is_tried_on_the_scores_of_a_hundred_real_patients(tmp_path: Path) -> None:
    # given real courses, judged by 5 points
    file, home = enrichd(), tmp_path / "home"
    ran_apart("import", file, "--enrol", "--data", home, "--timezone", "UTC", "--policy", bdi_policy_of(tmp_path, "5"))

    # when 9 points are tried
    same_version = ontrack("policy", "try", bdi_policy_of(tmp_path, "9"), "--data", home)
    now, tried, *_ = rows(bdi_policy_of(tmp_path, "9", version=2), "--data", home)

    # then it needs another version, and only sessions that are no longer not on track change, and those are told
    assert (same_version.exit_code, "version: another version was expected" in same_version.told) == (2, True)
    assert now["cases"] == 100
    assert (tried["sessions_newly"], tried["sessions_otherwise"]) == (0, 0)
    assert tried["sessions_no_longer"] == now["sessions_not"] - tried["sessions_not"] > 0
    assert tried["worse_by"] == "9"
    for row in (now, tried):
        assert row["seen_before"] + row["seen_at"] + row["not_seen"] == row["deteriorated"]
    assert now["seen_before"] >= tried["seen_before"]
    assert tried["not_seen"] == 0
