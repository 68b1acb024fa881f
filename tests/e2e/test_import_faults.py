"""Nothing is taken from a file with faults; all of them are listed, and none of what the patients said."""

import asyncio
import gzip
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseClosed, ResponseWithdrawn
from services.embedded import DATABASE, EmbeddedHome
from tests.cli.homes import SEEN, Step, events_of, imported, lived, written
from tests.support.command import ontrack, run_apart
from tests.support.contents import counts
from tests.support.desk import COLUMNS, Desk, row, table, weekly
from tests.support.faulty import ANSWER, CASE, COMMENT, GOOD, SEVERAL, WORDS, cut_short, fields, refused


@dataclass(frozen=True, slots=True)
class Faulty:
    """A file with a fault: the line, and the field that must be named (None: any)."""

    content: bytes
    line: int
    field: str | None
    options: Sequence[str] = ()


def at_line_3(line: str, field: str | None, header: str = COLUMNS) -> Faulty:
    """A file whose line 2 is right, and line 3 is not."""
    return Faulty(table([GOOD, line, row(CASE, 3, ANSWER)], header), 3, field)


WITH_ODSIS: Final = "case,session,answered_at,instrument,total,frequency,comment"
FAULTS: Final = {
    "unknown instrument": at_line_3(fields(instrument="madrs"), "instrument"),
    "no instrument": at_line_3(fields(instrument=""), "instrument"),
    "answer out of range": at_line_3(fields(total="4711"), "total"),
    "negative answer": at_line_3(fields(total="-37"), "total"),
    "answer missing": at_line_3(fields(total=""), "total"),
    "text for a number": at_line_3(fields(total="siebzehn"), "total"),
    "half a point": at_line_3(fields(total="37.5"), "total"),
    "answer of another instrument": Faulty(
        table([f"{CASE},1,{weekly(1)},bdi-ii,37,,", f"{CASE},2,{weekly(2)},bdi-ii,37,3,{COMMENT}"], WITH_ODSIS),
        3,
        "frequency",
    ),
    "no date": at_line_3(fields(answered_at=""), "answered_at"),
    "a date that is none": at_line_3(fields(answered_at="in spring"), "answered_at"),
    "a date that never was": at_line_3(fields(answered_at="2026-02-30"), "answered_at"),
    "a date before all calendars": at_line_3(fields(answered_at="0001-01-01"), "answered_at"),
    "a date after all calendars": at_line_3(fields(answered_at="9999-12-31T23:59:00-05:00"), "answered_at"),
    "a date without dashes": at_line_3(fields(answered_at="20260119"), "answered_at"),
    "a week of a year": at_line_3(fields(answered_at="2026-W04-1"), "answered_at"),
    "a time without dashes": at_line_3(fields(answered_at="20260119T0830"), "answered_at"),
    "no session": at_line_3(fields(session=""), "session"),
    "a session before the course": at_line_3(fields(session="-1"), "session"),
    "half a session": at_line_3(fields(session="1.5"), "session"),
    "a session beyond all courses": at_line_3(fields(session="1000"), "session"),
    "a session outside the protocol": Faulty(
        table([row("NY4412", 1, ANSWER), fields(case="NY4412", session="15")]),
        3,
        "session",
        ("--protocol", "group-cbt-depression-14"),
    ),
    "unknown instrument beside other faults": at_line_3(fields(instrument="madrs", session="many"), "session"),
    "no case": at_line_3(fields(case=""), "case"),
    "a case too long": at_line_3(fields(case=CASE * 11), "case"),
    "a comment too long": at_line_3(fields(comment=COMMENT * 200), "comment"),
    "other answers for the same occasion": at_line_3(fields(session="1", answered_at=weekly(1), total="38"), "total:"),
    "another comment for the same occasion": at_line_3(row(CASE, 1, ANSWER, comment="Amalie"), "comment:"),
    "another time for the same occasion": at_line_3(fields(session="1"), "answered_at:"),
    "other answers than on the log": at_line_3(row(CASE, 0, ANSWER, comment=COMMENT), "total, comment:"),
    "too many columns": at_line_3(fields() + ",37", "the row"),
    "too few columns": at_line_3(f"{CASE},2,{weekly(2)},bdi-ii,37", "the row"),
    "a quote that never closes": at_line_3(fields(comment='"' + COMMENT), None),
    "a quote that never closes in a long file": Faulty(
        table([GOOD, fields(comment='"' + COMMENT), *[row(CASE, n, ANSWER, at=weekly(1)) for n in range(3, 999)]]),
        3,
        None,
    ),
    "NUL in an answer": at_line_3(fields(total="3\x007"), "total"),
    "NUL in a case": at_line_3(fields(case="\x00" + CASE), "case"),
    "a byte-order mark in a case": at_line_3(fields(case="QX\ufeff7731"), "case"),
    "a soft hyphen in a case": at_line_3(fields(case="QX\u00ad7731"), "case"),
    "a turn of direction in a case": at_line_3(fields(case="QX\u202e7731"), "case"),
    "an old control in a case": at_line_3(fields(case="QX\u0085x"), "case"),
    "NUL in a comment": at_line_3(fields(comment="Amalie\x00ringede"), "comment"),
    "Latin-1": Faulty(table([GOOD]) + fields(comment="Amalie så på æblet").encode("latin-1"), 3, "the file"),
    "UTF-16": Faulty(table([GOOD]).decode().encode("utf-16"), 1, "the file"),
    "UTF-16 without a mark": Faulty(table([GOOD]).decode().encode("utf-16-le"), 1, None),
    "gzip that lacks its end": Faulty(cut_short(table([GOOD])), 2, "the file"),
    "gzip that is damaged": Faulty(gzip.compress(table([GOOD]))[:-8] + bytes(8), 3, "the file"),
    "empty": Faulty(b"", 1, "the file"),
    "an empty line": Faulty(b"\n", 1, "the file"),
    "header only": Faulty(table([]), 2, "the file"),
    "no column for the session": Faulty(table([f"{CASE},{weekly(1)},37"], "case,answered_at,total"), 1, "session"),
    "an unknown column": Faulty(table([GOOD + ",37"], COLUMNS + ",shoe_size"), 1, "shoe_size"),
    "several unknown columns": Faulty(
        table([GOOD + ",37,1"], COLUMNS + ",shoe_size,hat_size"), 1, "shoe_size, hat_size"
    ),
    "a column without a name": Faulty(table([GOOD + ","], COLUMNS + ","), 1, "a column without a name"),
    "a repeated column": Faulty(table([GOOD + ",37"], COLUMNS + ",total"), 1, "total"),
    "no header": Faulty(table([fields()], GOOD), 1, None),
    "a header that is repeated as a row": at_line_3(COLUMNS, "instrument"),
    "lines that end as on old computers": Faulty(table([GOOD, fields()]).replace(b"\n", b"\r"), 1, None),
}  # fmt: skip


@pytest.mark.parametrize("faulty", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_by_line_and_field_and_nothing_is_taken(known: Desk, faulty: Faulty) -> None:
    # given a case that is known
    before = counts(known.home)

    # when a file with a fault is imported
    ran = known.imports(faulty.content, *faulty.options)

    # then it is refused, and the fault has its line and its field
    assert refused(ran, known, before)
    told = ran.told.splitlines()
    assert any(line.startswith(f"line {faulty.line}: {faulty.field or ''}") for line in told), ran.told


@pytest.mark.parametrize("written", ["1026-01-05", "0001-01-01", "05-01-2226", "9999-12-31T23:59:00-05:00"])
def test_a_year_that_cannot_be_meant_is_told_in_its_own_words(known: Desk, written: str) -> None:
    ran = known.imports(table([fields(answered_at=written)]))
    assert "line 2: answered_at: a year from 1900 to 2199 was expected\n" in ran.told


def test_nothing_can_have_been_answered_in_time_to_come(known: Desk) -> None:
    # given answers of the day after tomorrow
    before = counts(known.home)
    now = datetime.now(UTC)

    # when they are imported
    ran = known.imports(table([fields(answered_at=(now + timedelta(days=2)).isoformat())]))

    # then they are refused
    assert refused(ran, known, before)
    assert "line 2: answered_at: a moment that has come was expected\n" in ran.told

    # and what a clock that is a few hours ahead has written is taken
    known.takes(table([fields(answered_at=(now + timedelta(hours=20)).isoformat())]))


@pytest.mark.parametrize("written", ["20260105", "2026-W02-1", "0026-01-05", "9999-12-31"])
def test_the_first_day_of_a_wide_file_is_written_as_a_date(known: Desk, written: str) -> None:
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--weekly-from", written)
    ran = known.imports(table([f"{CASE},37"], "case,bdi_s1"), *options)
    assert ran.exit_code == 2
    assert "--weekly-from: a date such as 2026-01-05 was expected" in ran.told


def test_the_fault_of_an_unknown_column_says_where_the_known_ones_are(known: Desk) -> None:
    ran = known.imports(table([GOOD + ",37"], COLUMNS + ",shoe_size"))
    assert "`ontrack definitions show ID`" in ran.told


@pytest.mark.parametrize("option", ["--policy", "--protocol"])
def test_an_unknown_name_does_not_hide_the_faults_of_the_file(known: Desk, option: str) -> None:
    # given a file with a fault
    before = counts(known.home)

    # when it is imported under a policy, or a protocol, that is not known
    ran = known.imports(table([GOOD, fields(total="4711")]), option, "nobodys")

    # then both are told at once
    assert refused(ran, known, before)
    assert ran.exit_code == 2
    assert ran.names(3, "total")
    assert "nobodys: the id of a " in ran.told


OPTIONS: Final = {
    "--clinic": ("clinic", "a b"),
    "--group": ("g1", "c d"),
    "--timezone": ("Europe/Copenhagen", "Mars/Utopia"),
    "--wide": ("bdi_s{session}", "bdi_s1"),
    "--dates": ("date_s{session}", "date_s1"),
    "--weekly-from": ("2026-01-05", "monday"),
    "--keys": (None, "case.keys"),
}
"""Options in the order in which the help has them: a value that is right, and one that is wrong."""


@pytest.mark.parametrize("first", list(OPTIONS))
def test_of_several_options_that_are_wrong_the_first_is_told(known: Desk, first: str) -> None:
    # given options of which those before one are right, and that one and all after it are wrong
    names = list(OPTIONS)
    given = {name: OPTIONS[name][names.index(name) >= names.index(first)] for name in reversed(names)}
    options = [word for name, value in given.items() if value is not None for word in (name, value)]

    # when a file is imported with them, in whatever order
    ran = known.imports(table([f"{CASE},2026-01-12,37"], "case,date_s1,bdi_s1"), "--instrument", "bdi-ii", *options)

    # then the first of those is told, by its name or its value
    assert ran.exit_code == 2
    assert ran.told.split()[1].rstrip(":") in (first, OPTIONS[first][1])


def test_all_unknown_names_are_told_at_once(known: Desk) -> None:
    ran = known.imports(table([GOOD]), "--policy", "nobodys", "--protocol", "noones")
    assert ran.exit_code == 2
    assert "nobodys: the id of a policy" in ran.told
    assert "noones: the id of a protocol" in ran.told


def test_nothing_is_taken_of_a_case_that_is_not_known(known: Desk) -> None:
    # given a file with a case that nobody enrolled
    before = counts(known.home)
    file = known.file(table([GOOD, fields(case="NY4412")]))

    # when it is imported without enrolling anybody
    ran = ontrack("import", file, "--data", known.home)

    # then it is refused, and what would help is told
    assert refused(ran, known, before)
    assert ran.names(3, "case")
    assert "--enrol" in ran.told


def test_nothing_is_taken_of_a_case_that_was_closed_before(known: Desk) -> None:
    # given a case that was closed after its first session
    asyncio.run(closed(known, datetime(2026, 1, 8, tzinfo=UTC)))
    before = counts(known.home)

    # when answers from after the end come
    ran = known.imports(table([GOOD]))

    # then they are refused
    assert refused(ran, known, before)
    assert ran.names(2, "answered_at")

    # and late ones from before the end are taken
    known.takes(table([row(CASE, 1, ANSWER, at="2026-01-07")]))


async def closed(desk: Desk, at: datetime) -> None:
    async with await EmbeddedHome.open(desk.home, write=True) as home:
        fact = new_fact(
            CaseClosed(reason="completed"),
            case_id=home.keyring.case_id("clinic", CASE),
            fact_id=fact_id("clinic", "test", "closed"),
            source="urn:ontrack:clinic:test",
            happened=at,
        )
        await home.intake.record([fact])
        await home.catch_up()


def test_all_faults_are_listed_at_once(known: Desk) -> None:
    # given a file with faults in most of its lines, some with several
    before = counts(known.home)

    # when it is imported
    ran = known.imports(table(line for line, _ in SEVERAL))

    # then every one of them is listed, by line
    assert refused(ran, known, before)
    told = [":".join(line.split(":")[:2]) for line in ran.told.splitlines() if line.startswith("line ")]
    expected = [
        f"line {number}: {field}"
        for number, (_, named) in enumerate(SEVERAL, 2)
        for field in (() if named is None else (named,) if named in ("the row", "total, comment") else named.split())
    ]
    assert told == expected
    assert "8 faults; nothing was taken" in ran.told


def test_what_belongs_to_no_item_is_listed_beside_the_other_faults_of_a_line(known: Desk) -> None:
    # given a row of an instrument of five items, with a total beside them that another instrument has
    before = counts(known.home)
    header = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life,total"

    # when it is imported with one item out of range and one missing
    ran = known.imports(table([f"{CASE},1,{weekly(1)},odsis,4711,,2,2,2,8"], header))

    # then all three are named
    assert refused(ran, known, before, WORDS)
    assert all(ran.names(2, field) for field in ("total", "frequency", "intensity"))


def test_faults_against_the_log_are_listed_with_the_others(known: Desk) -> None:
    # given a file with an answer out of range, and one for a session that was answered otherwise before
    before = counts(known.home)

    # when it is imported
    ran = known.imports(table([fields(total="4711"), row(CASE, 0, ANSWER)]))

    # then both are listed
    assert refused(ran, known, before)
    assert ran.names(2, "total")
    assert ran.names(3, "total, comment")


def test_what_differs_from_the_log_is_named_as_a_wide_file_calls_it(known: Desk) -> None:
    # given a case with a session that was answered, imported from a wide file
    header = "case,date_s1,bdi_s1,date_s2,bdi_s2"
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--dates", "date_s{session}")
    known.takes(table([f"{CASE},2026-01-12,37,2026-01-19,36"], header), *options)
    before = counts(known.home)

    # when the file says something else: a total of one session, a date and a total of the other
    ran = known.imports(table([f"{CASE},2026-01-12,38,2026-01-20,35"], header), *options)

    # then these columns are named, and no others
    assert refused(ran, known, before)
    assert ran.names(2, "bdi_s1")
    assert ran.names(2, "date_s2, bdi_s2")


def test_what_is_recorded_stands_and_the_way_that_there_is_is_named(known: Desk) -> None:
    # given a session that was answered before
    # when a file says something else of it
    ran = known.imports(table([row(CASE, 0, ANSWER)]))

    # then it is said where it can be corrected, since no command does
    assert "line 2: total, comment: this was recorded before with other content, which stands" in ran.told
    assert "a response is corrected over the API" in ran.told


def test_a_hundred_faults_are_listed_and_all_are_counted(known: Desk) -> None:
    # given a file with many faults
    before = counts(known.home)

    # when it is imported
    ran = known.imports(table(fields(session=str(session), total="4711") for session in range(2, 152)))

    # then the first hundred are listed
    assert refused(ran, known, before, WORDS)
    assert sum(line.startswith("line ") for line in ran.told.splitlines()) == 100
    assert "150 faults (the first 100 are listed); nothing was taken" in ran.told


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (table([GOOD, fields(total="4711")]), ()),
        (cut_short(table([GOOD])), ()),
        (table([]), ()),
        (table([GOOD]), ("--policy", "nobodys")),
        (table([GOOD]), ("--protocol", "noones")),
        (table([GOOD]), ("--policy", "gryesten-2023")),
        (table([GOOD]), ("--definitions", "nowhere")),
        (table([fields(session="15")]), ("--protocol", "group-cbt-depression-14")),
    ],
    ids=["a fault", "cut", "no rows", "a policy", "a protocol", "a policy of others", "definitions", "a session"],
)
@pytest.mark.parametrize("there", [True, False], ids=["an empty directory", "no directory yet"])
def test_what_is_refused_founds_no_home(desk: Desk, content: bytes, options: Sequence[str], *, there: bool) -> None:
    # given no home yet
    if there:
        desk.home.mkdir()

    # when a file cannot be taken
    ran = desk.imports(content, *options)

    # then the place is as it was
    assert ran.exit_code in (1, 2)
    assert desk.home.exists() == there
    assert not there or list(desk.home.iterdir()) == []


def test_an_empty_home_stays_one_when_a_file_is_refused(desk: Desk) -> None:
    # given a home without a case
    asyncio.run(founded(desk))
    before = counts(desk.home)

    # when a file with a fault comes, and then a good one
    ran = desk.imports(table([GOOD, fields(total="4711")]))

    # then the first changes nothing and the second is taken
    assert refused(ran, desk, before)
    desk.takes(table([GOOD]))


async def founded(desk: Desk) -> None:
    async with await EmbeddedHome.found(desk.home):
        pass


def test_faults_of_a_wide_file_have_their_line_and_column(known: Desk) -> None:
    # given a wide file with a total out of range, one without a date, and a row that is too long
    before = counts(known.home)
    header = "case,date_s1,bdi_s1,date_s2,bdi_s2"
    lines = [f"{CASE},2026-01-12,4711,,37", "NY4412,2026-01-12,37,2026-01-19,37,37"]
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--dates", "date_s{session}")

    # when it is imported
    ran = known.imports(table(lines, header), *options)

    # then each is listed
    assert refused(ran, known, before)
    assert ran.names(2, "bdi_s1")
    assert ran.names(2, "date_s2")
    assert ran.names(3, "the row")


def test_faults_of_the_items_of_a_wide_file_name_their_columns(known: Desk) -> None:
    # given a wide file of an instrument of several items, with one out of range and one missing
    before = counts(known.home)
    header = ",".join(["case", *(f"who_{item}_s2" for item in ("mood", "calm", "energy", "rest"))])
    options = ("--wide", "who_{item}_s{session}", "--instrument", "who-5", "--weekly-from", "2026-01-05")

    # when it is imported
    ran = known.imports(table([f"{CASE},1,2,4711,3"], header), *options)

    # then both are named as the file calls them, or would
    assert refused(ran, known, before, WORDS)
    assert ran.names(2, "who_energy_s2")
    assert ran.names(2, "who_interest_s2")


@pytest.mark.parametrize(
    "options",
    [
        ("--wide", "phq_s{session}", "--instrument", "bdi-ii", "--dates", "date_s{session}"),
        ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--dates", "day_{session}"),
        ("--wide", "bdi_s{session}", "--instrument", "madrs", "--dates", "date_s{session}"),
        ("--wide", "bdi_s{session}", "--instrument", "odsis", "--dates", "date_s{session}"),
    ],
    ids=["no such values", "no such dates", "no such instrument", "an instrument of several items"],
)
def test_a_pattern_that_finds_nothing_is_refused(known: Desk, options: Sequence[str]) -> None:
    before = counts(known.home)
    ran = known.imports(table([f"{CASE},2026-01-12,37"], "case,date_s1,bdi_s1"), *options)
    assert refused(ran, known, before)
    assert ran.told.startswith("line 1: --")


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("--wide", ("--wide", "bdi_s1", "--dates", "date_s{session}")),
        ("--wide", ("--wide", "bdi_{session}_s{session}", "--dates", "date_s{session}")),
        ("--dates", ("--wide", "bdi_s{session}", "--dates", "date_s1")),
        ("--dates", ("--wide", "bdi_s{session}", "--dates", "date_{session}_s{session}")),
    ],
    ids=["no session", "two sessions", "dates without a session", "dates with two"],
)
def test_a_pattern_has_the_session_once(known: Desk, option: str, options: Sequence[str]) -> None:
    # given a wide file
    before = counts(known.home)
    content = table([f"{CASE},2026-01-12,37"], "case,date_s1,bdi_s1")

    # when its columns are named by a pattern that has the session not at all, or twice
    ran = known.imports(content, "--instrument", "bdi-ii", *options)

    # then a sentence says what was expected
    assert refused(ran, known, before)
    assert ran.exit_code == 2
    assert ran.told.startswith(f"Error: {option} ")
    assert "a pattern with {session} once was expected" in ran.told


def test_of_what_was_withdrawn_is_told_that_it_was(tmp_path: Path) -> None:
    # given a response that was imported, and withdrawn since
    home = imported(tmp_path / "home", written(tmp_path / "first.csv", {"W": {0: 12, 1: 13}}, "odsis"))
    submitted = [event for event in events_of(home, "W") if event["event"] == "ontrack.response-submitted.v1"]
    response = next(event["id"] for event in submitted if event["data"]["session"] == 1)
    lived(home, [Step("W", ResponseWithdrawn(response=response, reason="another patient's", by="anna"), SEEN)])

    # when a file has another one for its occasion
    ran = ontrack(
        "import", written(tmp_path / "more.csv", {"W": {1: 14}}, "odsis"), "--data", home, "--timezone", "UTC"
    )

    # then it is said that it does not stand, and where it is answered anew
    assert ran.exit_code == 1
    assert "was recorded before and has been withdrawn; its occasion is answered anew over the API" in ran.told


def test_of_a_case_of_which_not_all_is_known_the_command_tells_and_nobody_else(tmp_path: Path) -> None:
    # given a case whose state in the register is damaged
    home = imported(tmp_path / "home", written(tmp_path / "first.csv", {"W": {0: 12}}, "odsis"))
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        connection.execute("UPDATE states SET body = x'00' WHERE stage = 'register'")

    # when more of it is imported
    more = written(tmp_path / "more.csv", {"W": {1: 14}}, "odsis")
    ran = run_apart("import", more, "--data", home, "--timezone", "UTC")

    # then the fault is told, and no line of a log stands where the data of a command come
    assert ran.exit_code == 1
    assert ran.names(2, "case")
    assert ran.out == b""
