"""A file of responses becomes the history of its cases, in whatever form it comes and however often."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from contracts.definitions.files import LIBRARY
from services.embedded import DATABASE, MASTER_KEY
from services.runtime.database import Database
from tests.support.command import Ran, ontrack, run_apart
from tests.support.contents import Contents, begun_under, contents, counts, same, sealed_states
from tests.support.desk import Desk, bdi_policy, row, table
from tests.support.enrichd import enrichd

TOTALS: Final = {"A1": (30, 31, 30, 36, 20), "A2": (20, 21, 20, 21, 9), "B7": (11, 10, 9, 8, 2)}
ROWS: Final = [row(case, session, total) for case, totals in TOTALS.items() for session, total in enumerate(totals)]


def judged_by_hand(scores: dict[int, int]) -> Iterator[tuple[int, int | None, str]]:
    """Judge the sessions of a case by the clinic's policy: session, score, status."""
    baseline = scores.get(0)
    before, still = baseline, 0
    for session in range(1, max(scores) + 1):
        score = scores.get(session)
        if score is None:
            yield session, None, "unknown"
            continue
        still = still + 1 if before is not None and abs(score - before) < 3 else 0
        deteriorated = baseline is not None and score - baseline >= 5
        before = score
        status = "not_on_track" if deteriorated or still >= 3 else "unknown" if baseline is None else "on_track"
        yield session, score, status


def test_every_session_of_real_patients_is_judged_as_by_hand(desk: Desk) -> None:
    # given a hundred real patients with a total at every visit
    scores: dict[str, dict[int, int]] = {}
    for line in csv.DictReader(enrichd().read_text().splitlines()):
        scores.setdefault(line["case"], {})[int(line["session"])] = int(line["total"])

    # when a clinic imports them under its own policy
    ran = desk.takes(enrichd())

    # then every session from the first on has the status that its totals say
    assert f"{sum(len(of_case) for of_case in scores.values()):,} responses recorded, 0 were known" in ran.told
    found: dict[str, list[tuple[int, int | None, str]]] = {}
    for track in desk.tracks():
        found.setdefault(track["case"], []).append((track["session"], track["score"], track["status"]))
    assert len(found) == 100
    for case, of_case in scores.items():
        assert found[case] == list(judged_by_hand(of_case)), case


def test_importing_real_patients_a_second_time_changes_nothing_at_all(desk: Desk) -> None:
    # given a hundred real patients who were imported
    desk.takes(enrichd())
    records, states, held = counts(desk.home), sealed_states(desk.home), contents(desk.home)

    # when they are imported again
    ran = desk.takes(enrichd())

    # then nothing is recorded, and no byte of any state is another one
    assert ran.told.startswith("0 responses recorded, 1,284 were known already, 0 of 100 cases enrolled")
    assert counts(desk.home) == records
    assert sealed_states(desk.home) == states
    assert same(contents(desk.home), held)


def test_a_file_that_grows_is_imported_again_though_its_instrument_has_a_newer_version(
    desk: Desk, tmp_path: Path
) -> None:
    # given a file that was imported, and another version of its instrument
    desk.takes(table(ROWS))
    newer = json.loads((LIBRARY / "instruments" / "bdi-ii.json").read_text("utf-8"))
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "bdi-ii.json").write_text(json.dumps({**newer, "version": 2, "comparable_from": 1}), "utf-8")

    # when it is imported again with a row more
    ran = desk.takes(table([*ROWS, row("A1", 9, 20)]), "--definitions", tmp_path / "newer")

    # then what was recorded is known, and the row is taken, under the newer version
    assert ran.told.startswith(f"1 response recorded, {len(ROWS)} were known already, 0 of ")


def test_a_policy_of_a_version_that_cannot_be_compared_with_that_of_the_file_is_refused(
    desk: Desk, tmp_path: Path
) -> None:
    # given a newer version of an instrument, with which nothing of the one before can be compared
    newer = json.loads((LIBRARY / "instruments" / "bdi-ii.json").read_text("utf-8"))
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "bdi-ii.json").write_text(json.dumps({**newer, "version": 2, "comparable_from": 2}), "utf-8")

    # when a file is imported under a policy that judges the one before
    ran = desk.imports(table(ROWS), "--definitions", tmp_path / "newer")

    # then it is refused: none of its sessions could ever be judged
    assert ran.exit_code == 2
    assert "clinic-bdi judges bdi-ii@1, and the file has only bdi-ii@2, whose scores are not comparable" in ran.told
    assert not desk.home.exists() or desk.facts == 0


def test_two_spellings_of_a_number_are_one_case(desk: Desk) -> None:
    # given a file in which a letter is written in one character, and in two
    rows = [row("\u00c51", 0, 30), row("A\u030a1", 1, 31), row("A\u030a1", 1, 31)]

    # when it is imported
    ran = desk.takes(table(rows))

    # then all of it is of one case
    assert ran.told.startswith("2 responses recorded, 0 were known already, 1 of 1 cases enrolled")

    # and is found by either
    for number in ("\u00c51", "A\u030a1"):
        assert ontrack("case", number, "--data", desk.home).exit_code == 0


def test_a_policy_that_could_judge_nothing_in_the_file_is_refused(desk: Desk, tmp_path: Path) -> None:
    # given a file of BDI-II totals only
    file = desk.file(table(ROWS))

    # when it is imported under the study's policy, which judges the ODSIS
    ran = ontrack("import", file, "--enrol", "--data", desk.home)

    # then it is refused, and the message says what to do
    assert ran.exit_code == 2
    assert "gryesten-2023 judges odsis, and the file has only bdi-ii; no known policy fits; write one" in ran.told
    assert desk.facts == 0

    # and once the clinic has policies of its own, it says which of them would fit
    own = tmp_path / "own"
    own.mkdir()
    bdi_policy(own / "first.json", "our-first")
    bdi_policy(own / "second.json", "our-second")
    ran = ontrack("import", file, "--enrol", "--definitions", own, "--data", desk.home)
    assert ran.exit_code == 2
    assert "policies that fit: our-first, our-second" in ran.told
    assert desk.facts == 0


def held_after(desk: Desk, name: str, key: bytes, file: Path, *options: str | Path) -> Contents:
    """Import a file into a home of its own under a master key that is given; give what it then holds."""
    home = begun_under(desk.place / name, key)
    ran = ontrack("import", file, "--enrol", "--policy", desk.policy, *options, "--data", home)
    assert ran.exit_code == 0, ran.told
    return contents(home)


def with_decimal_commas(rows: Sequence[str]) -> bytes:
    parts = (line.split(",") for line in rows)
    lines = (";".join([*fields[:4], f"{fields[4]},0", *fields[5:]]) for fields in parts)
    return b"\xef\xbb\xbf" + table(lines, "case;session;answered_at;instrument;total;comment")


def with_danish_dates(rows: Sequence[str], pattern: str) -> bytes:
    lines = []
    for line in rows:
        case, session, at, *rest = line.split(",")
        year, month, day = at[:10].split("-")
        written = pattern.format(day=int(day), month=int(month), year=year)
        lines.append(",".join([case, session, written, *rest]))
    return table(lines)


def with_tabs(rows: Sequence[str]) -> bytes:
    return table(rows).replace(b",", b"\t")


FORMS: Final = {
    "semicolons, decimal commas and a byte-order mark": with_decimal_commas(ROWS),
    "tabs": with_tabs(ROWS),
    "Danish dates": with_danish_dates(ROWS, "{day:02d}-{month:02d}-{year} 08.30"),
    "Danish dates with points": with_danish_dates(ROWS, "{day}.{month}.{year} 8:30:00"),
    "Danish dates with slashes": with_danish_dates(ROWS, "{day}/{month}/{year} 08:30"),
    "lines that end as on Windows": table(ROWS).replace(b"\n", b"\r\n"),
    "every field in quotes": b"\n".join(b'"' + line.replace(b",", b'","') + b'"' for line in table(ROWS).splitlines()),
    "empty lines": table(ROWS).replace(b"\n", b"\n\n"),
    "every row twice": table([*ROWS, *ROWS]),
    "gzipped": gzip.compress(table(ROWS)),
    "gzipped with a byte-order mark": gzip.compress(b"\xef\xbb\xbf" + table(ROWS)),
    "other columns order": table(
        [",".join([*line.split(",")[:0:-1], line.split(",")[0]]) for line in ROWS],
        "comment,total,instrument,answered_at,session,case",
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_form_of_a_file_does_not_matter(desk: Desk, form: bytes) -> None:
    # given what a plain file becomes
    desk.takes(table(ROWS))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when the same rows come in another form
    file = desk.file(form, "other-form")

    # then they become the same
    assert same(held_after(desk, "other", key, file), plain)


def test_a_file_can_come_on_standard_input(desk: Desk) -> None:
    # given what a plain file becomes
    desk.takes(table(ROWS))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when it comes through a pipe, gzipped or not
    for name, given in (("plain", table(ROWS)), ("gzipped", gzip.compress(table(ROWS)))):
        home = begun_under(desk.place / name, key)
        ran = run_apart("import", "-", "--enrol", "--policy", desk.policy, "--data", home, given=given)

        # then it becomes the same, and standard output stays empty
        assert ran == Ran(0, b"", "15 responses recorded, 0 were known already, 3 of 3 cases enrolled.\n")
        assert same(contents(home), plain)


def wide(cells: dict[str, list[str]], header: str) -> bytes:
    return table([",".join([case, *values]) for case, values in cells.items()], header)


def test_a_wide_file_with_dates_is_the_long_one_turned(desk: Desk) -> None:
    # given what a long file becomes
    desk.takes(table(ROWS))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when its cases stand in a row each, with the date of every session beside its total
    dates = {tuple(line.split(",")[:2]): line.split(",")[2] for line in ROWS}
    cells = {
        case: [cell for session, total in enumerate(totals) for cell in (dates[case, str(session)], str(total))]
        for case, totals in TOTALS.items()
    }
    header = "case," + ",".join(f"date_s{session},bdi_s{session}" for session in range(5))
    file = desk.file(wide(cells, header), "wide.csv")
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--dates", "date_s{session}")

    # then it becomes the same
    assert same(held_after(desk, "wide", key, file, *options), plain)


def test_a_wide_file_without_dates_counts_weeks_from_a_date(desk: Desk) -> None:
    # given a long file with the dates that the weeks give, over the change to summer time
    days = ("2026-03-16", "2026-03-23", "2026-03-30", "2026-04-06", "2026-04-13")
    rows = [
        row(case, session, total, at=days[session])
        for case, totals in TOTALS.items()
        for session, total in enumerate(totals)
    ]
    desk.takes(table(rows))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when its cases stand in a row each, and only the day of session 0 is told
    cells = {case: [str(total) for total in totals] for case, totals in TOTALS.items()}
    header = "case," + ",".join(f"bdi_s{session}" for session in range(5))
    file = desk.file(wide(cells, header), "wide.csv")
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--weekly-from", "2026-03-16")

    # then it becomes the same
    assert same(held_after(desk, "wide", key, file, *options), plain)


def test_a_wide_cell_without_a_value_is_no_response(desk: Desk) -> None:
    # given a wide file with gaps
    file = desk.file(wide({"A1": ["30", "", "31"], "A2": ["", "", ""]}, "case,bdi_s0,bdi_s1,bdi_s2"), "wide.csv")

    # when it is imported
    ran = desk.takes(file, "--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--weekly-from", "2026-01-05")

    # then only what was answered is recorded
    assert ran.told == "2 responses recorded, 0 were known already, 1 of 1 cases enrolled.\n"


def test_the_order_of_the_rows_does_not_matter(desk: Desk) -> None:
    # given what a file becomes
    desk.takes(table(ROWS))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when its rows are shuffled
    shuffled = list(ROWS)
    Random(4).shuffle(shuffled)

    # then it becomes the same
    assert same(held_after(desk, "shuffled", key, desk.file(table(shuffled), "shuffled.csv")), plain)


def test_the_order_of_rows_of_the_same_moment_does_not_matter(desk: Desk) -> None:
    # given a file of which only the days are known: two questionnaires of a session have the same moment
    header = "case,session,answered_at,instrument,total,adherence,comment"
    homework = [f"A1,{session},2026-01-{5 + session:02d},homework,,0," for session in range(5)]
    totals = [f"A1,{session},2026-01-{5 + session:02d},bdi-ii,{30 + 2 * session},," for session in range(5)]
    desk.takes(table([*homework, *totals], header))
    key, plain = (desk.home / MASTER_KEY).read_bytes(), contents(desk.home)

    # when its rows stand in another order
    file = desk.file(table([*totals, *homework], header), "turned.csv")

    # then it becomes the same
    assert same(held_after(desk, "turned", key, file), plain)


def test_the_same_number_in_two_clinics_is_two_cases(desk: Desk) -> None:
    # given a case of one clinic
    desk.takes(table(ROWS), "--clinic", "ballerup")

    # when another clinic has the same numbers
    ran = desk.takes(table(ROWS), "--clinic", "hvidovre")

    # then they are cases of their own
    assert "15 responses recorded, 0 were known already, 3 of 3 cases enrolled" in ran.told
    assert sorted(contents(desk.home).numbers.values()) == [
        f"{number}@{clinic}" for number in ("A1", "A2", "B7") for clinic in ("ballerup", "hvidovre")
    ]


def test_a_number_that_two_clinics_use_does_not_name_a_case(desk: Desk) -> None:
    # given a number in two clinics
    desk.takes(table(ROWS), "--clinic", "ballerup")
    desk.takes(table(ROWS), "--clinic", "hvidovre")

    # when a case is asked for by it
    ran = ontrack("export", "--data", desk.home, "--topic", "rom.cases.v1", "--case", "A1")

    # then nobody guesses which of the two is meant
    assert ran.exit_code == 2
    assert ran.out == b""


def test_a_dry_run_takes_nothing(desk: Desk) -> None:
    # given a home
    desk.takes(table(ROWS[:5]))
    records, states = counts(desk.home), sealed_states(desk.home)

    # when a file with new cases is tried
    ran = desk.takes(table(ROWS), "--dry-run")

    # then what would come of it is told, and nothing is taken
    assert ran.told == "10 responses would be recorded, 5 were known already, 2 of 3 cases would be enrolled.\n"
    assert counts(desk.home) == records
    assert sealed_states(desk.home) == states


def test_a_policy_can_be_mended_after_it_was_tried(desk: Desk) -> None:
    # given a policy of the clinic, with which a file was tried
    desk.takes(table(ROWS), "--dry-run")
    records = counts(desk.home)

    # when the clinic finds a wrong threshold in it and mends that
    text = desk.policy.read_text()
    desk.policy.write_text(text.replace('"at_least": "5"', '"at_least": "6"'))

    # then it is taken, for nothing was taken before
    assert records["rom.definitions.v1"] == 0
    desk.takes(table(ROWS))


def counts_of_a_new_home(desk: Desk) -> dict[str, int]:
    other = Desk(desk.place / "new")
    other.place.mkdir()
    assert other.imports(b"").exit_code == 1
    return counts(other.home)


def test_only_one_process_writes_a_home(desk: Desk) -> None:
    # given an import that goes on
    desk.takes(table(ROWS[:5]))
    records = counts(desk.home)

    # when another one is started meanwhile
    ran = run_while_another_writes(desk)

    # then it is told to wait, and takes nothing
    assert ran.exit_code == 2
    assert "another process is writing" in ran.told
    assert counts(desk.home) == records


def run_while_another_writes(desk: Desk) -> Ran:
    database = Database.open(desk.home / DATABASE, write=True)
    try:
        file = desk.file(table(ROWS))
        return run_apart("import", file, "--enrol", "--policy", desk.policy, "--data", desk.home)
    finally:
        database.close()


BAD_USE: Final[dict[str, Sequence[str]]] = {
    "no such file": ("nowhere.csv",),
    "wide without instrument": ("answers.csv", "--wide", "bdi_s{session}", "--weekly-from", "2026-01-05"),
    "wide without dates": ("answers.csv", "--wide", "bdi_s{session}", "--instrument", "bdi-ii"),
    "weekly from no date": (
        "answers.csv", "--wide", "b{session}", "--instrument", "bdi-ii", "--weekly-from", "soon",
    ),
    "no such time zone": ("answers.csv", "--timezone", "Europe/Atlantis"),
    "no such policy": ("answers.csv", "--enrol", "--policy", "nobodys"),
    "no such protocol": ("answers.csv", "--enrol", "--protocol", "nobodys"),
    "a clinic with a blank": ("answers.csv", "--enrol", "--policy", "clinic-bdi.json", "--clinic", "Psykiatri Øst"),
    "a group with a blank": ("answers.csv", "--enrol", "--policy", "clinic-bdi.json", "--group", "Hold 3"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_USE.values(), ids=BAD_USE.keys())
def test_bad_use_is_told_in_a_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> None:
    # given a file
    monkeypatch.chdir(desk.place)
    desk.file(table(ROWS))
    assert desk.policy.exists()

    # when the command is used wrongly
    ran = ontrack("import", *arguments, "--data", "home")

    # then a sentence says what was expected
    assert ran.exit_code == 2
    assert ran.told.strip()
    assert desk.facts == 0


def test_a_home_that_is_none_is_left_alone(desk: Desk) -> None:
    # given a directory with another program's database
    desk.home.mkdir(mode=0o700)
    other: Any = b"this is no database" * 1_000
    (desk.home / DATABASE).write_bytes(other)

    # when something is imported there
    ran = desk.imports(table(ROWS))

    # then a sentence says why not, and the file is as it was
    assert ran.exit_code == 2
    assert (desk.home / DATABASE).read_bytes() == other
