"""An exported log goes to the directory that was named, and nothing else is touched on the way."""

import fcntl
from pathlib import Path
from typing import Final

import pytest

from services.embedded import DATABASE
from tests.support.command import ontrack, run_apart, succeeded
from tests.support.contents import counts
from tests.support.desk import Desk, row, table
from tests.support.dying import deaths
from tests.support.simulated import assert_all_equal
from tests.support.unprivileged import ontrack_unprivileged, read_only

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


def test_a_dry_run_compares_and_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    # given an exported log
    before = sorted(tmp_path.rglob("*"))

    # when its import is tried
    ran = ontrack("import", exported, "--dry-run", "--data", tmp_path / "copy")

    # then it was derived and compared, and nothing is there
    assert_all_equal(ran)
    assert f"{len(ROWS) + 1} facts would be taken." in ran.told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "options",
    [
        ("--enrol",),
        ("--policy", "gryesten-2023"),
        ("--protocol", "open-ended"),
        ("--group", "tuesday"),
        ("--clinic", "clinic"),
        ("--wide", "bdi_s{session}", "--instrument", "bdi-ii"),
        ("--skip-invalid",),
        ("--timezone", "UTC"),
    ],
    ids=lambda options: options[0],
)
def test_what_means_nothing_for_an_exported_log_is_refused(
    exported: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ran = ontrack("import", exported, *options, "--data", tmp_path / "copy")
    assert ran.exit_code == 2
    assert f"{', '.join(options[::2])}: an exported log is imported with" in ran.told
    assert not (tmp_path / "copy").exists()


def test_keys_mean_nothing_for_a_file_of_responses(desk: Desk) -> None:
    ran = desk.imports(table(ROWS), "--keys", desk.place / "keys")
    assert ran.exit_code == 2
    assert "--keys means nothing for a file of responses" in ran.told
    assert not desk.home.exists()


@pytest.mark.parametrize("there", [True, False], ids=["an empty directory", "no directory yet"])
def test_what_a_killed_import_left_is_removed_by_the_next(exported: Path, tmp_path: Path, *, there: bool) -> None:
    # given an import that was killed on its way
    target = tmp_path / "disk" / "40"
    (target if there else target.parent).mkdir(parents=True)
    [_] = deaths([40], "import", exported, "--data", tmp_path / "disk" / "{n}")
    [left] = (target if there else target.parent).glob(".*importing-*")
    assert (left / DATABASE).exists()

    # when its import is tried again
    ran = ontrack("import", exported, "--data", target)

    # then what it left is gone, which is said
    assert_all_equal(ran)
    assert f"{left} was left by a command that was killed; it was removed." in ran.told
    assert not left.exists()
    assert [file.name for file in (tmp_path / "disk").iterdir()] == ["40"]
    assert {file.name for file in target.iterdir()} == {DATABASE, "master.key", "ontrack.lock"}


def test_what_another_import_is_making_is_left_alone(exported: Path, tmp_path: Path) -> None:
    # given a directory in which another import is under way
    made = tmp_path / "copy" / ".importing-another"
    made.mkdir(parents=True)
    with (made / "ontrack.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        # when a log is imported there
        ran = ontrack("import", exported, "--data", tmp_path / "copy")

    # then both have their place
    assert_all_equal(ran)
    assert "removed" not in ran.told
    assert (made / "ontrack.lock").exists()


def test_a_log_goes_into_a_directory_beside_which_nothing_can_be_written(exported: Path) -> None:
    # given an empty directory that one may write, in a place that one may not
    with read_only(exported.iterdir()) as place:
        place.chmod(0o700)
        own = place / "own"
        own.mkdir()
        own.chmod(0o777)
        place.chmod(0o500)

        # when a log is imported there
        ran = ontrack_unprivileged("import", place, "--data", own)

        # then it is there
        assert_all_equal(ran)
        assert {file.name for file in own.iterdir()} == {DATABASE, "master.key", "ontrack.lock"}
