"""`ontrack doctor` on checkpoints: a key, a directory or a rhythm that is not as it should be is found."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.topics import CASES, SEALS, partition_of
from services.auditor.checkpoint import Checkpoint, Line
from services.auditor.note import Signer
from services.auditor.sealing import signer_in
from services.cli.sealing import DIRECTORY, KEY, MINUTES
from services.runtime.database import table_of
from tests.auditor.tampering import Tampering
from tests.cli.homes import imported, written
from tests.support.command import ontrack, succeeded
from tests.support.unprivileged import ontrack_unprivileged, read_only

COURSES: Final = {"P1": {0: 10, 1: 12}}


class Sealed:
    """A clinic whose log is sealed by itself, with a key and a directory that are named by settings."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.home = folder, imported(folder / "home", written(folder / "a.csv", COURSES, "odsis"))
        self.key, self.kept = folder / "seal.key", folder / "kept"
        succeeded("audit", "key", "north.example", "--output", self.key)
        self.kept.mkdir()

    def seal(self) -> None:
        succeeded("audit", "seal", "--data", self.home, "--key", self.key, "--output", self.kept)

    def checked(self) -> dict[str, dict[str, Any]]:
        """What the doctor says, by what it is about."""
        ran = ontrack("doctor", "--data", self.home, "--format", "json")
        return {each["what"]: each for each in orjson.loads(ran.out)}

    def findings(self) -> dict[str, str]:
        """What is wrong, and what to do about it."""
        found = self.checked().items()
        return {what: f"{each['says']}: {each['do']}" for what, each in found if each["verdict"] == "finding"}

    def recorded(self, ago: timedelta) -> None:
        """Let every fact have been recorded so long ago, as by a service that has stood still since."""
        tampering = Tampering(self.home)
        (case_id,) = tampering.keys
        table = table_of(CASES, partition_of(case_id))
        for offset, value in tampering.do(f'SELECT "offset", value FROM {table}'):  # noqa: S608 - ours
            fact = orjson.loads(value) | {"recordedtime": (datetime.now(UTC) - ago).isoformat()}
            tampering.do(f'UPDATE {table} SET value = ? WHERE "offset" = ?', orjson.dumps(fact), offset)  # noqa: S608 - ours


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sealed:
    """One on which everything is as it should be."""
    clinic = Sealed(tmp_path)
    monkeypatch.setenv(KEY, str(clinic.key))
    monkeypatch.setenv(DIRECTORY, str(clinic.kept))
    return clinic


def test_where_checkpoints_are_signed_that_is_said(sealed: Sealed) -> None:
    # given a log that is about to be sealed, then one that is
    assert sealed.findings() == {}
    sealed.seal()
    found = sealed.checked()
    assert [found[what]["verdict"] for what in ("seal key", "checkpoints", "seals")] == ["ok"] * 3
    assert "it signs as north.example" in found["seal key"]["says"]
    assert "the last was signed at 20" in found["seals"]["says"]


def test_where_nobody_is_to_sign_nothing_is_missed(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY, DIRECTORY):
        monkeypatch.delenv(name)
    assert "nobody signs checkpoints" in sealed.checked()["seals"]["says"]
    sealed.recorded(timedelta(days=3))
    assert sealed.findings() == {}


def _garbage(sealed: Sealed) -> None:
    Tampering(sealed.home).do(f"UPDATE {table_of(SEALS, 0)} SET value = ?", b"garbage")  # noqa: S608 - ours


def _opened_to_others(sealed: Sealed) -> None:
    sealed.key.chmod(0o644)


def _key_lost(sealed: Sealed) -> None:
    sealed.key.unlink()


def _directory_lost(sealed: Sealed) -> None:
    shutil.rmtree(sealed.kept)


def _of_another_log(sealed: Sealed) -> None:
    other = Sealed(sealed.folder.with_name(f"{sealed.folder.name}-other"))
    shutil.copy(sealed.key, other.key)
    other.seal()
    (checkpoint,) = other.kept.iterdir()
    shutil.copy(checkpoint, sealed.kept)


def _of_another_partition(sealed: Sealed) -> None:
    signer, (checkpoint,) = signer_in(sealed.key), sealed.kept.iterdir()
    said = Checkpoint.said_in(checkpoint.read_text())
    more = replace(said, lines=(*said.lines, Line(CASES.name, 77, 3, "0" * 64)))
    checkpoint.write_text(signer.signed(more.text()))


def _of_another_key(sealed: Sealed) -> None:
    sealed.key.write_text(f"{Signer.make('north.example').written()}\n")


def _written_by_halves(sealed: Sealed) -> None:
    (checkpoint,) = sealed.kept.iterdir()
    checkpoint.write_text(checkpoint.read_text()[:-40])


def _signature_damaged(sealed: Sealed) -> None:
    (checkpoint,) = sealed.kept.iterdir()
    checkpoint.write_text(checkpoint.read_text().replace("— ", "- "))


def _log_cut(sealed: Sealed) -> None:
    tampering = Tampering(sealed.home)
    (case_id,) = tampering.keys
    tampering.cut(CASES, case_id, -1)


def _nobody_signs(sealed: Sealed) -> None:
    (checkpoint,) = sealed.kept.iterdir()
    checkpoint.unlink()
    Tampering(sealed.home).do(f"DELETE FROM {table_of(SEALS, 0)}")  # noqa: S608 - ours
    sealed.recorded(timedelta(hours=4))


def _checkpoints_gone(sealed: Sealed) -> None:
    Tampering(sealed.home).do(f"DELETE FROM {table_of(SEALS, 0)}")  # noqa: S608 - ours


def _last_checkpoint_gone(sealed: Sealed) -> None:
    tampering, table = Tampering(sealed.home), table_of(SEALS, 0)
    ((end,),) = tampering.do(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    sealed.seal()
    tampering.do(f'DELETE FROM {table} WHERE "offset" >= ?', end)  # noqa: S608 - ours


WRONG: Final[dict[str, tuple[Callable[[Sealed], None], str, str]]] = {
    "a key that others can read": (_opened_to_others, "seal key", "run chmod 600"),
    "a key that is not there": (_key_lost, "seal key", "or put its copy there"),
    "a directory that is not there": (_directory_lost, "checkpoints", "mkdir -m 700"),
    "a checkpoint of another log": (_of_another_log, "seals", "is of the log"),
    "a checkpoint of a partition that is not there": (
        _of_another_partition,
        "seals",
        f"{CASES.name} has 0 of 3 records in partition 77",
    ),
    "a checkpoint of another key": (_of_another_key, "seals", "a signature with the very key that signs here"),
    "a checkpoint that was written by halves": (_written_by_halves, "seals", "or delete it"),
    "a checkpoint of which the signature is damaged": (
        _signature_damaged,
        "seals",
        "a signature was expected on each line below the empty one: put it there again",
    ),
    "a log that lacks what was sealed": (_log_cut, "seals", "the log lacks what was sealed at"),
    "what is no checkpoint": (_garbage, "seals", "ask who has written that, or changed it"),
    "a log that lacks its checkpoints": (_checkpoints_gone, "seals", "does not stand on it: there is none"),
    "a log that lacks its last checkpoint": (
        _last_checkpoint_gone,
        "seals",
        "the last there was signed at",
    ),
    "facts that are under no checkpoint for hours": (
        _nobody_signs,
        "seals",
        "see whether ontrack up runs with --seal-key",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_keeps_a_log_from_being_sealed_is_found_with_what_to_do(sealed: Sealed, name: str) -> None:
    sealed.seal()
    damage, what, says = WRONG[name]
    damage(sealed)
    found = sealed.findings()
    assert what in found
    assert says in found[what]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a log that lacks what was sealed", "(the last checkpoint on rom.seals.v1): rom.cases.v1 has "),
        ("what is no checkpoint", "1 of the last records of rom.seals.v1 cannot be read as a checkpoint"),
    ],
)
def test_where_nobody_is_to_sign_the_log_is_held_to_its_own_checkpoints(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    sealed.seal()
    for setting in (KEY, DIRECTORY):
        monkeypatch.delenv(setting)
    WRONG[name][0](sealed)
    assert says in sealed.findings()["seals"]


def test_what_is_kept_is_looked_at_without_the_key_too(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed.seal()
    monkeypatch.delenv(KEY)
    _signature_damaged(sealed)
    assert "a signature was expected on each line" in sealed.findings()["seals"]


@pytest.mark.parametrize(("alone", "lacking"), [(KEY, "checkpoints"), (DIRECTORY, "seal key")])
def test_a_key_and_a_directory_for_checkpoints_belong_together(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, alone: str, lacking: str
) -> None:
    # given settings with which ontrack up does not start
    monkeypatch.delenv(DIRECTORY if alone == KEY else KEY)
    refused = ontrack("up", "--data", sealed.home)
    assert (refused.exit_code, "belong together" in refused.told) == (2, True)

    # then the doctor finds that too
    ((what, says),) = sealed.findings().items()
    assert (what, "belong together" in says) == (lacking, True)


@pytest.mark.parametrize("minutes", ["abc", "0", "-60", "nan", "1e300"])
def test_a_slip_in_how_often_a_log_is_sealed_is_one_finding_and_all_else_is_looked_at(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, minutes: str
) -> None:
    usual = sealed.checked().keys()
    monkeypatch.setenv(MINUTES, minutes)
    assert sealed.checked().keys() == usual
    (says,) = sealed.findings().items()
    assert says == (
        "seals",
        f"{MINUTES}: a number above 0 was expected: mend this setting: what signs does not start with it",
    )


def test_however_rarely_a_log_is_sealed_it_is_looked_at(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MINUTES, "1e12")
    assert sealed.findings() == {}


def test_a_directory_that_may_not_be_written_is_found(sealed: Sealed) -> None:
    with read_only(sealed.home.iterdir()) as directory, read_only([]) as kept:
        ran = ontrack_unprivileged("doctor", "--data", directory, "--checkpoints", kept, "--format", "json")
    (found,) = [each for each in orjson.loads(ran.out) if each["what"] == "checkpoints"]
    assert (found["verdict"], "may not write" in found["says"], "ReadWritePaths" in found["do"]) == (
        "finding",
        True,
        True,
    )
