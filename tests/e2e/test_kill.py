"""A process that is killed at any moment, as often as one likes, changes nothing but the time that it takes."""

import asyncio
import csv
import io
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

import pytest

from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.topics import CASES, DEFINITIONS
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.simulation.cohort import draw
from services.simulation.table import columns, rows
from tests.support.command import ended, ontrack, started, succeeded
from tests.support.contents import Contents, begun_under, contents, counts, progress, raw_histories, same, sealed_states
from tests.support.dying import Death, deaths
from tests.support.opened import DERIVED

LATE: Final = 0.1
"""The part of the answers that come two or three weeks late, and so change what was decided before."""
BY_THE_CLOCK: Final = 0.25
"""The part of the kills whose moment the clock says; that of the others depends on how far the log has come."""

_POLL: Final = 0.002


def cohort(groups: int, seed: int = 1) -> bytes:
    """Draw a cohort as a file: session by session, so that the rows of a case lie apart, and some of them late."""
    random = Random(f"cohort {seed}")
    instruments = {entry.model.id: entry.model for entry in library() if isinstance(entry.model, Instrument)}
    drawn = sorted(rows(draw(instruments, seed=seed, groups=groups)), key=lambda row: int(row["session"]))
    for row in drawn:
        if random.random() < LATE:
            late = datetime.fromisoformat(row["answered_at"]) + timedelta(days=random.randint(14, 21))
            row["answered_at"] = late.isoformat()
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns(instruments), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(drawn)
    return stream.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """An import that nobody disturbed. seconds: it took; key: the master key under which its cases have their ids."""

    file: Path
    directory: Path
    key: bytes
    seconds: float
    held: Contents
    records: int

    def is_whole_in(self, directory: Path) -> bool:
        """Tell whether another home has every fact, and every stage has dealt with all of them."""
        there, here = counts(directory), counts(self.directory)
        return there[CASES.name] == here[CASES.name] and all(there[topic.name] >= here[topic.name] for topic in DERIVED)


@cache
def an_undisturbed_import(places: Path, groups: int) -> Undisturbed:
    place = places / f"undisturbed-{groups}"
    place.mkdir()
    file, directory = place / "cohort.csv", place / "home"
    file.write_bytes(cohort(groups))
    began = monotonic()
    assert ended(started("import", file, "--enrol", "--data", directory), "the undisturbed import") == 0
    seconds = monotonic() - began
    key = (directory / MASTER_KEY).read_bytes()
    return Undisturbed(file, directory, key, seconds, contents(directory), progress(directory))


@pytest.fixture
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """An undisturbed import of so many groups: 7 have more than 3,000 responses, 12 more than 5,000."""
    return an_undisturbed_import(tmp_path_factory.getbasetemp(), request.param)


@dataclass(slots=True)
class Kills:
    """What the kills hit. unfinished: homes that were left in the middle; on_the_way: after they had moved on."""

    number: int = 0
    unfinished: int = 0
    on_the_way: int = 0
    repeats: list[int] = field(default_factory=list)


def killed_in_time(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a process after some seconds; tell whether it was still there."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return killed(process)


def killed_on_its_way(process: subprocess.Popen[bytes], directory: Path, records: int, then: float) -> bool:
    """Kill a process some seconds after the log has grown to so many records."""
    while process.poll() is None and progress(directory) < records:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL)
    return killed_in_time(process, then)


def killed(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process as a power cut would; tell whether it was still there."""
    process.kill()
    return ended(process, "a process that was killed") == -signal.SIGKILL


def killed_somewhere(directory: Path, undisturbed: Undisturbed, random: Random) -> bool:
    """Start the import, and kill it at a moment that is drawn: by the clock, or by how far the log has come."""
    process = started("import", undisturbed.file, "--enrol", "--data", directory)
    if random.random() < BY_THE_CLOCK:
        return killed_in_time(process, random.uniform(0, undisturbed.seconds))
    held = progress(directory)
    to_come = max(1, min(undisturbed.records // 6, undisturbed.records - held))
    return killed_on_its_way(process, directory, held + random.randint(1, to_come), random.uniform(0, 0.02))


def killed_again_and_again(
    directory: Path, undisturbed: Undisturbed, random: Random, number: int, kills: Kills
) -> None:
    """Kill an import and start it again, so often or until it is done."""
    for _ in range(number):
        before = progress(directory)
        if not killed_somewhere(directory, undisturbed, random):
            return
        kills.number += 1
        if not undisturbed.is_whole_in(directory):
            kills.unfinished += 1
            kills.on_the_way += progress(directory) > before


@pytest.mark.parametrize(
    ("undisturbed", "number", "seed"),
    [
        pytest.param(7, 20, 1, id="20 kills"),
        pytest.param(7, 200, 2, id="200 kills", marks=pytest.mark.torture),
        pytest.param(12, 200, 3, id="200 kills of a longer import", marks=pytest.mark.torture),
    ],
    indirect=["undisturbed"],
)
def test_an_import_that_is_killed_and_started_again_gives_what_an_undisturbed_one_gives(
    undisturbed: Undisturbed, tmp_path: Path, number: int, seed: int
) -> None:
    # given a file, and what an undisturbed import of it gives under the same master key
    random, kills = Random(seed), Kills()

    # when its import is killed, started again, killed again, and at last left to finish
    while kills.number < number:
        directory = begun_under(tmp_path / f"killed-{kills.number}", undisturbed.key)
        often = min(random.randint(4, 10), number - kills.number)
        killed_again_and_again(directory, undisturbed, random, often, kills)
        finishing = started("import", undisturbed.file, "--enrol", "--data", directory)
        assert ended(finishing, "the import that was left to finish") == 0

        # then everything is the same: every event in its place, every state, every report
        finished = contents(directory)
        assert same(finished, undisturbed.held)
        kills.repeats.append(finished.repeats)
        if kills.number < number:
            shutil.rmtree(directory)

    # and a replay of its own facts gives its events and states to the byte
    assert_replays_to_the_byte(directory, tmp_path)

    # and the kills really hit the middle
    print(
        f"{kills.unfinished} of {kills.number} kills left the home unfinished, {kills.on_the_way} on the way; {kills}"
    )
    assert kills.unfinished >= number / 2
    assert kills.on_the_way >= number / 4


def assert_replays_to_the_byte(directory: Path, place: Path) -> None:
    exported, keys, replayed = place / "exported", place / "keys", place / "replayed"
    succeeded("export", "--data", directory, "--output", exported, "--keys", keys)
    ran = succeeded("import", exported, "--keys", keys, "--data", replayed)
    told = ran.told.splitlines()
    assert [line for line in told if "derived" in line] == [line for line in told if line.endswith(", all equal")]
    assert len(told) == 1 + len(DERIVED)
    for topic in (CASES, *DERIVED):
        assert raw_histories(replayed, topic) == raw_histories(directory, topic), topic.name
    assert sealed_states(replayed) == sealed_states(directory)


@pytest.mark.parametrize("undisturbed", [7], indirect=True)
def test_what_an_unfinished_home_holds_can_be_looked_at(undisturbed: Undisturbed, tmp_path: Path) -> None:
    # given an import that was killed half-way
    directory = tmp_path / "home"
    process = started("import", undisturbed.file, "--enrol", "--data", directory)
    assert killed_on_its_way(process, directory, undisturbed.records // 2, 0)

    # when somebody looks at what is there
    # then it can be read, and a report on it needs nothing to be mended first
    succeeded("tracks", "--data", directory)
    succeeded("export", "--data", directory, "--output", tmp_path / "exported")


@cache
def small_file() -> bytes:
    """A few cases that lie in several partitions, with a case that is not on track among them."""
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life,comment\n"
    answers = {"A1": (2, 4, 4, 3), "A2": (3, 3, 3, 3), "A3": (4, 3, 2, 1)}
    lines = [
        f"{case},{session},2026-01-{5 + session:02d},odsis,{','.join(5 * [str(value)])},{case} at {session}\n"
        for case, values in answers.items()
        for session, value in enumerate(values)
    ]
    return (head + "".join(lines)).encode()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    place = tmp_path_factory.mktemp("small")
    file, directory = place / "small.csv", place / "home"
    file.write_bytes(small_file())
    succeeded("import", file, "--enrol", "--data", directory)
    key = (directory / MASTER_KEY).read_bytes()
    return Undisturbed(file, directory, key, 0, contents(directory), progress(directory))


def of_all(step: int, last: int = 1_000) -> Sequence[int]:
    return range(1, last, step)


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(of_all(9), id="every ninth"),
        pytest.param(of_all(1), id="every one", marks=pytest.mark.torture),
    ],
)
def test_an_import_can_be_killed_at_each_moment_of_its_work(
    small: Undisturbed, tmp_path: Path, moments: Sequence[int]
) -> None:
    # given empty homes under the same master key
    for moment in moments:
        begun_under(tmp_path / str(moment), small.key)

    # when an import is killed right before the n-th thing that it does there
    met = list(deaths(moments, "import", small.file, "--enrol", "--data", tmp_path / "{n}"))
    for death in met:
        directory = tmp_path / str(death.moment)

        # then nobody is on its log of whom it does not know who that is
        if (directory / DATABASE).exists() and counts(directory)[CASES.name]:
            assert set(raw_histories(directory, CASES)) <= set(asyncio.run(names(directory))), death

        # and when the import is started again, everything is the same
        succeeded("import", small.file, "--enrol", "--data", directory)
        assert same(contents(directory), small.held), death
    assert len(met) > 150 / (moments[1] - moments[0])


async def names(directory: Path) -> Mapping[str, str]:
    """Give who the cases of a home are."""
    async with await EmbeddedHome.open(directory) as home:
        return await home.names()


def first_start(directory: Path, small: Undisturbed) -> tuple[str | Path, ...]:
    """The first start of a home: it is founded, and takes a file."""
    return "import", small.file, "--enrol", "--data", directory


FOUNDING: Final = 60
"""So many moments has the founding of a home, and some more."""


def touching_files(met: Sequence[Death]) -> list[Death]:
    """Choose the deaths right before or right after something was done to a file other than the database."""
    touching = [death.moment for death in met if death.before.startswith(("os.", "open "))]
    return [death for death in met if death.moment in touching or death.moment - 1 in touching]


@pytest.mark.parametrize(
    "every", [pytest.param(5, id="every fifth"), pytest.param(1, id="every one", marks=pytest.mark.torture)]
)
def test_a_first_start_that_is_killed_at_any_moment_is_finished_by_the_next(
    small: Undisturbed, tmp_path: Path, every: int
) -> None:
    # given a first start for each thing that it does to its directory, killed right before it
    met = list(deaths(of_all(1, FOUNDING), *first_start(tmp_path / "{n}", small)))
    assert len(met) > 30
    expected = succeeded("tracks", "--data", small.directory, "--format", "csv").out
    touching = touching_files(met)
    for death in [death for death in met if death.moment % every == 0 or death in touching]:
        directory = tmp_path / str(death.moment)

        # when somebody looks at what is there
        looked = ontrack("tracks", "--data", directory)

        # then it is told what is there, or why nothing is
        assert looked.exit_code in (0, 2), death
        assert looked.said.strip(), death

        # and when the command is started again
        succeeded("import", small.file, "--enrol", "--data", directory)

        # then the home is whole: founded once, with its definitions once, and its key for its owner only
        assert succeeded("tracks", "--data", directory, "--format", "csv").out == expected, death
        founded = succeeded("export", "--data", directory, "--topic", DEFINITIONS.name).out
        assert founded.count(b'"ontrack.log-founded.v1"') == 1, death
        assert founded.count(b"\n") == counts(small.directory)[DEFINITIONS.name], death
        assert (directory / MASTER_KEY).stat().st_mode & 0o777 == 0o600, death


def test_a_first_start_that_was_killed_leaves_no_copy_of_the_master_key(small: Undisturbed, tmp_path: Path) -> None:
    met = list(deaths(of_all(1, FOUNDING), *first_start(tmp_path / "{n}", small)))
    for death in touching_files(met):
        # given a first start that was killed while it made its files
        directory = tmp_path / str(death.moment)

        # when it is started again
        succeeded("import", small.file, "--enrol", "--data", directory)

        # then nobody finds a key beside the one file that is looked after
        assert {file.name for file in directory.iterdir()} == {MASTER_KEY, DATABASE, "ontrack.lock"}, death


def test_a_first_start_can_be_repeated_by_a_process_of_the_same_number(small: Undisturbed, tmp_path: Path) -> None:
    met = list(deaths(of_all(1, FOUNDING), *first_start(tmp_path / "{n}", small)))
    for death in touching_files(met):
        # given a first start that was killed while it made its files, in a container, where every process is number 1
        directory = tmp_path / str(death.moment)
        for file in directory.glob("*.*") if directory.exists() else ():
            if file.suffix.removeprefix(".").isdecimal():
                file.rename(file.with_suffix(f".{os.getpid()}"))

        # when the process that is started next has the same number
        # then the home is founded
        succeeded("import", small.file, "--enrol", "--data", directory)


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(of_all(13), id="every thirteenth"),
        pytest.param(of_all(1), id="every one", marks=pytest.mark.torture),
    ],
)
def test_an_import_of_a_log_that_was_killed_starts_again_in_an_empty_directory(
    small: Undisturbed, tmp_path: Path, moments: Sequence[int]
) -> None:
    # given an exported log
    exported, keys = tmp_path / "exported", tmp_path / "keys"
    succeeded("export", "--data", small.directory, "--output", exported, "--keys", keys)

    # when its import is killed at a moment of its work and started again in the same directory
    met = list(deaths(moments, "import", exported, "--keys", keys, "--data", tmp_path / "{n}"))
    assert len(met) > 100 / (moments[1] - moments[0])
    for death in met:
        directory = tmp_path / str(death.moment)
        begun = (directory / DATABASE).exists()
        again = ontrack("import", exported, "--keys", keys, "--data", directory)

        # then a sentence says that it needs an empty one, unless this one still is
        assert again.exit_code == (2 if begun else 0), death
        assert ("an exported log goes into an empty home" in again.told) == begun, death

    # and in an empty one it works
    succeeded("import", exported, "--keys", keys, "--data", tmp_path / "fresh")
    assert contents(tmp_path / "fresh").histories == small.held.histories
