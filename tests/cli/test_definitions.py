"""`ontrack definitions`: a clinic's own are checked before they are used."""

import json
from pathlib import Path

from contracts.definitions.files import library, load
from tests.cli.homes import policy_file
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


def test_a_directory_without_definitions_is_bad_use(tmp_path: Path) -> None:
    empty, missing = ontrack("definitions", "check", tmp_path), ontrack("definitions", "check", tmp_path / "nowhere")

    assert (empty.exit_code, missing.exit_code) == (2, 2)
    assert "at least one .json file was expected" in empty.told
    assert "does not exist" in missing.told


def test_the_list_marks_what_is_provisional() -> None:
    rows = json.loads(succeeded("definitions", "list", "--format", "json").out)

    assert len(rows) == len(library())
    assert next(row["title"] for row in rows if row["definition"] == "gq-12@1").endswith("(provisional)")
