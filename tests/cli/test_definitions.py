"""`ontrack definitions`: a clinic's own are checked before they are used."""

import json
from pathlib import Path

import pytest

from contracts.definitions.catalogue import Entry
from contracts.definitions.files import LIBRARY, library, load
from contracts.definitions.instrument import Instrument
from tests.cli.homes import CASES, imported, policy_file, written
from tests.support.command import ontrack, run_apart, succeeded


def test_what_can_be_used_is_listed_with_the_beginning_of_its_hash(tmp_path: Path) -> None:
    file = policy_file(tmp_path)

    rows = json.loads(succeeded("definitions", "check", tmp_path, "--format", "json").out)

    digest = load([file], known=library())[0].ref.partition("#")[2]
    assert rows == [
        {"kind": "policy", "definition": "well-being@1", "hash": digest[:12], "title": "WHO-5 by 10 points"}
    ]


def test_every_fault_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    policy_file(tmp_path, persistent_after=0)
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")

    ran = run_apart("definitions", "check", str(tmp_path))

    assert ran.exit_code == 1
    assert not ran.out
    first, second, summary = ran.told.splitlines()
    assert first.startswith(f"{tmp_path}/broken.json: line 1, column 2: JSON: ")
    assert second.startswith(f"{tmp_path}/well-being.json: persistent_after: ")
    assert summary == "Error: 2 faults in 2 files; mend them and check again"


def test_all_faults_of_a_definition_are_listed_at_once(tmp_path: Path) -> None:
    # given an instrument with a range that is none, a scale of an item that it does not have, and a flag of another
    body = json.loads((LIBRARY / "instruments" / "odsis.json").read_text(encoding="utf-8"))
    body["id"] = "ours"
    body["items"][0] |= {"lowest": 5, "highest": 1}
    body["scales"][0]["items"].append("sleep")
    body["flags"] = [{"id": "tired", "label": body["title"], "items": ["energy"], "at_least": 1, "kind": "safety"}]
    (tmp_path / "ours.json").write_text(json.dumps(body), encoding="utf-8")

    # when it is checked
    ran = ontrack("definitions", "check", tmp_path)

    # then all are named
    assert ran.exit_code == 1
    assert "ours.json: items.0: lowest was expected below highest\n" in ran.told
    assert "ours.json: scales.0.items: items of this instrument were expected, not: sleep\n" in ran.told
    assert "ours.json: flags.0.items: items of this instrument were expected, not: energy\n" in ran.told


def test_a_directory_without_definitions_is_bad_use(tmp_path: Path) -> None:
    empty, missing = ontrack("definitions", "check", tmp_path), ontrack("definitions", "check", tmp_path / "nowhere")

    assert (empty.exit_code, missing.exit_code) == (2, 2)
    assert "at least one .json file was expected" in empty.told
    assert "does not exist" in missing.told


def test_the_list_marks_what_is_provisional() -> None:
    rows = json.loads(succeeded("definitions", "list", "--format", "json").out)

    assert len(rows) == len(library())
    assert next(row["title"] for row in rows if row["definition"] == "gq-12@1").endswith("(provisional)")


INSTRUMENTS = [entry.model for entry in library() if isinstance(entry.model, Instrument)]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.id)
def test_an_instrument_is_shown_with_the_columns_that_an_import_takes(instrument: Instrument, tmp_path: Path) -> None:
    # given what is shown of an instrument
    lines = succeeded("definitions", "show", instrument.id).out.decode().splitlines()
    header = lines[lines.index("The columns of a file") + 1]

    # when a file has these columns, and the lowest answers
    answers = ",".join(str(item.lowest) for item in instrument.items)
    file = tmp_path / "answers.csv"
    file.write_text(f"{header}\nA1,1,2026-01-05,{instrument.id},{answers},\n")

    # then nothing is wrong with it
    ran = ontrack("import", file, "--data", tmp_path / "home")
    assert ran.told.splitlines()[0].startswith("line 2: case: a case that is enrolled was expected")
    assert "1 fault;" in ran.told


def test_an_instrument_is_shown_with_its_items_its_scales_and_where_it_comes_from() -> None:
    told = succeeded("definitions", "show", "odsis@1").out.decode()

    assert "\nodsis@1, instrument\n" in told
    assert "\nfrequency         0 to 4   Frequency of low mood\n" in told
    assert "\ntotal  Depression (ODSIS): the sum of all items, from 0 to 20; higher is worse\n" in told
    assert "madsen  total above 7.5: Depression is likely." in told
    assert "- Bentley KH" in told
    assert next(entry.ref for entry in library() if entry.model.id == "odsis") in told


def test_what_may_be_left_out_and_what_is_provisional_is_said() -> None:
    told = succeeded("definitions", "show", "psychlops-2").out.decode()

    assert "problem_1  0 to 5            Problem 1" in told
    assert "problem_2  0 to 5, or empty  Problem 2" in told
    assert "Provisional: part of it has no public source." in told


def test_a_definition_is_shown_in_the_language_that_is_asked_for() -> None:
    told = succeeded("definitions", "show", "life-events", "--language", "da").out.decode()

    assert "Livsbegivenheder" in told
    assert "0 nej, 1 ja" in told
    assert "højere er værre" in told


@pytest.mark.parametrize("entry", library(), ids=lambda entry: entry.model.id)
@pytest.mark.parametrize("language", ["en", "da"])
def test_every_definition_can_be_shown(entry: Entry, language: str) -> None:
    told = succeeded("definitions", "show", entry.model.id, "--language", language).out.decode()
    assert told.splitlines()[-1] == entry.ref

    content = json.loads(succeeded("definitions", "show", entry.ref, "--format", "json").out)
    assert content["reference"] == entry.ref
    assert {name: content[name] for name in entry.body} == entry.body


def test_a_clinics_own_definition_is_shown_by_its_file_or_from_its_home(tmp_path: Path) -> None:
    # given a clinic's own policy, in a file and in a home
    file = policy_file(tmp_path)
    answers = written(tmp_path / "answers.csv", {"P1": CASES["P1"]}, "who-5")
    home = imported(tmp_path / "home", answers, "--policy", file)

    # when it is shown, then it says where its rules are told
    for options in ((file,), ("well-being", "--data", home), ("well-being", "--definitions", tmp_path)):
        told = succeeded("definitions", "show", *options).out.decode()
        assert "ontrack policy show well-being@1" in told


def test_a_definition_that_is_not_known_is_bad_use() -> None:
    ran = ontrack("definitions", "show", "madrs")

    assert ran.exit_code == 2
    assert "madrs: the id of a definition or a file was expected; known are bdi-ii, " in ran.told
