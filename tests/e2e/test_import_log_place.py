"""An exported log goes to the directory that was named, and nothing else is touched on the way."""

from pathlib import Path
from typing import Final

import pytest

from services.embedded import DATABASE
from tests.support.command import ontrack, run_apart, succeeded
from tests.support.contents import counts
from tests.support.desk import Desk, row, table
from tests.support.simulated import assert_all_equal

ROWS: Final = [row("A1", session, 30) for session in range(3)]


@pytest.fixture
def exported(desk: Desk) -> Path:
    """A readable export of a small clinic."""
    desk.takes(table(ROWS))
    succeeded("export", "--data", desk.home, "--reveal", "--output", desk.place / "exported")
    return desk.place / "exported"


def test_what_an_import_did_not_make_it_does_not_remove(exported: Path, tmp_path: Path) -> None:
    # given a directory of somebody's beside the place where a home is to be
    theirs = tmp_path / "copy.importing"
    theirs.mkdir()
    (theirs / "letter.txt").write_text("keep me")

    # when an exported log is imported there
    assert_all_equal(ontrack("import", exported, "--data", tmp_path / "copy"))

    # then it is as it was, and nothing else was left behind
    assert (theirs / "letter.txt").read_text() == "keep me"
    assert [file.name for file in tmp_path.iterdir() if "importing" in file.name] == ["copy.importing"]


def test_an_import_that_fails_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    # given an export with a derived event that is none, which is found late
    with (exported / "rom.tracks.v1.ndjson").open("ab") as file:
        file.write(b"{}\n")
    before = sorted(tmp_path.iterdir())

    # when it is imported
    ran = ontrack("import", exported, "--data", tmp_path / "copy")

    # then nothing stays
    assert ran.exit_code == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_log_goes_into_the_directory_in_which_the_command_runs(exported: Path, tmp_path: Path) -> None:
    # given an empty directory
    here = tmp_path / "here"
    here.mkdir()
    same = here.stat().st_ino

    # when a log is imported from within
    assert_all_equal(run_apart("import", str(exported), "--data", ".", directory=here))

    # then that very directory holds it, for whoever stands in it
    assert here.stat().st_ino == same
    assert counts(here)["rom.cases.v1"] == len(ROWS) + 1


def test_a_log_goes_to_where_a_link_points(exported: Path, tmp_path: Path) -> None:
    # given a link to an empty directory elsewhere, and one to a directory that is not there yet
    for name in ("empty", "new"):
        target, link = tmp_path / "disk" / name, tmp_path / f"link-{name}"
        (tmp_path / "disk" / "empty").mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

        # when a log is imported there
        assert_all_equal(ontrack("import", exported, "--data", link))

        # then it is where the link points, and the link stays one
        assert link.is_symlink()
        assert (target / DATABASE).exists()
        assert counts(link)["rom.cases.v1"] == len(ROWS) + 1
    assert {file.name for file in (tmp_path / "disk").iterdir()} == {"empty", "new"}


def test_a_log_goes_into_an_empty_directory(exported: Path, tmp_path: Path) -> None:
    # given an empty directory
    (tmp_path / "copy").mkdir()

    # when a log is imported there
    assert_all_equal(ontrack("import", exported, "--data", tmp_path / "copy"))

    # then it is there, and its place can be read again
    assert succeeded("tracks", "--data", tmp_path / "copy").out == succeeded("tracks", "--data", tmp_path / "home").out
