"""The cohort as a file: the long CSV that OnTrack imports."""

import csv
import io
from collections.abc import Mapping

from contracts.definitions.instrument import Instrument
from services.simulation.cohort import INSTRUMENTS, draw
from services.simulation.table import columns, rows, write_csv


def written(instruments: Mapping[str, Instrument], seed: int) -> str:
    stream = io.StringIO(newline="")
    write_csv(draw(instruments, seed=seed), instruments, stream)
    return stream.getvalue()


def test_the_same_seed_writes_the_same_bytes(instruments: Mapping[str, Instrument]) -> None:
    # given a file of a cohort
    first = written(instruments, seed=7)

    # when it is written again, and once with another seed
    # then the bytes are the same, and others
    assert written(instruments, seed=7).encode() == first.encode()
    assert written(instruments, seed=8) != first


def test_lines_end_alike_everywhere(instruments: Mapping[str, Instrument]) -> None:
    # given a file of a cohort
    # when its lines are looked at
    text = written(instruments, seed=7)

    # then they end with a line feed alone
    assert text.endswith("\n")
    assert "\r" not in text


def test_a_column_for_each_item_of_what_is_asked(instruments: Mapping[str, Instrument]) -> None:
    # given the instruments that ship, of which the clinic asks some
    # when the columns are named
    names = columns(instruments)

    # then they are those of a response, and each item of what is asked, once
    items = [item.id for name in INSTRUMENTS for item in instruments[name].items]
    assert names == ["case", "session", "answered_at", "instrument", *dict.fromkeys(items), "comment"]


def test_instruments_with_an_item_of_the_same_id_share_its_column(instruments: Mapping[str, Instrument]) -> None:
    # given homework whose item is called like one of the ODSIS
    shared = instruments["odsis"].items[0].id
    item = instruments["homework"].items[0].model_copy(update={"id": shared})
    homework = instruments["homework"].model_copy(update={"items": (item,)})

    # when the columns of both are named
    names = columns({"odsis": instruments["odsis"], "homework": homework})

    # then that item has one column
    assert names.count(shared) == 1


def test_a_row_says_what_a_response_says(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort and its file
    cases = list(draw(instruments, seed=7))
    read = list(csv.DictReader(io.StringIO(written(instruments, seed=7))))

    # when both are put side by side
    responses = [(case, response) for case in cases for response in case.responses]
    assert len(read) == len(responses)

    # then each row holds its response, and nothing in the columns of other instruments
    for row, (case, response) in zip(read, responses, strict=True):
        expected = {
            "case": case.number,
            "session": str(response.session),
            "answered_at": response.answered_at.isoformat().replace("+00:00", "Z"),
            "instrument": response.instrument,
            **{item: str(value) for item, value in response.answers.items()},
        }
        assert {name: value for name, value in row.items() if value} == {
            **expected,
            **({"comment": response.comment} if response.comment else {}),
        }


def test_rows_are_made_one_by_one(instruments: Mapping[str, Instrument]) -> None:
    # given a cohort larger than any memory
    endless = rows(draw(instruments, seed=7, groups=10**12))

    # when its first row is asked for
    first = next(endless)

    # then it is there
    assert first["case"] == "P0001"
