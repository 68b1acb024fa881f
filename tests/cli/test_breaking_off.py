"""A command that breaks off says why, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Final

import pytest

from services.cli.home import Failure, run

FOR_LONG: Final = 30.0


async def numbers() -> AsyncIterator[int]:
    for number in range(10):
        yield number


async def read_through(depth: int) -> AsyncIterator[int]:
    """Give the numbers, handed on by so many that read each other."""
    async for number in read_through(depth - 1) if depth else numbers():
        yield number


@pytest.mark.parametrize("depth", range(4))
def test_a_command_that_breaks_off_in_the_middle_of_what_it_reads_leaves_nothing_behind(
    depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    # given a command that reads something through several others
    async def work() -> None:
        async for number in read_through(depth):
            if number == 5:
                raise Failure("a number below 5 was expected")

    # when it breaks off, then that is told
    with pytest.raises(Failure, match="below 5"):
        run(work())

    # and nothing is said of a task that was left
    assert caplog.messages == []


def test_a_command_does_not_wait_for_what_goes_on_beginning_something_anew() -> None:
    # given a command that leaves behind what tries again and again, as a client does that has lost its servers
    began, latest = monotonic(), set[asyncio.Task[None]]()

    async def try_again() -> None:
        nonlocal latest
        await asyncio.sleep(0)
        if monotonic() - began < FOR_LONG:
            latest = {asyncio.create_task(try_again())}

    # when it has done its work, then it ends, though that has not
    run(try_again())
    assert latest
    assert monotonic() - began < FOR_LONG
