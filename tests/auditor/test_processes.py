"""An audit that several processes share: it tells what it tells if one does it all, and ends as one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.topics import SCORES, TRACKS, partition_of
from services.auditor.rebuilding import Overtaken
from services.auditor.replay import Contradicted
from services.cli.home import FINDING, Failure
from services.cli.interruption import INTERRUPTED
from services.cli.processes import Part, Progress, shared
from tests.auditor.tampering import Tampering, renamed
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.region import wait_until

STEPS: Final = 7


def told(*arguments: str | Path, processes: int) -> tuple[int, object, list[str]]:
    """What an audit told as data, and in words, but for how fast it was."""
    ran = ontrack("audit", *arguments, "--processes", str(processes), "--format", "json")
    return ran.exit_code, orjson.loads(ran.out), [line for line in ran.told.splitlines() if "a second" not in line]


def altered(tampering: Tampering) -> None:
    """Change what was concluded of every case, and what is known of it."""
    for number, case_id in enumerate(sorted(tampering.keys)):
        topic = (SCORES, TRACKS)[number % 2]
        tampering.put(topic, case_id, 1, renamed(tampering.record(topic, case_id, 1), type="dk.ontrack.other.v1"))
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'notifier'")
    assert len(set(map(partition_of, tampering.keys))) > 1


def test_several_processes_tell_what_one_tells_of_a_history_that_is_right(sound: Path, tmp_path: Path) -> None:
    bundle, keys = tmp_path / "bundle", tmp_path / "keys"
    succeeded("audit", "export", "--data", sound, "--output", bundle, "--keys", keys)
    for what in (
        ("verify", "--data", sound),
        ("verify", "--data", sound, "--case", "P1"),
        ("verify", "--bundle", bundle),
        ("verify", "--bundle", bundle, "--keys", keys),
        ("replay", "--data", sound),
        ("replay", "--data", sound, "--until", "2026-01-20"),
        ("replay", "--bundle", bundle, "--keys", keys),
    ):
        assert told(*what, processes=3) == told(*what, processes=1)


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


async def _counts(steps: int, progress: Progress) -> int:
    for _ in range(steps):
        progress(1)
    return steps


async def _raises(error: Exception, _: Progress) -> int:
    raise error


async def _is_killed(_: Progress) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


async def _never_ends(_: Progress) -> int:
    await asyncio.Event().wait()
    raise AssertionError


async def goes_on(progress: Progress) -> int:
    """Tell of steps, for ever."""
    while True:
        progress(1)


def done(parts: Sequence[Part[int]], progress: Progress = lambda _: None) -> list[int]:
    """Have work done by several processes, of which none is left."""
    try:
        return asyncio.run(shared(parts, progress))
    finally:
        assert not active_children()


def test_what_came_of_each_part_stands_in_the_order_of_the_parts_and_every_step_is_told() -> None:
    seen: list[int] = []
    assert done([partial(_counts, STEPS), partial(_counts, 0), partial(_counts, 1)], seen.append) == [STEPS, 0, 1]
    assert sum(seen) == STEPS + 1


@pytest.mark.parametrize(
    "error",
    [Failure("no such place", FINDING), Overtaken(), Contradicted(Counter({"altered": 3})), OSError(28, "full")],
)
def test_what_one_process_raises_ends_all_of_them(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        done([_never_ends, partial(_raises, error)])
    assert str(raised.value) == str(error)
    if isinstance(error, Failure):
        assert getattr(raised.value, "exit_code", None) == error.exit_code


def test_a_process_that_is_killed_is_told_with_the_reason() -> None:
    with pytest.raises(Failure, match="a process that shared the work was ended by signal 9; where memory is short"):
        done([_never_ends, _is_killed])


def test_whoever_asks_for_an_end_ends_all_of_them() -> None:
    def asked(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done([_never_ends, _never_ends], asked)


def test_an_audit_that_is_interrupted_leaves_no_process_and_no_file(sound: Path, tmp_path: Path) -> None:
    # given an audit that several processes share, in a session of its own
    place = tmp_path / "work"
    place.mkdir()
    process = subprocess.Popen(
        [ONTRACK, "audit", "verify", "--data", sound, "--processes", "3"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(place)},
        start_new_session=True,
    )
    wait_until(lambda: any(place.iterdir()) or process.poll() is not None, "the audit has begun")

    # when somebody presses Ctrl-C, which reaches all of them
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)

    # then it says so, and nothing is left of it
    assert process.returncode == INTERRUPTED, said
    assert said.decode() == "Error: interrupted. Nothing is lost: give the same command again.\n"
    wait_until(lambda: not _is_there(process.pid), "the processes are gone")
    assert not any(place.iterdir())


SHARED: Final = """
import asyncio
from services.cli.processes import shared
from tests.auditor.test_processes import goes_on
asyncio.run(shared([goes_on], lambda steps: print(steps, flush=True)))
"""


def test_where_the_one_that_was_called_is_killed_the_others_end() -> None:
    # given a process that has begun another one, which works
    process = subprocess.Popen([sys.executable, "-c", SHARED], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) >= 0

    # when the first one is killed
    process.kill()
    process.communicate(timeout=PATIENCE)

    # then none is left
    wait_until(lambda: not _is_there(process.pid), "the other one is gone")


def _is_there(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False
