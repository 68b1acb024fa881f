"""A log is sealed by itself: after so many records, or so much time; and every checkpoint is where it is fetched."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES, SCORES, SEALS, Topic
from services.auditor.checkpoint import WHOLE_EVERY, Checkpoint, last_signed, notes, signed
from services.auditor.note import NoteInvalid, Signer
from services.auditor.sealing import CheckpointUnusable, KeyUnusable, Rhythm, Sealer, file_name, require_kept, signer_in
from services.embedded import DATABASE, EmbeddedHome
from services.runtime.database import table_of
from services.runtime.health import Health
from services.runtime.log.port import Log, Record, StoredRecord
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import imported, written
from tests.support.command import PATIENCE, ontrack, succeeded
from tests.support.faults import Trouble, TroubledLog

BEGAN: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SIGNER: Final = Signer.make("north.example")
RHYTHM: Final = Rhythm(records=100, time=timedelta(hours=1))


class Hour:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.at = BEGAN

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **time: float) -> None:
        self.at += timedelta(**time)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """A clinic with a history."""
    return imported(tmp_path / "clinic", written(tmp_path / "courses.csv", COURSES, "odsis"))


@pytest.fixture
async def home(clinic: Path) -> AsyncIterator[EmbeddedHome]:
    """That clinic, opened."""
    async with await EmbeddedHome.open(clinic, write=True) as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where checkpoints are fetched from."""
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def sealer(home: EmbeddedHome, kept: Path, clock: Hour, signer: Signer = SIGNER) -> Sealer:
    return Sealer(home.log, home.log_id, signer, kept, RHYTHM, clock)


async def more(home: EmbeddedHome, number: int, partition: int = 0) -> None:
    """Record something, whatever it is."""
    await home.log.append(CASES, partition, [Record("a", b"{}")] * number)


class DamagedOnce(Trouble):
    """Where a log is read first, its file turns out to be damaged."""

    def before(self, call: str) -> None:
        super().before(call)
        if len(self.calls) == 1:
            raise sqlite3.DatabaseError("database disk image is malformed")


class Told(Health):
    """Remembers what was said to be wrong, and hears when nothing is."""

    def __init__(self) -> None:
        super().__init__(waits_for=[])
        self.said: list[str] = []
        self.is_well = asyncio.Event()

    def set(self, where: str, why: str | None, *, is_elsewhere: bool = False, lasts: float = inf) -> None:
        super().set(where, why, is_elsewhere=is_elsewhere, lasts=lasts)
        if why is None:
            self.is_well.set()
        else:
            self.said.append(why)


class Overtaken:
    """A log on which somebody else comes first, whenever something is to be put there."""

    def __init__(self, log: Log, other: Callable[[], Awaitable[None]]) -> None:
        self._log = log
        self._other = other

    @property
    def is_read_here(self) -> bool:
        return self._log.is_read_here

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        await self._other()
        await self._log.append(topic, partition, records)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        return await self._log.read(topic, partition, offset, limit)

    async def end(self, topic: Topic, partition: int) -> int:
        return await self._log.end(topic, partition)


def texts(kept: Path) -> list[str]:
    """What was kept, in its order."""
    return [file.read_text() for file in sorted(kept.iterdir())]


def emptied(kept: Path) -> None:
    for file in kept.iterdir():
        file.unlink()


def written_over(kept: Path, text: str) -> None:
    """Put something else in the place of the only one."""
    (file,) = kept.iterdir()
    file.write_text(text)


def sizes(kept: Path) -> list[int]:
    """How many records each checkpoint speaks of."""
    opened = map(SIGNER.verifier.opened, texts(kept))
    return [Checkpoint.read(text).records for text in opened]


async def test_a_log_that_was_never_sealed_is_sealed_at_once(home: EmbeddedHome, kept: Path) -> None:
    assert await sealer(home, kept, Hour()).look()
    assert len(sizes(kept)) == 1
    assert [each.note async for each in notes(home.log)] == texts(kept)


async def test_it_is_sealed_again_after_so_many_records_or_so_much_time(home: EmbeddedHome, kept: Path) -> None:
    # given a log that was sealed
    clock = Hour()
    it = sealer(home, kept, clock)
    await it.look()
    (first,) = sizes(kept)

    # when nothing comes, or little in a short time, then it is not
    clock.passes(hours=5)
    assert not await it.look()
    await more(home, 100)
    clock.passes(seconds=1)
    assert await it.look()
    await more(home, 99)
    clock.passes(minutes=59)
    assert not await it.look()

    # when that time has passed, then it is
    clock.passes(minutes=1)
    assert await it.look()
    assert sizes(kept) == [first, first + 100, first + 199]


async def test_others_have_their_turn_while_much_is_sealed(home: EmbeddedHome, kept: Path) -> None:
    # given much to seal, and somebody in the same process who waits for a turn again and again
    await more(home, 10_000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await asyncio.sleep(0)

    # when it is sealed, then they had one after each part of it
    await sealer(home, kept, Hour()).look()
    waiting.cancel()
    assert turns >= 5


async def test_who_is_started_again_goes_on_from_the_last_checkpoint_and_keeps_what_was_not(
    home: EmbeddedHome, kept: Path
) -> None:
    # given a sealer that was killed between signing and keeping
    clock = Hour()
    await sealer(home, kept, clock).look()
    said = texts(kept)
    emptied(kept)

    # when another one is started, then the checkpoint is kept, and none is signed before it is time
    again = sealer(home, kept, clock)
    assert not await again.look()
    assert texts(kept) == said
    assert len([each async for each in notes(home.log)]) == 1

    # and what it signs next is what one who reads all would sign
    await more(home, 100)
    clock.passes(seconds=1)
    assert await again.look()
    other = kept.with_name("other")
    other.mkdir()
    stranger = Signer.make("south.example")
    assert await sealer(home, other, clock, stranger).look()
    _, ours, theirs = [each.note.rpartition("\n\n")[0] async for each in notes(home.log)]
    assert ours == theirs


async def test_a_tree_that_has_not_grown_stands_beside_an_earlier_checkpoint_and_never_far_from_the_last_one(
    home: EmbeddedHome, kept: Path
) -> None:
    # given a log that was sealed, of which one partition alone grows
    clock = Hour()
    await more(home, 1)
    await sealer(home, kept, clock).look()

    # when it is sealed again and again, each time by one who was just started
    for _ in range(2 * WHOLE_EVERY):
        await more(home, 100)
        clock.passes(seconds=1)
        assert await sealer(home, kept, clock).look()

    # then only that partition's tree stands beside most checkpoints, and all beside one of so many
    all_of_them = len(Checkpoint.read(SIGNER.verifier.opened(texts(kept)[-1])).lines)
    written = [len(each.frontiers) async for each in notes(home.log)]
    rest = [1] * (WHOLE_EVERY - 1)
    assert all_of_them > 1
    assert written == [all_of_them, *rest, all_of_them, *rest, all_of_them]

    # and what was signed last is what one who reads all would sign
    stranger, other = Signer.make("south.example"), kept.with_name("other")
    other.mkdir()
    assert await sealer(home, other, clock, stranger).look()
    *_, ours, theirs = [each.note.rpartition("\n\n")[0] async for each in notes(home.log)]
    assert ours == theirs


async def test_two_who_sign_with_one_key_at_once_keep_nobody_from_sealing_the_log(
    home: EmbeddedHome, kept: Path
) -> None:
    # given one who looks at the log, and another one who sees more of it and signs before
    clock = Hour()
    await sealer(home, kept, clock).look()
    before = await last_signed(home.log, SIGNER.verifier)

    async def other() -> None:
        await more(home, 7, partition=1)
        await signed(home.log, home.log_id, SIGNER, clock(), before)

    await more(home, 5)
    clock.passes(minutes=1)
    said = await signed(Overtaken(home.log, other), home.log_id, SIGNER, clock(), before)
    assert len([each async for each in notes(home.log)]) == 3

    # when a sealer is started, then it goes on from the last checkpoint
    last = await last_signed(home.log, SIGNER.verifier)
    assert last is not None
    assert last.note == said.note
    clock.passes(hours=1)
    assert await sealer(home, kept, clock).look()
    assert sizes(kept)[-1] == said.checkpoint.records + 7


async def test_whoever_starts_behind_many_checkpoints_of_another_one_writes_all_trees_again(
    home: EmbeddedHome, kept: Path
) -> None:
    # given two who sign with one key, by turns, so that the trees that have not grown stand further back than usual
    clock = Hour()
    await sealer(home, kept, clock).look()
    two = [await last_signed(home.log, SIGNER.verifier)] * 2
    for turn in range(2 * WHOLE_EVERY - 4):
        await more(home, 1)
        two[turn % 2] = await signed(home.log, home.log_id, SIGNER, clock(), two[turn % 2])

    # when a sealer is started and signs, then all trees stand beside its checkpoint
    clock.passes(hours=1)
    await more(home, 1)
    assert await sealer(home, kept, clock).look()
    all_of_them = len(Checkpoint.read(SIGNER.verifier.opened(texts(kept)[-1])).lines)
    *_, last = [len(each.frontiers) async for each in notes(home.log)]
    assert last == all_of_them > 1


async def test_where_a_checkpoint_cannot_be_kept_that_is_told_and_it_is_kept_when_it_can(
    home: EmbeddedHome, kept: Path
) -> None:
    # given a directory that is away
    away = kept / "away"
    it = sealer(home, away, Hour())
    with pytest.raises(OSError, match="away"):
        await it.look()

    # when it is there again, then the checkpoint is there too, and no other was signed
    away.mkdir()
    assert not await it.look()
    assert texts(away) == [each.note async for each in notes(home.log)]


async def test_a_fault_is_told_and_keeps_nothing_from_being_signed_once_it_is_over(
    home: EmbeddedHome, kept: Path
) -> None:
    # given a sealer of a log that is damaged at its first look
    health, at_once = Told(), replace(RHYTHM, look=0.0)
    it = Sealer(TroubledLog(home.log, DamagedOnce()), home.log_id, SIGNER, kept, at_once, Hour())

    # when it runs until nothing is wrong any more
    running, is_well = asyncio.create_task(it.run(health)), asyncio.create_task(health.is_well.wait())
    await asyncio.wait({running, is_well}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert is_well.done()
    running.cancel()

    # then what was wrong was told, and the log is sealed
    assert health.said[0].startswith("a fault of OnTrack (DatabaseError ")
    assert len(texts(kept)) == 1


async def test_nothing_is_signed_after_a_checkpoint_that_was_changed(home: EmbeddedHome, kept: Path) -> None:
    await sealer(home, kept, Hour()).look()
    (last,) = await home.log.read(SEALS, 0, 0, 1)
    changed = last.value.replace(f"{CASES.name} ".encode(), f"{SCORES.name} ".encode())
    await home.log.append(SEALS, 0, [Record(last.key, changed)])
    with pytest.raises(NoteInvalid, match="does not go with the text"):
        await sealer(home, kept, Hour()).look()


async def test_what_is_no_checkpoint_is_passed_over(home: EmbeddedHome, kept: Path) -> None:
    # given many records that are none behind the last one
    await sealer(home, kept, Hour()).look()
    await home.log.append(SEALS, 0, [Record("log", b"none")] * 50)

    # when a sealer is started, then it goes on from that one
    assert not await sealer(home, kept, Hour()).look()
    assert len(texts(kept)) == 1


@pytest.mark.parametrize(("others", "says"), [(0, "has 0 records in"), (500, "has other records in")])
async def test_nothing_is_signed_over_a_log_of_which_the_end_was_taken_away(
    clinic: Path, kept: Path, others: int, says: str
) -> None:
    # given a log that was sealed, of which the last records were taken away, and others came since
    async with await EmbeddedHome.open(clinic, write=True) as home:
        it = sealer(home, kept, Hour())
        await it.look()
        ends = await home.log.ends(CASES, range(CASES.partitions))
        partition = max(ends, key=lambda number: ends[number])
        table = table_of(CASES, partition)
        with closing(sqlite3.connect(clinic / DATABASE)) as database, database:
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
        await more(home, others, partition)

        # when it is looked at, then that is what is in the way, and nothing is signed
        with pytest.raises(NoteInvalid, match=f"{says} partition {partition}.*nothing is signed over this log"):
            await it.look()
        assert [each.note async for each in notes(home.log)] == texts(kept)


async def test_nothing_is_signed_over_a_log_that_lost_its_checkpoints_with_what_they_speak_of(
    clinic: Path, home: EmbeddedHome, kept: Path
) -> None:
    # given a log that was sealed, of which the last records were taken away, and the checkpoint too
    await more(home, 1)
    await sealer(home, kept, Hour()).look()
    cut_with_its_checkpoints(clinic)

    # when a sealer is started that finds the checkpoint where it is kept, then nothing is signed, with whatever key
    south = Signer.make("south.example")
    for signer in (SIGNER, south):
        with pytest.raises(NoteInvalid, match="nothing is signed over this log"):
            await sealer(home, kept, Hour(), signer).look()
    assert await home.log.end(SEALS, 0) == 0

    # and with another key into another directory, as is said there, it is
    other = kept.with_name("other")
    other.mkdir()
    assert await sealer(home, other, Hour(), south).look()


def cut_with_its_checkpoints(clinic: Path) -> None:
    """Take facts of a log away, and all checkpoints that speak of them."""
    with closing(sqlite3.connect(clinic / DATABASE)) as database, database:
        for table in (table_of(CASES, 0), table_of(SEALS, 0)):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - ours


def _hash_of_the_key(note: str) -> str:
    text, name, signature = note.rpartition("north.example ")
    return f"{text}{name}{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda note: note.replace("— north", "— norti"), "nothing is signed over this log"),
        (_hash_of_the_key, "nothing is signed over this log"),
        (lambda note: note.replace("— north", "- north"), "a signature was expected on each line"),
        (lambda note: note.replace("— north", "— norti")[:-2] + "\n", "base64 was expected"),
    ],
    ids=["name", "hash", "dash", "name and end"],
)
async def test_a_kept_checkpoint_whose_signature_is_damaged_is_not_taken_for_one_that_says_nothing(
    clinic: Path, home: EmbeddedHome, kept: Path, damage: Callable[[str], str], says: str
) -> None:
    # given a log that was cut with its checkpoints, and the one that was kept, damaged where it says who has signed it
    await more(home, 1)
    await sealer(home, kept, Hour()).look()
    (note,) = texts(kept)
    written_over(kept, damage(note))
    cut_with_its_checkpoints(clinic)

    # when a sealer is started, then nothing is signed
    with pytest.raises(NoteInvalid, match=says):
        await sealer(home, kept, Hour()).look()
    assert await home.log.end(SEALS, 0) == 0


@pytest.mark.parametrize("is_of_another_log", [False, True], ids=["of another key", "of another log"])
async def test_a_log_is_held_to_the_newest_checkpoint_of_its_key_whatever_else_lies_beside_it(
    clinic: Path, home: EmbeddedHome, kept: Path, tmp_path: Path, *, is_of_another_log: bool
) -> None:
    # given a log that was sealed, and a newer checkpoint beside, of less: of another log, or of another key
    await more(home, 1)
    await sealer(home, kept, Hour()).look()
    later = Hour()
    later.passes(days=1)
    if is_of_another_log:
        async with await EmbeddedHome.found(tmp_path / "another") as another:
            await sealer(another, kept, later).look()
    else:
        said = Checkpoint(home.log_id, later.at, ())
        (kept / file_name(said)).write_text(Signer.make("south.example").signed(said.text()))
    assert len(texts(kept)) == 2

    # when it is looked at, then it is held to its own, and all is there
    await require_kept(home.log, home.log_id, SIGNER.verifier, kept)

    # and when it is cut with its checkpoints, then nothing is signed
    cut_with_its_checkpoints(clinic)
    with pytest.raises(NoteInvalid, match="nothing is signed over this log"):
        await sealer(home, kept, Hour()).look()
    assert await home.log.end(SEALS, 0) == 0


async def test_a_log_is_not_held_to_what_was_kept_before_the_newest_checkpoint_of_its_key(
    home: EmbeddedHome, kept: Path
) -> None:
    # given one that cannot be read any more, and a newer one
    clock = Hour()
    await sealer(home, kept, clock).look()
    written_over(kept, "garbage")
    await more(home, 100)
    clock.passes(days=1)
    other = kept.with_name("other")
    other.mkdir()
    await sealer(home, other, clock).look()
    shutil.copytree(other, kept, dirs_exist_ok=True)

    # when it is looked at, then the newer one is enough
    await require_kept(home.log, home.log_id, SIGNER.verifier, kept)


async def test_a_kept_checkpoint_of_which_a_part_is_missing_is_named_with_what_to_do(
    home: EmbeddedHome, kept: Path
) -> None:
    # given one of which the end is missing, wherever it was cut
    await sealer(home, kept, Hour()).look()
    (whole,) = texts(kept)
    for end in range(len(whole)):
        written_over(kept, whole[:end])

        # when a log is held to it, then it is named, and nothing is signed
        with pytest.raises(CheckpointUnusable, match=r"/checkpoint-.*\.txt: .* was expected.*; put it there again"):
            await require_kept(home.log, home.log_id, SIGNER.verifier, kept)

    # and once it is deleted, it is put there again
    emptied(kept)
    await sealer(home, kept, Hour()).look()
    assert texts(kept) == [whole]


def test_a_checkpoint_that_cannot_be_read_is_no_finding_about_the_log(clinic: Path, tmp_path: Path) -> None:
    # given a checkpoint that was cut short
    key, kept = tmp_path / "seal.key", tmp_path / "kept"
    seal = ("audit", "seal", "--data", clinic, "--key", key, "--output", kept)
    succeeded("audit", "key", "north.example", "--output", key)
    succeeded(*seal)
    (file,) = kept.iterdir()
    file.write_text(file.read_text()[:-40])

    # when the next one is to be signed, then the file is named, by the exit code of what can be mended
    refused = ontrack(*seal)
    assert (refused.exit_code, str(file) in refused.told, "or delete it" in refused.told) == (2, True, True)
    file.unlink()
    succeeded(*seal)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    succeeded("audit", "key", "north.example", "--output", file)
    assert signer_in(file).name == "north.example"
    file.chmod(0o644)
    for there, says in ((file, "open to others"), (tmp_path / "none", "a file that can be read was expected")):
        with pytest.raises(KeyUnusable, match=says):
            signer_in(there)
