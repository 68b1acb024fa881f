"""`ontrack tracks`: every session of every case, in every format."""

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.homes import CASES
from tests.support.command import ONTRACK, succeeded

COLUMNS = ["case", "session", "score", "status", "rules"]


def rows(home: Path, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeeded("tracks", "--data", home, "--format", "json", *options).out)
    return found


def test_every_session_of_every_case_is_listed_by_number_and_session(home: Path) -> None:
    expected = [
        (case, session)
        for case in ("forty", "no-baseline", "one", "P1", "P2", "P10", "worst")
        for session in range(1, max(CASES[case]) + 1)
    ]

    assert [(row["case"], row["session"]) for row in rows(home)] == expected


def test_a_row_says_the_score_the_status_and_the_rules_that_fired(home: Path) -> None:
    found = {(row["case"], row["session"]): row for row in rows(home)}

    assert found["P10", 1] == {
        "case": "P10",
        "session": 1,
        "score": 13,
        "status": "not_on_track",
        "rules": ["deterioration/1"],
    }
    assert found["P10", 2]["status"] == "on_track"
    assert found["P1", 5]["rules"] == ["no_change/1"]


def test_a_session_without_a_score_is_listed_as_unknown(home: Path) -> None:
    row = next(row for row in rows(home, "--case", "P2") if row["session"] == 3)

    assert (row["score"], row["status"], row["rules"]) == (None, "unknown", [])


def test_one_case_is_listed_alone(home: Path) -> None:
    assert {row["case"] for row in rows(home, "--case", "P10")} == {"P10"}


def test_a_case_without_a_judged_session_has_no_row_and_that_is_said(home: Path) -> None:
    ran = succeeded("tracks", "--data", home, "--case", "waiting", "--format", "csv")

    assert ran.out.decode().splitlines() == [",".join(COLUMNS)]
    assert "No session has been judged yet" in ran.told


def test_all_formats_agree(home: Path) -> None:
    printed = {form: succeeded("tracks", "--data", home, "--format", form).out.decode() for form in FORMATS}
    from_json = json.loads(printed["json"])
    as_text = [[_text(row[column]) for column in COLUMNS] for row in from_json]

    assert [json.loads(line) for line in printed["ndjson"].splitlines()] == from_json
    assert list(csv.reader(io.StringIO(printed["csv"]))) == [COLUMNS, *as_text]
    header, *lines = printed["table"].splitlines()
    assert header.split() == COLUMNS
    assert [line.split() for line in lines] == [[cell for text in row for cell in text.split()] for row in as_text]


FORMATS = ("table", "csv", "json", "ndjson")


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


def test_a_reader_that_has_had_enough_ends_it_quietly(home: Path) -> None:
    """Rows are streamed: what comes first can be read before the last is known."""
    command = [str(ONTRACK), "tracks", "--data", str(home), "--format", "ndjson"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        process.wait(timeout=60)

    assert json.loads(first)["case"] == "forty"
    assert "Traceback" not in told
