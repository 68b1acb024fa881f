"""`ontrack policy`: the policies, and each of them in sentences that leave nothing out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.definitions.files import library, load
from contracts.definitions.policy import Policy
from tests.cli.homes import policy_file
from tests.support.command import ontrack, succeeded

POLICIES = [entry for entry in library() if isinstance(entry.model, Policy)]


def shown(*arguments: str | Path) -> str:
    return succeeded("policy", "show", *arguments).out.decode()


def thresholds(value: Any) -> Iterator[str]:
    """Find every number of a policy, wherever it stands."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in ("version", "title", "summary", "sources", "instrument"):
                yield from thresholds(part)
    elif isinstance(value, list):
        for part in value:
            yield from thresholds(part)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        yield value


@pytest.mark.parametrize("language", ["en", "da"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda entry: str(entry.model.id))
def test_every_option_threshold_and_source_is_named(policy: Any, language: str) -> None:
    told = shown(policy.model.id, "--language", language)
    words = " ".join(told.split())

    for field in (
        *Policy.model_fields,
        "at_least",
        "less_than",
        "sessions",
        "compared_with",
        "missing",
        "unless_healthy",
    ):
        if field not in ("id", "version", "title", "summary", "sources", "kind", "provisional", "rules"):
            assert f"{field} = " in told
    for number in thresholds(dict(policy.body)):
        assert f"= {number}" in told
    for source in policy.model.sources:
        assert " ".join(source.split()) in words
    assert policy.ref in told


def test_a_policy_in_a_file_is_shown_with_its_own_numbers(tmp_path: Path) -> None:
    file = policy_file(
        tmp_path,
        reliable_change={"sd": "18.2", "alpha": "0.9", "n": 340, "population": "our own", "source": "our own figures"},
    )

    told = " ".join(shown(file).split())

    assert "at least 10 points worse than the baseline" in told
    assert "the highest and the lowest score of the last 4 measured sessions are less than 4.5 points apart" in told
    for number in ("= 10", "= 4.5", "= 4", "= 6", "= 5", "18.2", "0.9", "340", "15.95"):
        assert number in told
    assert load([file], known=library())[0].ref in told


def test_numbers_are_written_as_the_language_writes_them(tmp_path: Path) -> None:
    assert "4,5" in shown(policy_file(tmp_path), "--language", "da")


def test_policies_are_listed_with_their_scale_and_source(tmp_path: Path) -> None:
    policy_file(tmp_path / "own")
    rows = json.loads(succeeded("policy", "list", "--definitions", tmp_path / "own", "--format", "json").out)

    assert rows[0] == {
        "policy": "gryesten-2023@1",
        "primary": "odsis/total",
        "source": "Gryesten et al. 2023",
        "title": "Gryesten 2023: change since the session before",
    }
    assert [row["policy"] for row in rows][-1] == "well-being@1"


def test_the_policies_of_a_home_are_its_own(well_being: Path) -> None:
    assert "WHO-5 by 10 points" in shown("well-being", "--data", well_being)
    assert ontrack("policy", "show", "well-being").exit_code == 2


def test_an_unknown_policy_is_refused_with_those_that_are_known() -> None:
    ran = ontrack("policy", "show", "nobody-2023")

    assert ran.exit_code == 2
    assert "known are gryesten-2023, gryesten-2023-baseline, gryesten-2023-window" in ran.told


def test_a_file_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    ran = ontrack("policy", "show", policy_file(tmp_path, persistent_after=0, notify="never"))

    assert ran.exit_code == 2
    assert "well-being.json: persistent_after: " in ran.told
    assert "well-being.json: notify: " in ran.told
