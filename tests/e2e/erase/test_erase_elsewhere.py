"""`ontrack erase` and what lies elsewhere and is no backup, file of keys or page: exports, bundles, lines left out."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.erase.copies import Erased, Met, pages_taken_out
from services.embedded import DATABASE, MASTER_KEY
from services.runtime.copies.port import Copy
from tests.support.command import ontrack, run_apart, succeeded
from tests.support.contents import master_key_in
from tests.support.desk import Desk, row, table
from tests.support.erasing import (
    ANNA,
    COMMENT,
    ERASE,
    GONE,
    case_of,
    erase,
    found,
    given_up,
    secrets_of,
    verified,
)
from tests.support.simulated import assert_all_equal
from tests.support.unprivileged import ontrack_unprivileged, read_only


def test_what_is_made_while_a_case_is_erased_and_its_key_is_there_is_told_of(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an export that is made, to be read, when an erasure has seen which copies there are
    exported = clinic.place / "exported"

    def meanwhile(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
        if not exported.exists():
            run_apart("export", "--reveal", "--output", exported, "--data", clinic.home)
        return pages_taken_out(erased, copies)

    monkeypatch.setattr("services.cli.erase.command.pages_taken_out", meanwhile)

    # when the case is erased, then it is told what stands there
    ran = erase(clinic)
    assert found(exported, {"comment": COMMENT.encode()}) == {"comment"}
    assert (ran.exit_code, f"what stands open in {exported} holds its answers" in ran.said) == (1, True)


def test_what_is_noted_while_a_case_is_erased_stays_noted(clinic: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a page about a case, and one about another that takes its place when the case is erased
    page, here = clinic.place / "page.html", ("--data", clinic.home)
    succeeded("audit", "why", GONE, "--session", "3", "--write", page, *here)

    def meanwhile(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
        met = pages_taken_out(erased, copies)
        if not page.exists():
            run_apart("audit", "why", ANNA, "--session", "3", "--write", page, *here)
        return met

    with monkeypatch.context() as patch:
        patch.setattr("services.cli.erase.command.pages_taken_out", meanwhile)
        assert (erase(clinic).exit_code, page.exists()) == (0, True)

    # when that one is erased too, then its page is not there any more
    succeeded("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, *here)
    assert not page.exists()


@pytest.mark.parametrize(
    "asked", [("reports", "--write"), ("export", "--reveal", "--output")], ids=["reports", "export"]
)
@pytest.mark.parametrize("where", ["in a file", "closed"])
def test_a_directory_that_cannot_be_made_is_no_copy_that_an_erasure_has_to_find(
    clinic: Desk, asked: tuple[str, ...], where: str
) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given a directory that cannot be made, or into which nothing can be written
        home, closed = Path(folder) / "home", Path(folder) / "closed"
        shutil.copytree(clinic.home, home)
        closed.mkdir()
        (Path(folder) / "file").touch()
        directory = Path(folder) / "file" / "below" if where == "in a file" else closed
        with given_up(home, closed):
            refused = ontrack_unprivileged(*asked, directory, "--data", home)
        assert (refused.exit_code, f"{directory}: a directory that can be written" in refused.told) == (2, True)

        # when a case is erased, then nothing is told of it
        ran = erase(clinic, home=home)
        assert (ran.exit_code, str(directory) in ran.said) == (0, False)


def test_whoever_reads_the_database_meanwhile_keeps_it_from_being_done_and_that_is_told(clinic: Desk) -> None:
    # given somebody in the middle of reading the database
    secrets = secrets_of(clinic.home)
    with closing(sqlite3.connect(clinic.home / DATABASE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM keys").fetchone() == (2,)

        # when a case is erased, then it is told that its key may be there still
        ran = erase(clinic)
        assert ran.exit_code == 2
        assert "its old bytes remain in the -wal file" in ran.told
        reader.execute("COMMIT")

    # and when the same command is given again, then it is done
    assert erase(clinic).exit_code == 0
    assert found(clinic.home, secrets) == set()


def test_what_nobody_can_look_for_is_not_taken_for_gone(clinic: Desk) -> None:
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given copies in a directory that was closed since
        home, closed = Path(folder) / "home", Path(folder) / "closed"
        shutil.copytree(clinic.home, home)
        closed.mkdir()
        succeeded("backup", closed / "one.backup", "--data", home)
        succeeded("reports", "--write", closed / "pages", "--data", home)
        succeeded("export", "--reveal", "--output", closed / "open", "--data", home)
        with given_up(home, closed):
            closed.chmod(0o000)

            # when somebody says that what is missing there is gone, then all of it is told of, and stays known
            for gone in (("--gone", folder), ()):
                ran = ontrack_unprivileged(*ERASE, *gone, "--data", home)
                assert ran.exit_code == 1, ran.told
                assert all(f"{closed}/{name}" in ran.said for name in ("one.backup", "pages", "open"))

            # and of a file it is said that nobody can tell
            ran = ontrack_unprivileged(*ERASE, "--gone", closed / "one.backup", "--data", home)
            assert "it cannot be looked for (Permission denied)" in ran.told


def test_whoever_cannot_note_a_copy_is_told_what_to_do_with_it_when_a_case_is_erased(clinic: Desk) -> None:
    with read_only(clinic.home.iterdir()) as home, TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given somebody who may read a home, and write elsewhere
        place = Path(folder)
        place.chmod(0o777)
        asked = {"name it by --backups": ("backup", place / "own.backup"), "delete it": ("reports", "--write", place)}

        # when they make copies, then they are told
        for to_do, command in asked.items():
            told = ontrack_unprivileged(*command, "--data", home).told
            assert f"It was not noted that there is {command[-1]} (" in told
            assert f": whoever erases a case has to {to_do}." in told


def test_a_readable_export_is_told_of_until_it_is_deleted(clinic: Desk) -> None:
    # given what was exported to be read, of all and of the case alone
    for name, options in {"all": (), GONE: ("--case", GONE)}.items():
        succeeded("export", "--reveal", *options, "--output", clinic.place / name, "--data", clinic.home)

    # when it is erased, then both are told of, and stay known as long as they are there
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        unreached = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert sorted(unreached) == sorted(
            f"what stands open in {clinic.place / name} holds its answers in the open: delete it"
            for name in ("all", GONE)
        )

    # and when they are not there, they may have been moved, until somebody says that they are deleted
    for name in ("all", GONE):
        shutil.rmtree(clinic.place / name)
    for _ in range(2):
        ran = erase(clinic)
        assert ran.exit_code == 1
        assert all(f"what stands open in {clinic.place / name} is not there" in ran.said for name in ("all", GONE))

    # and then nothing in the home names the case any more
    assert erase(clinic, "--gone", clinic.place).exit_code == 0
    assert erase(clinic).exit_code == 0
    assert found(clinic.home, {"number": GONE.encode()}) == set()


def test_a_readable_export_is_gone_though_the_directory_is_there_for_other_things(clinic: Desk) -> None:
    # given an export in a directory that was there, of which somebody has deleted all that was exported
    exports = clinic.place / "exports"
    exports.mkdir()
    (exports / "others.txt").touch()
    succeeded("export", "--reveal", "--output", exports, "--data", clinic.home)
    for file in exports.glob("*.ndjson"):
        file.unlink()

    # when a case is erased, then it is said that the export is not there, and it is gone as somebody says
    assert f"what stands open in {exports} is not there" in erase(clinic).said
    assert erase(clinic, "--gone", exports).exit_code == 0
    assert erase(clinic).exit_code == 0


@pytest.mark.parametrize("before", [(), ("--case", GONE)], ids=["all", "the case"])
def test_a_readable_export_is_known_to_hold_a_case_though_another_one_was_exported_there_since(
    clinic: Desk, before: tuple[str, ...]
) -> None:
    # given what was exported to be read, and later of another case and of other events into the same directory
    where = ("--reveal", "--output", clinic.place / "exported", "--data", clinic.home)
    succeeded("export", *before, *where)
    succeeded("export", "--case", ANNA, "--topic", "rom.scores.v1", *where)

    # when the case is erased, then it is told where its answers stand still
    ran = erase(clinic)
    assert ran.exit_code == 1
    assert f"what stands open in {clinic.place / 'exported'} holds its answers in the open" in ran.said


@pytest.mark.parametrize("is_new", [False, True], ids=["a home that is there", "a new home"])
def test_lines_that_an_import_left_out_are_told_of_until_they_are_deleted(clinic: Desk, *, is_new: bool) -> None:
    # given a file of which a line was left out, and one of which none was
    place = clinic.place
    if is_new:
        shutil.rmtree(clinic.home)
    lines = clinic.file(table([row(GONE, 7, 20), row(GONE, 8, 99, comment=COMMENT)]), "june.csv")
    assert clinic.imports(lines, "--skip-invalid").exit_code == 1
    clinic.takes(clinic.file(table([row(ANNA, 7, 20)]), "july.csv"), "--skip-invalid")

    # when the case is erased, once and again, then it is told where that line stands, and nothing else is
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        [says] = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert says.startswith(f"what an import left out in {place}/june.csv.skipped.csv can hold its answers")

    # and until it is deleted and that is said
    (place / "june.csv.skipped.csv").unlink()
    assert "june.csv.skipped.csv is not there" in erase(clinic).said
    assert erase(clinic, "--gone", place).exit_code == 0
    assert erase(clinic).exit_code == 0


def test_bundles_from_before_and_after_verify_and_keys_that_somebody_kept_open_nothing(clinic: Desk) -> None:
    # given a bundle with its keys, of which somebody keeps a copy, and another one after a case was erased
    place, gone = clinic.place, case_of(clinic.home)
    export = ("audit", "export", "--data", clinic.home)
    succeeded(*export, "--output", place / "before.zip", "--keys", place / "before.keys")
    kept = shutil.copy(place / "before.keys", place / "kept.keys")
    assert erase(clinic).exit_code == 0
    succeeded(*export, "--output", place / "after.zip", "--keys", place / "after.keys")

    # when they are verified
    # then that from before is whole for whoever has the keys, and for whoever has those that are left a case stays
    # sealed of which it does not say why
    assert "of erased cases" not in verified("--bundle", place / "before.zip", "--keys", kept)
    for keys in (place / "before.keys", place / "after.keys"):
        told = verified("--bundle", place / "before.zip", "--keys", keys)
        assert f"{gone}: the key of this case is destroyed, and the log does not say" in told
        assert ("of erased cases" in told, "The history verifies" in told) == (False, False)

    # and in the one from after the case is erased, with whatever keys
    for options in ((), ("--keys", kept), ("--keys", place / "after.keys")):
        told = verified("--bundle", place / "after.zip", *options)
        assert f"{gone}: this case was erased on 20" in told
        assert "of erased cases" in told
    ran = ontrack("audit", "history", gone, "--bundle", place / "after.zip", "--keys", kept)
    assert (ran.exit_code, ran.out) == (0, b"")
    assert "was erased on 20" in ran.told


def test_where_a_history_was_taken_an_erased_case_is_named_by_its_id_and_that_is_said(clinic: Desk) -> None:
    # given a bundle of a clinic with an erased case, and a home that was made of it
    place, gone = clinic.place, case_of(clinic.home)
    assert erase(clinic).exit_code == 0
    bundle, keys = place / "a.zip", place / "a.keys"
    succeeded("audit", "export", "--data", clinic.home, "--output", bundle, "--keys", keys)
    succeeded("import", bundle, "--keys", keys, "--data", place / "mine")

    # when somebody asks for it by the number that it had, then it is said why that leads nowhere, and what does
    for source in (("--bundle", bundle, "--keys", keys), ("--data", place / "mine")):
        ran = ontrack("audit", "history", GONE, *source)
        told = "This log has 1 erased case: by its number such a case is known only"
        assert (ran.exit_code, told in ran.told) == (2, True)
        assert "was erased on 20" in succeeded("audit", "history", gone, *source).told

    # and where it was erased, and in a backup of that, the number leads there still
    succeeded("backup", place / "a.backup", "--data", clinic.home)
    again = master_key_in(place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "a.backup", "--data", again)
    for home in (clinic.home, again):
        assert "was erased on 20" in succeeded("audit", "history", GONE, "--data", home).told


def test_a_log_that_says_so_comes_in_without_the_case_though_somebody_has_kept_its_key(clinic: Desk) -> None:
    # given the log of a home with an erased case, and keys from before
    succeeded("export", "--data", clinic.home, "--output", clinic.place / "old", "--keys", clinic.place / "old.keys")
    kept = Path(shutil.copy(clinic.place / "old.keys", clinic.place / "kept.keys"))
    assert erase(clinic).exit_code == 0
    succeeded("export", "--data", clinic.home, "--output", clinic.place / "new")

    # when it is imported with these
    copy = clinic.place / "copy"
    assert_all_equal(ontrack("import", clinic.place / "new", "--keys", kept, "--data", copy))

    # then the case is erased there too
    assert "by kim: the patient asked for it" in verified("--data", copy)
    [secret] = [json.loads(line)["key"] for line in kept.read_bytes().splitlines() if GONE.encode() in line]
    assert found(copy, {"key": secret.encode()}) == set()
