"""Nothing is taken from a file with faults; all of them are listed, and none of what the patients said."""

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from contracts.events.event import fact_id
from contracts.events.facts import CaseClosed
from services.embedded import Home
from services.ingest.intake import new_fact
from tests.support.command import Ran, ontrack, run_apart, run_measured
from tests.support.contents import counts
from tests.support.desk import COLUMNS, Desk, row, table, weekly

CASE: Final = "QX7731"
COMMENT: Final = "Amalie ringede"
ANSWER: Final = 37
WORDS: Final = (CASE, "NY4412", "Amalie", "ringede", "4711", "siebzehn")
SECRETS: Final = (*WORDS, str(ANSWER))
GOOD: Final = row(CASE, 1, ANSWER, comment=COMMENT)
MEGABYTE: Final = 1_000_000


def fields(**changed: str) -> str:
    """A row that is right but for some fields."""
    right = {
        "case": CASE,
        "session": "2",
        "answered_at": weekly(2),
        "instrument": "bdi-ii",
        "total": str(ANSWER),
        "comment": COMMENT,
    }
    return ",".join((right | changed).values())


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


def cut(content: bytes) -> bytes:
    """A gzipped file that lacks its end."""
    return gzip.compress(content)[:-10]


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
    "no case": at_line_3(fields(case=""), "case"),
    "a case too long": at_line_3(fields(case=CASE * 11), "case"),
    "a comment too long": at_line_3(fields(comment=COMMENT * 200), "comment"),
    "other answers for the same occasion": at_line_3(fields(session="1", answered_at=weekly(1), total="38"), "session"),
    "another comment for the same occasion": at_line_3(row(CASE, 1, ANSWER, comment="Amalie"), "session"),
    "another time for the same occasion": at_line_3(fields(session="1"), "session"),
    "other answers than on the log": at_line_3(row(CASE, 0, ANSWER, comment=COMMENT), "session"),
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
    "NUL in a comment": at_line_3(fields(comment="Amalie\x00ringede"), "comment"),
    "Latin-1": Faulty(table([GOOD]) + fields(comment="Amalie så på æblet").encode("latin-1"), 3, "the file"),
    "UTF-16": Faulty(table([GOOD]).decode().encode("utf-16"), 1, "the file"),
    "UTF-16 without a mark": Faulty(table([GOOD]).decode().encode("utf-16-le"), 1, None),
    "gzip that lacks its end": Faulty(cut(table([GOOD])), 2, "the file"),
    "gzip that is damaged": Faulty(gzip.compress(table([GOOD]))[:-8] + bytes(8), 3, "the file"),
    "empty": Faulty(b"", 1, "the file"),
    "an empty line": Faulty(b"\n", 1, "the file"),
    "header only": Faulty(table([]), 2, "the file"),
    "no column for the session": Faulty(table([f"{CASE},{weekly(1)},37"], "case,answered_at,total"), 1, "session"),
    "an unknown column": Faulty(table([GOOD + ",37"], COLUMNS + ",shoe_size"), 1, "shoe_size"),
    "a repeated column": Faulty(table([GOOD + ",37"], COLUMNS + ",total"), 1, "total"),
    "no header": Faulty(table([fields()], GOOD), 1, None),
    "a header that is repeated as a row": at_line_3(COLUMNS, "instrument"),
    "lines that end as on old computers": Faulty(table([GOOD, fields()]).replace(b"\n", b"\r"), 1, None),
}  # fmt: skip


@pytest.fixture
def known(desk: Desk) -> Desk:
    """A desk with a home in which the case is known, with its first session."""
    desk.takes(table([row(CASE, 0, 36, comment="Amalie")]))
    return desk


def refused(ran: Ran, desk: Desk, before: dict[str, int], secrets: Sequence[str] = SECRETS) -> bool:
    """Tell whether a file was refused as it should: nothing taken, nothing told of what stood there."""
    assert ran.exit_code in (1, 2), ran.told
    assert ran.out == b""
    assert ran.gives_away(secrets) == []
    assert counts(desk.home) == before
    return True


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
    async with await Home.open(desk.home, write=True) as home:
        fact = new_fact(
            CaseClosed(reason="completed"),
            case_id=home.keyring.case_id("clinic", CASE),
            fact_id=fact_id("clinic", "test", "closed"),
            source="urn:ontrack:clinic:test",
            happened=at,
        )
        await home.intake.record([fact])
        await home.catch_up()


SEVERAL: Final = [
    (GOOD, None),
    (fields(total="4711"), "total"),
    (fields(instrument="madrs"), "instrument"),
    (row(CASE, 3, ANSWER), None),
    (fields(session="many", answered_at="soon", total="siebzehn"), "session answered_at total"),
    (fields() + ",more", "the row"),
    (row(CASE, 1, 38), "session"),
    (fields(comment=COMMENT * 200), "comment"),
]


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
        for field in (() if named is None else (named,) if named == "the row" else named.split())
    ]
    assert told == expected
    assert "8 faults; nothing was taken" in ran.told


def test_faults_against_the_log_are_listed_with_the_others(known: Desk) -> None:
    # given a file with an answer out of range, and one for a session that was answered otherwise before
    before = counts(known.home)

    # when it is imported
    ran = known.imports(table([fields(total="4711"), row(CASE, 0, ANSWER)]))

    # then both are listed
    assert refused(ran, known, before)
    assert ran.names(2, "total")
    assert ran.names(3, "session")


def test_a_hundred_faults_are_listed_and_all_are_counted(known: Desk) -> None:
    # given a file with many faults
    before = counts(known.home)

    # when it is imported
    ran = known.imports(table(fields(session=str(session), total="4711") for session in range(2, 152)))

    # then the first hundred are listed
    assert refused(ran, known, before, WORDS)
    assert sum(line.startswith("line ") for line in ran.told.splitlines()) == 100
    assert "150 faults (the first 100 are listed); nothing was taken" in ran.told


def test_faults_of_a_wide_file_have_their_line_and_field(known: Desk) -> None:
    # given a wide file with a total out of range, one without a date, and a row that is too long
    before = counts(known.home)
    header = "case,date_s1,bdi_s1,date_s2,bdi_s2"
    lines = [f"{CASE},2026-01-12,4711,,37", "NY4412,2026-01-12,37,2026-01-19,37,37"]
    options = ("--wide", "bdi_s{session}", "--instrument", "bdi-ii", "--dates", "date_s{session}")

    # when it is imported
    ran = known.imports(table(lines, header), *options)

    # then each is listed
    assert refused(ran, known, before)
    assert ran.names(2, "total")
    assert ran.names(2, "answered_at")
    assert ran.names(3, "the row")


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


def test_what_is_left_out_can_be_mended_and_imported(known: Desk) -> None:
    # given a file with faults in most of its lines, one of them against the log
    lines = [line for line, _ in SEVERAL]
    against_the_log = row(CASE, 0, ANSWER, comment='"Amalie, ""ringede"""')
    file = known.file(table([*lines, against_the_log]))

    # when it is imported without them
    ran = known.imports(file, "--skip-invalid")

    # then the others are taken, the faults are still found, and told without what stood there
    assert ran.exit_code == 1
    assert "2 responses recorded, 0 were known already, 0 of 1 cases enrolled, 7 lines left out." in ran.told
    assert ran.gives_away(SECRETS) == []
    assert {(track["session"], track["score"]) for track in known.tracks()} == {(1, 37), (2, None), (3, 37)}

    # and the lines that were left out are in a file for their owner only, as they came
    left_out = file.with_name("answers.csv.skipped.csv")
    assert left_out.stat().st_mode & 0o777 == 0o600
    faulty = [line for line, named in SEVERAL if named is not None]
    assert left_out.read_text().splitlines() == [COLUMNS, *faulty, against_the_log]

    # and when they are mended there, they are taken
    mended = [fields(), fields(session="4", answered_at=weekly(4)), row(CASE, 0, 36, comment="Amalie")]
    again = known.takes(known.file(table(mended), left_out.name))
    assert again.told == "2 responses recorded, 1 were known already, 0 of 1 cases enrolled.\n"


def test_a_file_that_cannot_be_read_to_its_end_is_not_taken_in_part(known: Desk) -> None:
    # given a gzipped file that lacks its end, and one that changes its encoding on the way
    before = counts(known.home)
    for content in (cut(table([GOOD, fields(total="4711")])), table([GOOD]) + "æ".encode("latin-1")):
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


def a_line_without_end(size: int) -> Iterator[bytes]:
    yield table([GOOD])
    yield f"{CASE},2,{weekly(2)},bdi-ii,37,".encode()
    for _ in range(size // MEGABYTE):
        yield b"x" * MEGABYTE


def a_row_without_end(size: int) -> Iterator[bytes]:
    """Each line closes a quote and opens another, so that the row goes on."""
    yield table([GOOD])
    yield f'{CASE},2,{weekly(2)},bdi-ii,37,"Amalie\n'.encode()
    for _ in range(size // MEGABYTE):
        yield b'ringede","\n' * (MEGABYTE // 11)


def written(file: Path, parts: Iterator[bytes]) -> Path:
    zipped = file.suffix == ".gz"
    with gzip.open(file, "wb", compresslevel=1) if zipped else file.open("wb") as stream:
        for part in parts:
            stream.write(part)
    return file


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a line of 100 MB", a_line_without_end(100 * MEGABYTE)),
        ("a line of 100 MB.gz", a_line_without_end(100 * MEGABYTE)),
        ("a row of 50 MB in short lines", a_row_without_end(50 * MEGABYTE)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_does_not_fill_the_memory(known: Desk, name: str, parts: Iterator[bytes]) -> None:
    # given how much memory an import needs, and a file with a line that is as long as many files
    before = counts(known.home)
    usual, needed = run_measured(
        "import", known.file(table([row(CASE, 0, 36, comment="Amalie")])), "--data", known.home
    )
    assert usual.exit_code == 0
    file = written(known.place / name, parts)

    # when it is imported
    ran, memory = run_measured("import", file, "--data", known.home)
    file.unlink()

    # then it is refused at that line, in little more memory
    assert refused(ran, known, before)
    assert any(line.startswith("line 3: ") for line in ran.told.splitlines())
    assert memory < needed + 32 * MEGABYTE
