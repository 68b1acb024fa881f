"""The description of the API says what the API does, and ships in step with it."""

import re
import subprocess
import sys
from http import HTTPMethod
from pathlib import Path
from typing import Any

import pytest

from services.ingest.http.api import DESCRIPTION
from services.ingest.http.openapi import document, main, written
from services.ingest.http.operations import OPERATIONS
from services.ingest.statements import STATEMENTS
from tests.docs.markdown import ROOT


def operations() -> dict[tuple[str, str], Any]:
    """Every operation that is described, by method and path."""
    methods = {method.lower() for method in HTTPMethod}
    return {
        (method.upper(), path): described
        for path, of_path in document()["paths"].items()
        for method, described in of_path.items()
        if method in methods
    }


def references(value: Any) -> set[str]:
    """Every schema that something refers to."""
    if isinstance(value, dict):
        here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return here.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_it_is_in_step_with_the_api() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "services.ingest.http.openapi", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert DESCRIPTION.read_bytes() == written()


def test_a_file_that_is_not_in_step_is_told_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "openapi.json"
    for content in (None, b"{}"):
        if content is not None:
            file.write_bytes(content)
        assert main(["--check"], file) == 1
        assert "make schemas" in capsys.readouterr().err
    assert main([], file) == 0
    assert main(["--check"], file) == 0


def test_every_operation_is_described_and_no_other() -> None:
    assert operations().keys() == {(each.method, each.path) for each in OPERATIONS}


def test_every_name_in_a_path_is_described() -> None:
    for (_, path), described in operations().items():
        names = {each["name"] for each in described["parameters"] if each["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", path))


def test_a_case_in_a_path_is_said_to_be_no_number_of_the_clinic() -> None:
    parameters = [each for described in operations().values() for each in described["parameters"]]
    cases = [each for each in parameters if each["name"] == "case"]
    assert cases
    assert all("not the clinic's own number" in each.get("description", "") for each in cases)


def test_every_problem_of_an_operation_is_described_where_it_can_occur() -> None:
    for operation in OPERATIONS:
        described = operations()[operation.method, operation.path]["responses"]
        for kind in operation.kinds:
            assert f"`{kind.code}`" in described[str(int(kind.status))]["description"], (operation.name, kind.code)


def test_every_schema_that_is_referred_to_is_there_and_no_other() -> None:
    found = document()
    names = {reference.rpartition("/")[2] for reference in references(found)}
    assert names == set(found["components"]["schemas"])


def test_what_the_credential_says_is_for_no_client_to_say() -> None:
    for name, schema in document()["components"]["schemas"].items():
        if name.endswith("Said") or name in {each.fact.__name__ for each in STATEMENTS.values()}:
            assert not {"entered_by", "clinic"} & set(schema["properties"]) or name == "CaseTransferred"
