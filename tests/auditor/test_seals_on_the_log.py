"""The checkpoints on the log itself: what was done to them, or to the log since, is found without any key."""

import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import new_fact
from contracts.events.facts import CaseErased
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, SEALS, TRACKS, Topic, partition_of
from services.auditor.checkpoint import Checkpoint, signed
from services.auditor.note import NoteInvalid, Signer
from services.auditor.seals import Held, of_seals
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from services.runtime.log.port import Log, Record, StoredRecord
from tests.auditor.tampering import Tampering, renamed
from tests.support.command import ontrack, succeeded

SEALS_TABLE: Final = table_of(SEALS, 0)
NOBODYS: Final = "00000000-0000-4000-8000-000000000000"


class Signed:
    """A home that is sealed, as often as is wanted, and audited without any key that signs."""

    def __init__(self, tampering: Tampering, folder: Path) -> None:
        self.tampering, self.home, self.folder = tampering, tampering.home, folder
        self.seal()

    def seal(self, name: str = "north.example") -> None:
        key = self.folder / f"{name}.key"
        if not key.exists():
            succeeded("audit", "key", name, "--output", key)
        succeeded("audit", "seal", "--data", self.home, "--key", key)

    def notes(self) -> list[bytes]:
        rows = self.tampering.do(f'SELECT value FROM {SEALS_TABLE} ORDER BY "offset"')  # noqa: S608 - ours
        return [bytes(value) for (value,) in rows]

    def put(self, offset: int, value: bytes) -> None:
        self.tampering.do(f'UPDATE {SEALS_TABLE} SET value = ? WHERE "offset" = ?', value, offset)  # noqa: S608 - ours

    def cut(self, topic: Topic, partition: int) -> None:
        """Take the last record of a partition away."""
        table = table_of(topic, partition)
        self.tampering.do(f'DELETE FROM {table} WHERE "offset" = (SELECT max("offset") FROM {table})')  # noqa: S608 - ours

    def restored(self) -> str:
        """Restore it from a backup, and go on with that; give what was told."""
        restored, backup = self.folder / "restored", self.folder / "a.backup"
        restored.mkdir(mode=0o700)
        shutil.copy(self.home / "master.key", restored)
        succeeded("backup", backup, "--data", self.home)
        told = succeeded("restore", backup, "--data", restored).told
        self.tampering, self.home = Tampering(restored), restored
        return told

    def findings(self) -> list[dict[str, Any]]:
        ran = ontrack("audit", "verify", "--data", self.home, "--format", "json")
        found: list[dict[str, Any]] = orjson.loads(ran.out)["findings"]
        assert ran.exit_code == bool(found)
        return found

    def checked(self, *options: str | Path) -> dict[str, Any]:
        """What the doctor says of checkpoints."""
        ran = ontrack("doctor", "--data", self.home, "--format", "json", *options)
        (found,) = [each for each in orjson.loads(ran.out) if each["what"] == "seals"]
        return dict(found)


@pytest.fixture
def sealed(tampering: Tampering, tmp_path: Path) -> Signed:
    """A home that was sealed once."""
    return Signed(tampering, tmp_path)


@pytest.mark.parametrize("topic", [DEFINITIONS, CASES, SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_a_log_that_is_shorter_than_its_own_checkpoint_says_is_found_without_any_key(
    sealed: Signed, p1: str, tmp_path: Path, topic: Topic
) -> None:
    # given a log that lost the last record of a partition since it was sealed, in a bundle without keys
    partition = partition_of(p1) if topic.of_cases else 0
    sealed.cut(topic, partition)
    bundle = tmp_path / "history.zip"
    succeeded("audit", "export", "--data", sealed.home, "--output", bundle)

    # when it is verified, then that is found
    ran = ontrack("audit", "verify", "--bundle", bundle, "--format", "json")
    (found,) = [each for each in orjson.loads(ran.out)["findings"] if each["finding"] == "checkpoint"]
    assert ran.exit_code == 1
    assert (found["topic"], found["partition"]) == (topic.name, partition)
    assert "records stood there when it was sealed at 20" in found["says"]
    assert "(offset 0 of rom.seals.v1), now there are" in found["says"]


def test_a_checkpoint_on_the_log_that_was_changed_is_found_by_the_public_key(sealed: Signed, tmp_path: Path) -> None:
    # given a kept checkpoint, and another one on the log since, of which a root was changed
    kept, key = tmp_path / "kept", sealed.folder / "north.example.key"
    succeeded("audit", "seal", "--data", sealed.home, "--key", key, "--output", kept)
    sealed.seal()
    against = ("--checkpoint", next(kept.iterdir()), "--public-key", str(Signer.read(key.read_text()).verifier))
    verify = ("audit", "verify", "--data", sealed.home, *against, "--format", "json")
    assert orjson.loads(succeeded(*verify).out)["findings"] == []
    last = len(sealed.notes()) - 1
    sealed.put(last, _root_changed(sealed.notes()[last]))

    # when the log is verified by the public key, then that is found at its place
    ran = ontrack(*verify)
    (found,) = orjson.loads(ran.out)["findings"]
    assert (ran.exit_code, found["finding"], found["topic"], found["offset"]) == (1, "checkpoint", SEALS.name, last)
    assert "the signature of north.example does not go with the text" in found["says"]


def _root_changed(record: bytes) -> bytes:
    """Another digit at the end of the first root."""
    head, line, rest = re.split(rb"(rom\.cases\.v1 \d+ \d+ [0-9a-f]{64})", record, maxsplit=1)
    return head + line[:-1] + (b"1" if line.endswith(b"0") else b"0") + rest


def test_who_seals_a_log_once_more_hides_no_fact_that_was_taken_away(sealed: Signed, p1: str) -> None:
    # given a log that lost a fact, and was sealed by another key since
    sealed.cut(CASES, partition_of(p1))
    sealed.seal("south.example")

    # when it is verified, then what the first checkpoint says is found
    (found,) = [each for each in sealed.findings() if each["finding"] == "checkpoint"]
    assert (found["topic"], "offset 0 of rom.seals.v1" in found["says"]) == (CASES.name, True)


def test_a_log_that_was_restored_is_not_blamed_once_it_is_sealed_by_another_key(sealed: Signed, p1: str) -> None:
    # given conclusions that stood there twice when they were sealed, which is no fault
    sealed.tampering.append(TRACKS, p1, sealed.tampering.record(TRACKS, p1, -1))
    sealed.seal()
    assert sealed.findings() == []

    # when the home is restored from a backup, where each stands once, then it is shorter than was sealed
    told = sealed.restored()
    (found,) = sealed.findings()
    assert (found["finding"], found["topic"]) == ("checkpoint", TRACKS.name)
    assert "sign with another key" in found["says"]
    assert "sign with another key" in told

    # and once it is sealed by another key, as the doctor says, nothing is found any more
    assert "sign with another key" in sealed.checked()["do"]
    sealed.seal("south.example")
    assert sealed.findings() == []
    assert sealed.checked()["verdict"] == "ok"


def test_a_log_that_was_restored_is_not_blamed_for_what_it_concluded_about_cases_that_were_erased(
    sealed: Signed, p1: str
) -> None:
    # given a sealed log, of which a case was erased, so that nothing is concluded about it anew
    succeeded("erase", "P1", "--ground", "ordered", "--confirm", "P1", "--data", sealed.home)
    sealed.seal()
    erased = sum(len(sealed.tampering.offsets(topic, p1)) for topic in (SCORES, TRACKS, NOTICES))

    # when it is restored from its own backup, then no checkpoint is held against it, and what is not there is told
    sealed.restored()
    assert sealed.findings() == []
    assert sealed.checked()["verdict"] == "ok"
    excused = f"Sealed, and not there, where a case was erased: {erased} conclusions."
    assert excused in succeeded("audit", "verify", "--data", sealed.home).told

    # and neither in a bundle of it, without any key
    bundle = sealed.folder / "history.zip"
    succeeded("audit", "export", "--data", sealed.home, "--output", bundle)
    ran = ontrack("audit", "verify", "--bundle", bundle, "--format", "json")
    assert (orjson.loads(ran.out)["findings"], excused in ran.told) == ([], True)

    # and where the key is to sign that has sealed what is not there any more, it is said that another one has to go on
    key = sealed.folder / "north.example.key"
    refused = ontrack("audit", "seal", "--data", sealed.home, "--key", key)
    assert refused.exit_code == 1
    assert "sign with another key into another directory" in refused.told
    assert "sign with another key into another directory" in sealed.checked("--seal-key", key)["do"]

    # and a fact that is missing is found all the same, and where it is the erasure, all that it was the reason for
    sealed.cut(CASES, partition_of(p1))
    found = [each["topic"] for each in sealed.findings() if each["finding"] == "checkpoint"]
    assert found == [CASES.name, NOTICES.name, SCORES.name, TRACKS.name]


def _key_taken_away(sealed: Signed, case_id: str) -> None:
    """As somebody does who edits the database, so that nobody can say what was concluded of a case."""
    sealed.tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", case_id)
    sealed.tampering.do("DELETE FROM states WHERE case_id = ?", case_id)
    for topic in (SCORES, TRACKS, NOTICES):
        for _ in sealed.tampering.offsets(topic, case_id):
            sealed.tampering.cut(topic, case_id, -1)
    sealed.tampering.do(
        """UPDATE positions SET "offset" = 0 WHERE partition = ? AND stage IN ('not_detector', 'notifier')""",
        partition_of(case_id),
    )


def _nothing_else(sealed: Signed, case_id: str) -> None:
    del sealed, case_id


def _set_back(sealed: Signed, case_id: str) -> None:
    """As if the facts of the partition were still to be read."""
    sealed.tampering.do('UPDATE positions SET "offset" = 0 WHERE partition = ?', partition_of(case_id))


def _beside_one_that_was_erased(sealed: Signed, case_id: str) -> None:
    """In the partition in which it stands, another case was erased, and the log says so."""
    partition = partition_of(case_id)
    other = next(name for name in map(str, range(1_000)) if partition_of(name) == partition)
    said = CaseErased(ground="ordered", by="kim")
    fact = new_fact(said, case_id=other, fact_id=NOBODYS, source="urn:ontrack:erase", happened=datetime.now(UTC))
    table = table_of(CASES, partition)
    value = encode(prepared(fact, CaseKey(bytes(64))))
    sealed.tampering.do(f"INSERT INTO {table} SELECT count(*), ?, ? FROM {table}", other, value)  # noqa: S608 - ours
    sealed.tampering.do("INSERT INTO keys (case_id, wrapped) VALUES (?, NULL)", other)


@pytest.mark.parametrize("besides", [_nothing_else, _set_back, _beside_one_that_was_erased])
def test_whoever_takes_the_key_of_a_case_away_hides_no_conclusion_that_was_taken_away(
    sealed: Signed, p1: str, besides: Callable[[Signed, str], None]
) -> None:
    # given a sealed log that has lost what was concluded of a case, and its key, which nobody says was erased
    _key_taken_away(sealed, p1)
    besides(sealed, p1)

    # when it is verified, then what is not there is found, and so it is by the doctor
    found = [(each["topic"], each["partition"]) for each in sealed.findings() if each["finding"] == "checkpoint"]
    assert found == [(topic.name, partition_of(p1)) for topic in (NOTICES, SCORES, TRACKS)]
    checked = sealed.checked()
    assert (checked["verdict"], "ask who has changed it" in checked["do"]) == ("finding", True)


def test_a_backup_from_before_an_erasure_that_was_written_anew_is_held_to_its_checkpoints_until_it_is_sealed(
    sealed: Signed, p1: str
) -> None:
    # given a backup of a sealed log, out of which a case was taken since: it says nothing of its erasure
    home = sealed.home
    backup, restored = sealed.folder / "monday.backup", sealed.folder / "monday"
    succeeded("backup", backup, "--data", sealed.home)
    succeeded("erase", "P1", "--ground", "ordered", "--confirm", "P1", "--data", sealed.home)
    restored.mkdir(mode=0o700)
    shutil.copy(sealed.home / "master.key", restored)

    # when it is restored, then that another key has to sign is told there, by the audit and by the doctor
    told = succeeded("restore", backup, "--data", restored).told
    sealed.tampering, sealed.home = Tampering(restored), restored
    assert "sign with another key" in told
    assert f"with the ground that it had: {p1}." in told
    found = {(each["finding"], each["partition"]) for each in sealed.findings()}
    assert found == {(what, partition_of(p1)) for what in ("checkpoint", "key-destroyed")}
    assert "sign with another key" in sealed.checked()["do"]

    # and once it does, only the case is found of which nobody says why its key is gone
    sealed.seal("south.example")
    assert [(each["finding"], each["case"]) for each in sealed.findings()] == [("key-destroyed", p1)]
    assert sealed.checked()["verdict"] == "ok"

    # and once that is said too, nothing is
    of_home = ("--moved-from", home, "--data", restored)
    succeeded("erase", p1, "--ground", "ordered", "--confirm", p1, *of_home)
    assert sealed.findings() == []


def test_where_not_everything_is_concluded_yet_what_is_to_come_is_not_missed(sealed: Signed) -> None:
    # given facts that were restored, and of which nothing was concluded yet
    for topic in (SCORES, TRACKS, NOTICES):
        for partition in range(topic.partitions):
            sealed.tampering.do(f"DELETE FROM {table_of(topic, partition)}")  # noqa: S608 - ours
    for table in ("states", "positions"):
        sealed.tampering.do(f"DELETE FROM {table}")  # noqa: S608 - ours

    # when it is verified, and checked, then no checkpoint is held against it
    assert [each for each in sealed.findings() if each["finding"] == "checkpoint"] == []
    assert sealed.checked()["verdict"] == "ok"


def _garbage(sealed: Signed) -> None:
    sealed.put(0, b"garbage")


def _no_note(sealed: Signed) -> None:
    event = orjson.loads(sealed.notes()[0])
    event["data"]["note"] = "What is signed here?\n\n— north.example AAAA\n"
    sealed.put(0, orjson.dumps(event))


def _of_another_event(sealed: Signed) -> None:
    sealed.put(0, renamed(sealed.notes()[0], type="ontrack.log-founded.v1"))


def _of_another_log(sealed: Signed) -> None:
    event = orjson.loads(sealed.notes()[0])
    event["data"]["note"] = event["data"]["note"].replace("ontrack.checkpoint.v1 ", "ontrack.checkpoint.v1 other-", 1)
    sealed.put(0, orjson.dumps(event))


def _said_twice(sealed: Signed) -> None:
    sealed.put(0, b'{"source":"words for somebody",' + sealed.notes()[0][1:])


def _taken_out(sealed: Signed) -> None:
    sealed.tampering.do(f'DELETE FROM {SEALS_TABLE} WHERE "offset" = 0')  # noqa: S608 - ours


@pytest.mark.parametrize(
    ("do", "finding", "says"),
    [
        (_garbage, "unreadable", "a checkpoint was expected"),
        (_no_note, "unreadable", "a checkpoint was expected"),
        (_of_another_event, "unreadable", "a checkpoint was expected"),
        (_of_another_log, "checkpoint", "a checkpoint of this log was expected, and not of other-"),
        (_said_twice, "not-canonical", "sorted names, each once"),
        (_taken_out, "gap", "offset 0 was expected before offset 1"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_what_was_done_to_a_checkpoint_on_the_log_is_found_where_it_stands(
    sealed: Signed, do: Callable[[Signed], None], finding: str, says: str
) -> None:
    sealed.seal()
    do(sealed)
    (found,) = sealed.findings()
    assert (found["finding"], found["topic"], found["partition"]) == (finding, SEALS.name, 0)
    assert found["offset"] == (1 if do is _taken_out else 0)
    assert says in found["says"]


class GoingOn:
    """A log that goes on, and is sealed again, whenever somebody reads its checkpoints."""

    is_read_here = False

    def __init__(self, home: EmbeddedHome) -> None:
        self._home = home

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        await self._home.log.append(topic, partition, records)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        if offset < 2:
            await self._home.log.append(DEAD_LETTERS, 0, [Record("a", b"{}")] * 3)
            await signed(self._home.log, self._home.log_id, Signer.make("other"), datetime.now(UTC), None)
        return await self._home.log.read(topic, partition, offset, limit)

    async def end(self, topic: Topic, partition: int) -> int:
        return await self._home.log.end(topic, partition)


async def test_a_log_that_goes_on_and_is_sealed_meanwhile_lacks_nothing(sealed: Signed) -> None:
    async with await EmbeddedHome.open(sealed.home, write=True) as home:
        going_on: Log = GoingOn(home)
        assert await of_seals(going_on, home.keyring, home.log_id, ()) == Held([], 0)
        assert await home.log.end(SEALS, 0) > 1


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00.000+14:00", "9999-12-31T23:59:59.999-14:00", "yesterday"])
def test_a_checkpoint_of_no_moment_is_none(at: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.read(f"ontrack.checkpoint.v1 a\n{at}\n")
