"""An audit that several processes share: it tells what it tells if one does it all, and ends as one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.topics import CASES, NOTICES, PARTITIONS, SCORES, TRACKS, partition_of
from services.auditor.domain.narrowing import Part
from services.auditor.fresh import Overtaken
from services.auditor.rebuilding import Begun, made
from services.auditor.replay import Contradicted
from services.cli.audit.sharing import Reading, made_anew
from services.cli.home import FINDING, Failure
from services.cli.interruption import INTERRUPTED
from services.cli.processes import Progress, Work, shared
from services.cli.shelf import shelf
from services.cli.source import history_of
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from services.runtime.store.port import StatesLost
from tests.auditor.tampering import Tampering, renamed
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.region import wait_until

STEPS: Final = 7
WITHIN: Final = 60.0
"""Seconds within which work that fails has ended, on the slowest machine."""


def told(*arguments: str | Path, processes: int) -> tuple[int, object, list[str]]:
    """What an audit told as data, and in words, but for how fast it was."""
    ran = ontrack("audit", *arguments, "--processes", str(processes), "--format", "json")
    return ran.exit_code, orjson.loads(ran.out), [line for line in ran.told.splitlines() if "a second" not in line]


def altered(tampering: Tampering) -> None:
    """Change what was concluded of every case, and what is known of it, and put a fact where it does not belong."""
    for number, case_id in enumerate(sorted(tampering.keys)):
        topic = (SCORES, TRACKS)[number % 2]
        tampering.put(topic, case_id, 1, renamed(tampering.record(topic, case_id, 1), type="dk.ontrack.other.v1"))
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'notifier'")
    assert len(set(map(partition_of, tampering.keys))) > 1
    elsewhere(tampering, min(tampering.keys))


def elsewhere(tampering: Tampering, case_id: str) -> None:
    """Repeat a fact of a case in the partition of another one."""
    others = sorted({partition_of(each) for each in tampering.keys} - {partition_of(case_id)})
    table, fact = table_of(CASES, others[0]), tampering.record(CASES, case_id, 1)
    tampering.do(f"INSERT INTO {table} SELECT count(*), ?, ? FROM {table}", case_id, fact)  # noqa: S608 - ours


def test_several_processes_tell_what_one_tells_of_a_history_that_is_right(
    sound: Path, mailing: Path, tmp_path: Path
) -> None:
    bundle, keys = tmp_path / "bundle", tmp_path / "keys"
    succeeded("audit", "export", "--data", sound, "--output", bundle, "--keys", keys)
    for what in (
        ("verify", "--data", sound),
        ("verify", "--data", sound, "--case", "P1"),
        ("verify", "--data", sound, "--until", "2026-01-20"),
        ("verify", "--data", mailing),
        ("verify", "--bundle", bundle),
        ("verify", "--bundle", bundle, "--keys", keys),
        ("replay", "--data", sound),
        ("replay", "--data", sound, "--case", "P1"),
        ("replay", "--data", sound, "--until", "2026-01-20"),
        ("replay", "--data", mailing),
        ("replay", "--bundle", bundle),
        ("replay", "--bundle", bundle, "--keys", keys),
    ):
        assert told(*what, processes=2) == told(*what, processes=1), what


async def test_where_an_earlier_try_has_done_all_it_is_told_of_each_topic_that_nothing_was_read(sound: Path) -> None:
    async with await EmbeddedHome.open(sound) as home:
        history = await history_of(sound, home)
        reading = Reading.of(sound, home, history, Part())

        # given what an earlier try has made of every partition
        begun = Begun("prepare", "whoever goes on", [], there=PARTITIONS, goes_on=True)

        # when several processes go on with it, then they say what one says
        found = await made_anew(reading, begun, 2, lambda _: None)
        async with shelf() as empty:
            assert found == await made(history, home.store, empty, lambda _: None, begun)
        assert found.counted.keys() == {CASES.name, SCORES.name, TRACKS.name, NOTICES.name}


@pytest.mark.parametrize("processes", [2, 12])
def test_several_processes_find_what_one_finds_in_the_same_order(tampering: Tampering, processes: int) -> None:
    # given a home in which something is wrong in every partition
    altered(tampering)

    # when it is audited, then nothing shows by how many
    for what in ("verify", "replay"):
        alone = told(what, "--data", tampering.home, processes=1)
        assert alone[0] == FINDING
        assert told(what, "--data", tampering.home, processes=processes) == alone


def test_a_file_is_written_by_one_process(sound: Path, tmp_path: Path) -> None:
    for options in (("--swap",), ("--into", tmp_path / "file")):
        ran = ontrack("audit", "replay", "--data", sound, "--processes", "2", *options)
        assert ran.exit_code == 2
        assert "--processes: a file has one writer" in ran.told


async def counts(steps: int, progress: Progress) -> int:
    for _ in range(steps):
        progress(1)
    return steps


async def raises(error: Exception, _: Progress) -> int:
    raise error


async def is_killed(_: Progress) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


async def is_killed_in_the_middle_of_a_word(progress: Progress) -> int:
    line = getattr(progress, "__self__", None)
    assert isinstance(line, Connection)
    os.write(line.fileno(), (1_000).to_bytes(4, "big") + b"begun")
    return await is_killed(progress)


async def halts(_: Progress) -> int:
    os.kill(os.getpid(), signal.SIGSTOP)
    raise AssertionError


async def never_ends(progress: Progress) -> int:
    """Tell of one step, and of none since."""
    progress(1)
    await asyncio.Event().wait()
    raise AssertionError


def done(parts: Sequence[Work[int]], progress: Progress = lambda _: None) -> list[int]:
    """Have work done by several processes, of which none is left."""

    async def in_time() -> list[int]:
        async with asyncio.timeout(WITHIN):
            return await shared(parts, progress)

    try:
        return asyncio.run(in_time())
    finally:
        assert not active_children()


def test_what_came_of_each_part_stands_in_the_order_of_the_parts_and_every_step_is_told() -> None:
    seen: list[int] = []
    assert done([partial(counts, STEPS), partial(counts, 0), partial(counts, 1)], seen.append) == [STEPS, 0, 1]
    assert sum(seen) == STEPS + 1


class Its(Exception):
    """An error that is not made of what it says."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


RAISED: Final = (
    Failure("nowhere", FINDING),
    Overtaken(),
    StatesLost("register"),
    Contradicted(Counter({"altered": 3})),
    OSError(28, "full"),
)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_one_process_raises_ends_all_of_them(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        done([never_ends, partial(raises, error)])
    assert str(raised.value) == str(error)
    if isinstance(error, Failure):
        assert getattr(raised.value, "exit_code", None) == error.exit_code


async def raises_its_own(_: Progress) -> int:
    raise Its("a fault", "a place")


def test_of_an_error_that_cannot_be_told_as_it_was_it_is_told_where_it_was_raised() -> None:
    with pytest.raises(RuntimeError, match="Its in raises_its_own, line"):
        done([raises_its_own])


@pytest.mark.parametrize("dies", [is_killed, is_killed_in_the_middle_of_a_word])
def test_a_process_that_is_killed_is_told_with_the_reason(dies: Work[int]) -> None:
    with pytest.raises(Failure, match="a process that shared the work was ended by signal 9; where memory is short"):
        done([never_ends, dies])


def test_one_that_was_halted_keeps_nobody_from_ending() -> None:
    with pytest.raises(Overtaken):
        done([halts, partial(raises, Overtaken())])


def test_whoever_asks_for_an_end_ends_all_of_them() -> None:
    def asked(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done([never_ends, never_ends], asked)


@contextmanager
def in_a_session(*command: str | Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, of which nothing is left in the end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


def is_there(session: int) -> bool:
    """Tell whether a process of a session is left."""
    with suppress(ProcessLookupError):
        os.killpg(session, 0)
        return True
    return False


def interrupted(place: Path, home: Path) -> tuple[int, str]:
    """Press Ctrl-C, which reaches all of them, when the processes of an audit have begun; give what it said."""
    command = (ONTRACK, "audit", "verify", "--data", home, "--processes", "3")
    with in_a_session(*command, TMPDIR=str(place)) as process:
        wait_until(lambda: any(place.glob("*/states-*/shelf.db")) or process.poll() is not None, "it has begun")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        wait_until(lambda: not is_there(process.pid), "the processes are gone")
        return process.returncode, said.decode()


def test_an_audit_that_is_interrupted_leaves_no_process_and_no_file(sound: Path, tmp_path: Path) -> None:
    # given an audit that several processes share, in a place of its own
    place = tmp_path / "work"
    place.mkdir()

    # when it is interrupted; on a slow machine it may be done before
    code, said = next(ran for _ in range(10) if (ran := interrupted(place, sound))[0] != 0)

    # then it says so, and nothing is left of it
    assert (code, said) == (INTERRUPTED, "Error: interrupted. Nothing is lost: give the same command again.\n")
    assert not any(place.iterdir())


SHARED: Final = """
import asyncio
from services.cli.processes import shared
from tests.auditor.test_processes import never_ends
asyncio.run(shared([never_ends], lambda steps: print(steps, flush=True) if steps else None))
"""


def test_where_the_one_that_was_called_is_killed_the_others_end() -> None:
    # given a process that has begun another one, which works, and has nothing more to say
    with in_a_session(sys.executable, "-c", SHARED) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"

        # when the first one is killed, then none is left
        process.kill()
        process.wait(timeout=PATIENCE)
        wait_until(lambda: not is_there(process.pid), "the other one is gone")
