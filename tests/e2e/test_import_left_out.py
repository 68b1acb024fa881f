"""Lines with faults can be left out, mended and imported; the rest of a file is taken."""

import subprocess

import pytest

from tests.support.command import ONTRACK, PATIENCE, ontrack, run_apart
from tests.support.contents import counts
from tests.support.desk import COLUMNS, Desk, row, table, weekly
from tests.support.faulty import ANSWER, CASE, GOOD, SECRETS, SEVERAL, cut_short, fields, refused


def test_what_is_left_out_can_be_mended_and_imported(known: Desk) -> None:
    # given a file with faults in most of its lines, one of them against the log
    lines = [line for line, _ in SEVERAL]
    against_the_log = row(CASE, 0, ANSWER, comment='"Amalie, ""ringede"""')
    file = known.file(table([*lines, against_the_log]))

    # when it is imported without them
    ran = known.imports(file, "--skip-invalid")

    # then the others are taken, the faults are still found, and told without what stood there
    assert ran.exit_code == 1
    assert "1 response recorded, 0 were known already, 0 of 1 cases enrolled, 8 lines left out." in ran.told
    assert ran.gives_away(SECRETS) == []
    assert {(track["session"], track["score"]) for track in known.tracks()} == {(1, None), (2, None), (3, 37)}

    # and the lines that were left out are in a file for their owner only, as they came
    left_out = file.with_name("answers.csv.skipped.csv")
    assert left_out.stat().st_mode & 0o777 == 0o600
    faulty = [line for line, named in SEVERAL if named is not None]
    assert sorted(left_out.read_text().splitlines()) == sorted([COLUMNS, GOOD, *faulty, against_the_log])

    # and it is said what that file holds and what becomes of it
    assert f"Rows with faults go to {left_out}. It holds answers and comments: delete it when" in ran.told

    # and when they are mended there, they are taken
    mended = [GOOD, fields(session="4", answered_at=weekly(4)), row(CASE, 0, 36, comment="Amalie")]
    again = known.takes(known.file(table(mended), left_out.name))
    assert again.told == "2 responses recorded, 1 were known already, 0 of 1 cases enrolled.\n"


def test_a_dry_run_tells_what_would_come_of_what_is_left(desk: Desk) -> None:
    # given a case of which a line is left out, and one of which all are
    lines = [row(CASE, 1, ANSWER), row(CASE, 15, ANSWER), row("P777", 15, ANSWER)]
    content, course = table(lines), ("--protocol", "group-cbt-depression-14", "--skip-invalid")

    # when it is tried, then that is told, and it is what is done
    tried = desk.imports(content, *course, "--dry-run").told
    told = "1 response {}recorded, 0 were known already, 1 of 1 cases {}enrolled, 2 lines {}left out."
    assert told.format("would be ", "would be ", "would be ") in tried
    assert told.format("", "", "") in desk.imports(content, *course).told


@pytest.mark.parametrize(
    "options", [("--dry-run",), ("--policy", "gryesten-2023")], ids=["what is only tried", "what is refused"]
)
@pytest.mark.parametrize("is_new", [True, False], ids=["a new home", "a home that is there"])
def test_of_what_is_not_taken_no_lines_are_written(desk: Desk, options: tuple[str, ...], *, is_new: bool) -> None:
    # given a file of which a line would be left out, for a home that is there or not
    if not is_new:
        desk.takes(table([row("P1", 1, ANSWER)]))
        (desk.place / "answers.csv").unlink()
    file = desk.file(table([row(CASE, 1, ANSWER), row(CASE, 15, ANSWER)]))

    # when it is tried, or refused because no rule could judge it
    asked = ("--enrol", "--protocol", "group-cbt-depression-14", "--policy", desk.policy, "--skip-invalid")
    ontrack("import", file, *asked, *options, "--data", desk.home)

    # then what patients said stands nowhere but in that file
    assert [each.name for each in desk.place.glob("*.csv")] == [file.name]
    assert desk.home.exists() != is_new


def test_where_lines_cannot_be_written_nothing_is_taken_and_no_home_is_founded(desk: Desk) -> None:
    # given a place for lines that are left out where there is none
    named = desk.place / "nowhere" / "left-out.csv"

    # when a file is imported without its faults, then that is told at once
    ran = desk.imports(table([GOOD, fields(total="4711")]), "--skip-invalid", "--skipped", named)
    assert ran.exit_code == 2
    assert f"{named}: a file that can be written was expected (No such file or directory)" in ran.told
    assert not desk.home.exists()


def test_nothing_is_taken_of_an_occasion_of_which_lines_say_different_things(known: Desk) -> None:
    # given a session that stands in a file four times, one of them with another total, and a session that is clear
    once, other = row(CASE, 1, ANSWER), row(CASE, 1, 12)
    content = table([once, once, row(CASE, 2, ANSWER), other, once])

    # when it is imported without its faults
    ran = known.imports(content, "--skip-invalid")

    # then nobody guesses which is right: every line of that session is left out, and the fault names two of them
    assert "1 response recorded, 0 were known already, 0 of 1 cases enrolled, 4 lines left out." in ran.told
    assert ran.names(5, "total")
    assert "in line 2" in ran.told
    assert {(track["session"], track["score"]) for track in known.tracks()} == {(1, None), (2, ANSWER)}
    assert (known.place / "answers.csv.skipped.csv").read_text().splitlines() == [COLUMNS, once, once, other, once]


def test_nothing_is_taken_of_wide_rows_that_contradict_each_other(known: Desk) -> None:
    # given a case that stands in two rows of a wide file, of which one session is not the same
    lines = [f"{CASE},,37,20", f"{CASE},,37,21", "NY4412,,36,"]
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--weekly-from", "2026-01-05")

    # when it is imported without its faults
    ran = known.imports(table(lines, "case,bdi_s0,bdi_s1,bdi_s2"), "--skip-invalid", *options)

    # then both rows are left out whole
    assert "1 response recorded, 0 were known already, 1 of 1 cases enrolled, 2 lines left out." in ran.told
    assert (known.place / "answers.csv.skipped.csv").read_text().splitlines()[1:] == lines[:2]


def test_a_file_that_cannot_be_read_to_its_end_is_not_taken_in_part(known: Desk) -> None:
    # given a gzipped file that lacks its end, and one that changes its encoding on the way
    before = counts(known.home)
    for content in (cut_short(table([GOOD, fields(total="4711")])), table([GOOD]) + "æ".encode("latin-1")):
        # when it is imported without its faults
        ran = known.imports(content, "--skip-invalid")

        # then nothing is taken, for nobody knows what is missing
        assert refused(ran, known, before)


def test_lines_that_are_left_out_are_never_open_to_others(known: Desk) -> None:
    # given a file of that name that anybody can read
    left_out = known.file(b"", "left-out.csv")
    left_out.chmod(0o644)

    # when lines are left out
    ran = known.imports(table([GOOD, fields(total="4711")]), "--skip-invalid", "--skipped", left_out)

    # then only its owner can
    assert ran.exit_code == 1
    assert left_out.stat().st_mode & 0o777 == 0o600


def test_a_disk_that_is_full_is_told_with_the_file_and_nothing_is_taken(known: Desk) -> None:
    # given more lines with faults than there is room for, and a line without one
    faulty = (row(CASE, 1, 99, comment="Amalie" * 100) for _ in range(1_000))
    file, before = known.file(table([*faulty, row(CASE, 2, ANSWER)])), known.facts
    left_out = file.with_name("answers.csv.skipped.csv")
    limited = f"ulimit -f 256; exec {ONTRACK} import {file} --skip-invalid --data {known.home}"

    # when the file is imported without them
    ran = subprocess.run(["bash", "-c", limited], capture_output=True, timeout=PATIENCE, check=False)

    # then that is told as bad use, and not as faults that were left out
    assert ran.returncode == 2, ran.stderr
    assert f"Error: {left_out}: room for all of it was expected (File too large)" in ran.stderr.decode()
    assert known.facts == before


def test_the_file_that_is_imported_is_never_written(known: Desk) -> None:
    # given a file with a fault
    content = table([GOOD, fields(total="4711")])
    file = known.file(content)

    # when what is left out should go to that very file
    ran = known.imports(file, "--skip-invalid", "--skipped", file)

    # then it is refused, and the file is as it was
    assert file.read_bytes() == content
    assert ran.exit_code == 2


def test_what_is_left_out_of_standard_input_goes_where_the_command_runs(known: Desk) -> None:
    # given a file with a fault, on standard input
    given = table([GOOD, fields(total="4711")])

    # when it is imported without it
    options = ("--skip-invalid", "--data", known.home)
    ran = run_apart("import", "-", *options, given=given, directory=known.place)

    # then the line is in a file there
    assert ran.exit_code == 1
    assert (known.place / "skipped.csv").read_text().splitlines() == [COLUMNS, fields(total="4711")]


def test_a_policy_must_judge_something_that_is_left(desk: Desk) -> None:
    # given a file in which everything that the policy judges is left out
    header = "case,session,answered_at,instrument,total,mood,calm,energy,rest,interest"
    judged = [f"{CASE},1,{weekly(1)},bdi-ii,{total},,,,," for total in (ANSWER, 38)]
    content = table([*judged, f"{CASE},1,{weekly(1)},who-5,,1,2,3,2,1"], header)

    # when it is imported without its faults
    ran = desk.imports(content, "--skip-invalid")

    # then the policy is refused, for it could never judge anything of what is left
    assert ran.exit_code == 2
    assert "judges bdi-ii, and the file has only who-5" in ran.told
    assert not desk.home.exists()
