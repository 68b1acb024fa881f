"""Checkpoints: whoever keeps one finds whatever is done to the log afterwards, and proves what stood there."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.events.fields import instant
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, SEALS, TOPICS, TRACKS, Topic, partition_of
from services.auditor.checkpoint import Checkpoint, Line
from services.auditor.note import Signer, Verifier
from services.auditor.sealing import signer_in
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from services.runtime.faults import RESTORE
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import imported, written
from tests.support.command import Ran, ontrack, succeeded

NAME: Final = "north.example"


class Kept:
    """What an auditor keeps at home: the public key, and the checkpoint that was signed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.key = folder / "seal.key"
        self.public = succeeded("audit", "key", NAME, "--output", self.key).out.decode().strip()
        self.folder = folder / "kept"
        self.seal(home)

    def seal(self, home: Path) -> Ran:
        return succeeded("audit", "seal", "--data", home, "--key", self.key, "--output", self.folder)

    @property
    def first(self) -> Path:
        return min(self.folder.iterdir())

    def findings(self, home: Path) -> list[dict[str, Any]]:
        """What does not go with the checkpoint."""
        options = ("--checkpoint", self.first, "--public-key", self.public, "--format", "json")
        ran = ontrack("audit", "verify", "--data", home, *options)
        found = [each for each in orjson.loads(ran.out)["findings"] if each["finding"] == "checkpoint"]
        assert ran.exit_code >= bool(found)
        return found


@pytest.fixture
def kept(tampering: Tampering, tmp_path: Path) -> Kept:
    """A checkpoint of the home, taken before anything is done to it."""
    return Kept(tmp_path, tampering.home)


def changed(tampering: Tampering, topic: Topic, case_id: str) -> None:
    tampering.put(topic, case_id, 1, renamed(tampering.record(topic, case_id, 1), source="urn:ontrack:other"))


def removed(tampering: Tampering, topic: Topic, case_id: str) -> None:
    tampering.cut(topic, case_id, 0)


def inserted(tampering: Tampering, topic: Topic, case_id: str) -> None:
    """Another record in the middle: those behind it move down."""
    table, at = table_of(topic, partition_of(case_id)), tampering.offsets(topic, case_id)[1]
    value = tampering.record(topic, case_id, 0)
    tampering.do(f'UPDATE {table} SET "offset" = -1 - "offset" WHERE "offset" >= ?', at)  # noqa: S608 - ours
    tampering.do(f'UPDATE {table} SET "offset" = -"offset" WHERE "offset" < 0')  # noqa: S608 - ours
    tampering.do(f"INSERT INTO {table} VALUES (?, ?, ?)", at, case_id, value)  # noqa: S608 - ours


def swapped(tampering: Tampering, topic: Topic, case_id: str) -> None:
    tampering.swap(topic, case_id, 0, 1)


def truncated(tampering: Tampering, topic: Topic, case_id: str) -> None:
    table = table_of(topic, partition_of(case_id))
    tampering.do(f'DELETE FROM {table} WHERE "offset" = (SELECT max("offset") FROM {table})')  # noqa: S608 - ours


@pytest.mark.parametrize("topic", [CASES, SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
@pytest.mark.parametrize("do", [changed, removed, inserted, swapped, truncated], ids=lambda do: do.__name__)
def test_whatever_is_done_to_a_record_of_a_sealed_log_is_found(
    tampering: Tampering, kept: Kept, p1: str, topic: Topic, do: Callable[[Tampering, Topic, str], None]
) -> None:
    do(tampering, topic, p1)
    (found,) = kept.findings(tampering.home)
    assert (found["topic"], found["partition"]) == (topic.name, partition_of(p1))
    assert ("not those that stood there" if do not in (removed, truncated) else "records") in found["says"]


def test_a_hole_in_a_sealed_log_is_found_and_nothing_is_proved_over_it(
    tampering: Tampering, kept: Kept, p1: str, tmp_path: Path
) -> None:
    # given a record that was deleted, and the others where they were
    event, table = tampering.event(TRACKS, p1, 1), table_of(TRACKS, partition_of(p1))
    hole = tampering.offsets(TRACKS, p1)[3]
    tampering.do(f'DELETE FROM {table} WHERE "offset" = ?', hole)  # noqa: S608 - ours

    # when it is verified, then that is told
    (found,) = kept.findings(tampering.home)
    assert (found["topic"], found["partition"]) == (TRACKS.name, partition_of(p1))
    assert f"has no offset {hole} in partition" in found["says"]

    # and what would be a proof of nothing is not written
    prove = ("audit", "prove", event.id, "--topic", TRACKS.name, "--data", tampering.home)
    refused = ontrack(*prove, "--output", tmp_path / "proof")
    assert (refused.exit_code, "is not what was sealed any more" in refused.told) == (1, True)
    assert not (tmp_path / "proof").exists()


def test_a_log_that_only_grew_is_an_extension_of_what_was_sealed(
    tampering: Tampering, kept: Kept, tmp_path: Path
) -> None:
    # given a home that has gone on since, and was sealed again
    more = written(tmp_path / "more.csv", {"late": {0: 10, 1: 14}}, "odsis")
    succeeded("import", more, "--enrol", "--data", tampering.home, "--timezone", "UTC")
    kept.seal(tampering.home)

    # when it is verified against the first checkpoint, and against both
    # then nothing is found
    assert kept.findings(tampering.home) == []
    for file in kept.folder.iterdir():
        succeeded("audit", "verify", "--data", tampering.home, "--checkpoint", file, "--public-key", kept.public)


def test_a_history_that_somebody_has_told_anew_is_found_though_it_verifies(
    tampering: Tampering, kept: Kept, tmp_path: Path
) -> None:
    """By whoever has the code and the keys: another history, right in itself, in the place of the one that was."""
    # given a home of other answers, under the same master key and the same identity of the log
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    shutil.copy2(tampering.home / "master.key", other)
    exported = tmp_path / "exported"
    succeeded("export", "--data", tampering.home, "--output", exported, "--reveal", "--keys", tmp_path / "keys")
    facts = exported / f"{CASES.name}.ndjson"
    lines = [json.loads(line) for line in facts.read_bytes().splitlines()]
    answered = next(line for line in lines if "answers" in line["data"])
    answered["data"]["answers"] = dict.fromkeys(answered["data"]["answers"], 4)
    facts.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for topic in (SCORES, TRACKS, NOTICES):
        (exported / f"{topic.name}.ndjson").unlink()
    told_anew = tmp_path / "anew"
    succeeded("import", exported, "--keys", tmp_path / "keys", "--data", told_anew)

    # when it is verified, then by itself it is right, and it is not what was sealed
    succeeded("audit", "verify", "--data", told_anew)
    assert kept.findings(told_anew)


def test_a_checkpoint_of_another_log_says_nothing_of_this_one(kept: Kept, tmp_path: Path) -> None:
    another = imported(tmp_path / "another", written(tmp_path / "a.csv", COURSES, "odsis"))
    (found,) = kept.findings(another)
    assert "the checkpoint is of another log" in found["says"]
    assert "nothing was compared" in found["says"]

    # and it is not told as one that speaks of nothing
    options = ("--checkpoint", kept.first, "--public-key", kept.public)
    told = ontrack("audit", "verify", "--data", another, *options).told
    sealed = Checkpoint.read(Verifier.read(kept.public).opened(kept.first.read_text()))
    assert f"signed by {NAME}, does not hold: it speaks of 414 records of the log {sealed.log}." in told
    assert "The history verifies" not in told


def test_a_program_is_told_of_how_many_records_a_checkpoint_of_this_log_speaks(
    tampering: Tampering, kept: Kept, tmp_path: Path
) -> None:
    options = ("--checkpoint", kept.first, "--public-key", kept.public, "--format", "json")
    another = imported(tmp_path / "another", written(tmp_path / "a.csv", COURSES, "odsis"))
    spoken = Checkpoint.read(Verifier.read(kept.public).opened(kept.first.read_text())).records
    for home, records, holds in ((tampering.home, spoken, True), (another, 0, False)):
        told = orjson.loads(ontrack("audit", "verify", "--data", home, *options).out)
        assert (told["under_checkpoint"], told["checkpoint_holds"]) == (records, holds)
    assert spoken > 0

    # and that nothing is said of one if none is given
    told = orjson.loads(ontrack("audit", "verify", "--data", another, "--format", "json").out)
    assert (told["under_checkpoint"], told["checkpoint_holds"]) == (0, None)


def test_whether_a_checkpoint_holds_is_said_in_words_and_who_has_signed_it(
    tampering: Tampering, kept: Kept, tmp_path: Path, p1: str
) -> None:
    # given a bundle of what was sealed, without any key of a case
    bundle, sealed = tmp_path / "history.zip", Checkpoint.said_in(kept.first.read_text())
    succeeded("audit", "export", "--data", tampering.home, "--output", bundle)
    given = ("--checkpoint", kept.first, "--public-key", kept.public)

    # when it is verified, then it is said that all of it stands there, by whose word, and before the verdict
    *_, says, verdict = succeeded("audit", "verify", "--bundle", bundle, *given).told.splitlines()
    by = f"The checkpoint of {instant(sealed.at)}, signed by {NAME},"
    spoken = f"it speaks of {sealed.records:,} records of the log {sealed.log}"
    assert says == f"{by} holds: {spoken}, and these stand there as they stood then."
    assert "What can be seen without keys is right" in verdict

    # and of a log that was cut, that it does not hold
    truncated(tampering, CASES, p1)
    told = ontrack("audit", "verify", "--data", tampering.home, *given).told
    assert f"{by} does not hold: {spoken}." in told


def test_a_log_without_a_case_that_is_what_was_sealed_is_good_news(tmp_path: Path) -> None:
    # given a home without a case, and a checkpoint of it
    async def found() -> None:
        await (await EmbeddedHome.found(tmp_path / "home")).close()

    asyncio.run(found())
    kept = Kept(tmp_path, tmp_path / "home")

    # when it is verified with that, then it is said that all of it is there, and no more is claimed
    options = ("--checkpoint", kept.first, "--public-key", kept.public, "--format", "json")
    ran = ontrack("audit", "verify", "--data", tmp_path / "home", *options)
    told = orjson.loads(ran.out)
    assert (ran.exit_code, told["verifies"], told["events"], told["findings"]) == (0, None, 0, [])
    assert told["says"] == "What was sealed stands there. Beside that there was nothing to verify."


@pytest.mark.parametrize(("topic", "partition", "what"), [("rom.other.v1", 0, "topic"), (CASES.name, 77, "partition")])
def test_a_checkpoint_that_speaks_of_what_is_not_known_here_is_a_finding(
    tampering: Tampering, kept: Kept, topic: str, partition: int, what: str
) -> None:
    said = Checkpoint.said_in(kept.first.read_text())
    more = replace(said, lines=(*said.lines, Line(topic, partition, 3, "0" * 64)))
    kept.first.write_text(signer_in(kept.key).signed(more.text()))
    (found,) = kept.findings(tampering.home)
    assert (found["topic"], found["partition"]) == (topic, partition)
    assert found["says"] == f"the checkpoint speaks of a {what} that this version does not know"


def test_a_log_that_was_emptied_is_not_what_was_sealed(kept: Kept, tampering: Tampering) -> None:
    # given a home of which nothing is left on the log, while keys and states are there
    for topic in TOPICS.values():
        for partition in range(topic.partitions):
            tampering.do(f"DELETE FROM {table_of(topic, partition)}")  # noqa: S608 - ours

    # when it is verified against a checkpoint, then that is a finding
    (found,) = kept.findings(tampering.home)
    assert re.search(r"^\d+ records of the log \S+ stood there when it was sealed", found["says"])
    assert "now there is none" in found["says"]
    given = ("--checkpoint", kept.first, "--public-key", kept.public)
    assert "signed by north.example, does not hold" in ontrack("audit", "verify", "--data", tampering.home, *given).told

    # and without one it is said that something was lost, and what to do
    ran = ontrack("audit", "verify", "--data", tampering.home)
    assert (ran.exit_code, "has keys of cases, but its log is empty" in ran.told, RESTORE in ran.told) == (
        2,
        True,
        True,
    )

    # and no new log is begun there
    ran = ontrack("up", "--data", tampering.home, "--port", "0")
    assert (ran.exit_code, "has keys of cases, but its log is empty" in ran.told) == (2, True)


def test_no_log_is_begun_over_the_facts_of_one_that_has_lost_its_beginning(tampering: Tampering) -> None:
    # given a home with facts, and neither definitions nor keys
    tampering.do(f"DELETE FROM {table_of(DEFINITIONS, 0)}")  # noqa: S608 - ours
    tampering.do("DELETE FROM keys")

    # when somebody would verify it, or go on there
    for command in (("audit", "verify"), ("up", "--port", "0")):
        ran = ontrack(*command, "--data", tampering.home)

        # then it is said what was lost and what to do, and no other log is begun
        assert (ran.exit_code, "the beginning of its log was lost" in ran.told, RESTORE in ran.told) == (2, True, True)


def test_a_checkpoint_that_nobody_or_somebody_else_has_signed_is_refused(
    tampering: Tampering, kept: Kept, tmp_path: Path
) -> None:
    altered = tmp_path / "altered.txt"
    altered.write_text(kept.first.read_text().replace(f"{SCORES.name} ", f"{TRACKS.name} ", 1))
    verify = ("audit", "verify", "--data", tampering.home, "--checkpoint")
    stranger = str(Signer.make(NAME).verifier)
    for file, key, says in (
        (altered, kept.public, "does not go with the text"),
        (kept.first, stranger, "a signature of north.example with this very key was expected"),
        (kept.key, kept.public, "a signed note was expected"),
    ):
        ran = ontrack(*verify, file, "--public-key", key)
        assert (ran.exit_code, says in ran.told) == (2, True)


def test_a_checkpoint_and_its_public_key_go_together(tampering: Tampering, kept: Kept) -> None:
    for alone, says in (
        (("--checkpoint", kept.first), "--public-key: the public key"),
        (("--public-key", kept.public), "--public-key: a checkpoint was expected"),
    ):
        ran = ontrack("audit", "verify", "--data", tampering.home, *alone)
        assert (ran.exit_code, says in ran.told) == (2, True)


def test_what_stood_on_the_log_is_proved_with_nothing_but_the_event_and_the_public_key(
    tampering: Tampering, kept: Kept, p1: str, tmp_path: Path
) -> None:
    for topic in (CASES, TRACKS):
        # given an event, and the proof of it
        event, folder = tampering.event(topic, p1, 2), tmp_path / topic.name
        succeeded("audit", "prove", event.id, "--topic", topic.name, "--data", tampering.home, "--output", folder)

        # when it is checked without the log, then it is shown
        told = succeeded("audit", "check-proof", folder, "--public-key", kept.public).told
        assert f"offset {tampering.offsets(topic, p1)[2]}, of the log" in told
        assert f"{NAME} signed that" in told

        # and of an event that says something else, or in another place, it is not
        proof = orjson.loads((folder / "proof.json").read_bytes())
        others = [
            {**proof, "offset": proof["offset"] - 1},
            {**proof, "topic": NOTICES.name},
            {**proof, "hashes": []},
            {**proof, "hashes": ["not a hash"]},
        ]
        for other in others:
            (folder / "proof.json").write_bytes(orjson.dumps(other))
            assert ontrack("audit", "check-proof", folder, "--public-key", kept.public).exit_code == 1
        (folder / "proof.json").write_bytes(orjson.dumps(proof))
        (folder / "event.json").write_bytes(renamed(tampering.record(topic, p1, 2), source="urn:ontrack:other"))
        refused = ontrack("audit", "check-proof", folder, "--public-key", kept.public)
        assert (refused.exit_code, "did not stand at that place" in refused.told) == (1, True)


def test_a_private_key_in_the_place_of_the_public_one_is_recognised_and_not_repeated(
    tampering: Tampering, kept: Kept, p1: str, tmp_path: Path
) -> None:
    succeeded("audit", "prove", tampering.event(TRACKS, p1, 2).id, "--data", tampering.home, "--output", tmp_path / "p")
    private = kept.key.read_text().strip()
    # The last of its five parts is in base 64, which has that sign too.
    *_, secret = private.split("+", 4)
    for given in (kept.key, private):
        for command in (
            ("check-proof", tmp_path / "p"),
            ("verify", "--data", tampering.home, "--checkpoint", kept.first),
        ):
            ran = ontrack("audit", *command, "--public-key", given)
            assert ran.exit_code == 2
            assert "--public-key: this is a private key" in ran.told
            assert "the public key was expected" in ran.told
            assert ran.gives_away([private, secret]) == []


@pytest.mark.usefixtures("kept")
def test_evidence_is_not_written_over(tampering: Tampering, p1: str, tmp_path: Path) -> None:
    # given a proof, a bundle and the keys of its cases
    prove, export = ("audit", "prove"), ("audit", "export", "--data", tampering.home)
    of = ("--data", tampering.home, "--output", tmp_path / "proof")
    succeeded(*prove, tampering.event(TRACKS, p1, 2).id, *of)
    succeeded(*export, "--output", tmp_path / "a.zip", "--keys", tmp_path / "a.keys")
    files = [*(tmp_path / "proof").iterdir(), tmp_path / "a.zip", tmp_path / "a.keys"]
    before = [file.read_bytes() for file in files]

    # when others are to be made there, then that is refused, and nothing is changed
    for refused in (
        ontrack(*prove, tampering.event(TRACKS, p1, 3).id, *of),
        ontrack(*export, "--output", tmp_path / "a.zip"),
        ontrack(*export, "--output", tmp_path / "b.zip", "--keys", tmp_path / "a.keys"),
    ):
        assert (refused.exit_code, "is there already" in refused.told) == (2, True)
    assert [file.read_bytes() for file in files] == before
    assert not list(tmp_path.glob("b*"))


def test_what_was_recorded_since_the_last_checkpoint_is_not_proved_before_the_next_one(
    tampering: Tampering, kept: Kept, p1: str, tmp_path: Path
) -> None:
    tampering.append(TRACKS, p1, renamed(tampering.record(TRACKS, p1, -1), id="00000000-0000-4000-8000-000000000000"))
    prove = ("audit", "prove", "00000000-0000-4000-8000-000000000000", "--data", tampering.home)
    early = ontrack(*prove, "--output", tmp_path / "proof")
    assert (early.exit_code, "no checkpoint was signed since" in early.told) == (1, True)
    kept.seal(tampering.home)
    succeeded(*prove, "--output", tmp_path / "proof")
    unknown = ontrack("audit", "prove", "nobody", "--data", tampering.home, "--output", tmp_path / "none")
    assert (unknown.exit_code, unknown.told) == (1, "Error: no event on the log has the id nobody\n")


@pytest.mark.parametrize("hashes", [["0" * 64], []], ids=["another tree", "no tree"])
def test_whoever_changes_the_checkpoints_on_the_log_has_no_other_one_signed(
    tampering: Tampering, kept: Kept, hashes: list[str]
) -> None:
    # given a checkpoint on the log, beside which other trees stand
    table = table_of(SEALS, 0)
    said = orjson.loads(tampering.do(f"SELECT value FROM {table}")[0][0])  # noqa: S608 - ours
    said["data"]["frontiers"][0]["hashes"][:1] = hashes
    tampering.do(f"UPDATE {table} SET value = ?", orjson.dumps(said))  # noqa: S608 - ours

    # when the log is to be sealed again, then that is told
    ran = ontrack("audit", "seal", "--data", tampering.home, "--key", kept.key)
    assert (ran.exit_code, ran.out) == (1, b"")
    assert "does not go with the trees that stand beside it" in ran.told


def cut(tampering: Tampering) -> None:
    """Take the last fact of a partition away."""
    truncated(tampering, CASES, next(iter(tampering.keys)))


def cut_and_continued(tampering: Tampering) -> None:
    """Take the last fact of a partition away, and put two others there."""
    case_id = next(iter(tampering.keys))
    fact = tampering.record(CASES, case_id, 0)
    truncated(tampering, CASES, case_id)
    for _ in range(2):
        tampering.append(CASES, case_id, fact)


def cut_with_its_checkpoint(tampering: Tampering) -> None:
    """Take the last fact of a partition away, and write over the checkpoint on the log."""
    cut(tampering)
    tampering.do(f"UPDATE {table_of(SEALS, 0)} SET value = ?", b"{}")  # noqa: S608 - ours


@pytest.mark.parametrize("do", [cut, cut_and_continued, cut_with_its_checkpoint], ids=lambda do: do.__name__)
def test_nothing_is_signed_over_a_log_that_lacks_what_was_sealed(
    tampering: Tampering, kept: Kept, do: Callable[[Tampering], None]
) -> None:
    # given a log that lost its last fact since it was sealed
    do(tampering)

    # when it is to be sealed again, then that is refused with what to do, and nothing is signed
    seal = ("audit", "seal", "--data", tampering.home)
    ran = ontrack(*seal, "--output", kept.folder, "--key", kept.key)
    assert (ran.exit_code, ran.out) == (1, b"")
    assert "nothing is signed over this log; if the log was restored from a backup, tell whoever keeps" in ran.told
    assert list(kept.folder.iterdir()) == [kept.first]
    assert tampering.do(f"SELECT count(*) FROM {table_of(SEALS, 0)}") == [(1,)]  # noqa: S608 - ours

    # and with another key into another directory it is sealed, as after a restore
    other = kept.key.with_name("other.key")
    succeeded("audit", "key", NAME, "--output", other)
    succeeded(*seal, "--output", kept.folder.with_name("other"), "--key", other)


def test_a_key_is_for_whoever_signs_alone(tampering: Tampering, kept: Kept) -> None:
    again = ontrack("audit", "key", NAME, "--output", kept.key)
    assert (again.exit_code, "a key that has signed is not written over" in again.told) == (2, True)
    kept.key.chmod(0o644)
    opened = ontrack("audit", "seal", "--data", tampering.home, "--key", kept.key)
    assert (opened.exit_code, "chmod 600" in opened.told) == (2, True)
    kept.key.chmod(0o600)
    kept.key.write_text(f"{kept.public}\n")
    wrong = ontrack("audit", "seal", "--data", tampering.home, "--key", kept.key)
    assert (wrong.exit_code, "which begins with PRIVATE+KEY+" in wrong.told) == (2, True)
