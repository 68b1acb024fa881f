"""What is made of a bundle: a home that verifies, or nothing."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from contracts.events.facts import OccasionOpened
from contracts.topics import DEFINITIONS, SEALS
from services.runtime.database import table_of
from tests.auditor.handed import Handed, torn_out
from tests.auditor.tampering import Tampering
from tests.cli.homes import Step, day_of, lived
from tests.support.command import ontrack, succeeded
from tests.support.histories import HOMEWORK


def test_nothing_is_made_of_a_bundle_that_does_not_verify(tampering: Tampering, p1: str, tmp_path: Path) -> None:
    torn_out(tampering, p1)
    handed = Handed(tmp_path, tampering.home)
    ran = ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "new")
    assert (ran.exit_code, "the history does not verify, nothing was taken" in ran.told) == (1, True)
    assert not (tmp_path / "new").exists()


def _no_checkpoint(tampering: Tampering) -> None:
    tampering.do(f"INSERT INTO {table_of(SEALS, 0)} VALUES (0, 'log', 'nonsense')")  # noqa: S608 - ours


def _no_definition(tampering: Tampering) -> None:
    """Take away a definition that no stage needs, and that a fact names."""
    asked = OccasionOpened(session=7, instrument=HOMEWORK, closes=day_of(8))
    lived(tampering.home, [Step("P1", asked, day_of(7))])
    table = table_of(DEFINITIONS, 0)
    tampering.do(f"DELETE FROM {table} WHERE CAST(value AS TEXT) LIKE ?", f'%"ref":"{HOMEWORK}"%')  # noqa: S608 - ours


@pytest.mark.parametrize("do", [_no_checkpoint, _no_definition], ids=lambda each: each.__name__)
def test_nothing_is_made_of_a_bundle_in_which_an_audit_finds_something_beside_conclusions(
    tampering: Tampering, tmp_path: Path, do: Callable[[Tampering], None]
) -> None:
    # given a bundle of which everything follows that was concluded, and in which an audit finds something else
    do(tampering)
    handed = Handed(tmp_path, tampering.home)
    found = handed.findings()
    assert found

    # then no home is made of it, for the same reasons
    ran = ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "new")
    assert (ran.exit_code, f"nothing was taken: {len(found)} finding" in ran.told) == (1, True), ran.told
    assert not (tmp_path / "new").exists()


def test_a_home_of_a_case_whose_key_is_destroyed_is_not_said_to_verify(handed: Handed, p1: str, tmp_path: Path) -> None:
    # given keys of which one was destroyed, though the log does not say that its case was erased
    keys = [orjson.loads(line) for line in handed.keys.read_bytes().splitlines()]
    keys = [{"case": p1, "key": None} if each["case"] == p1 else each for each in keys]
    handed.keys.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in keys))

    # when a home is made of it
    told = succeeded("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "new").told

    # then it is said what was not verified, as the audit of that home does
    assert ("what can be read verifies" in told, "the history verifies" in told, f"{p1}: the key" in told) == (
        True,
        False,
        True,
    )


def test_a_home_is_made_with_all_keys_or_not_at_all(handed: Handed, tmp_path: Path) -> None:
    for keys in ((), ("--keys", handed.keys)):
        if keys:
            handed.keys.write_bytes(handed.keys.read_bytes().partition(b"\n")[2])
        ran = ontrack("import", handed.file, *keys, "--data", tmp_path / "new")
        assert (ran.exit_code, "more were expected: --keys FILE" in ran.told) == (2, True)
        assert not (tmp_path / "new").exists()
