"""How far a command has come, on a terminal."""

import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from itertools import count
from select import select

import pytest

from services.cli import output
from services.cli.output import progress


@contextmanager
def terminal() -> Iterator[int]:
    """Have a terminal in place of the standard error; give the end at which a person sits."""
    person, program = pty.openpty()
    with os.fdopen(program, "w", encoding="utf-8") as written, redirect_stderr(written):
        yield person
    os.close(person)


@pytest.mark.parametrize(("total", "shown"), [(40, "30/40"), (None, "30")])
def test_work_that_takes_longer_than_a_second_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, total: int | None, shown: str
) -> None:
    # given work of which every step takes a second
    monkeypatch.setattr(output, "monotonic", count().__next__)

    with terminal() as person:
        # when some of it is done
        with progress("Working", total) as advance:
            for _ in range(3):
                advance(10)

        # then it stands on the terminal
        told = ""
        expected = ["Working", shown, "4/s", *(["0:00:02 left"] if total else [])]
        while not all(each in told for each in expected):
            assert select([person], [], [], 5)[0], f"{expected} is shown within 5 s, after {told!r}"
            told += os.read(person, 65_536).decode()
