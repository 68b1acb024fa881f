"""`ontrack audit export`: a history in one file is audited as the home that it came from, with its keys or without."""

import asyncio
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.events.event import new_fact
from contracts.events.facts import CaseEnrolled, ResponseSubmitted
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, partition_of
from services.auditor.bundling import ends_of, write
from services.cli.scratch import scratch
from services.embedded import DATABASE, EmbeddedHome
from tests.auditor.handed import Handed, otherwise, parts, torn_off, with_another_record
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import SECRET, day_of
from tests.support.command import ontrack, succeeded


def test_a_bundle_verifies_with_its_keys_and_says_the_same_as_its_home(handed: Handed, sound: Path) -> None:
    ran = handed.verify()
    assert ran.exit_code == 0
    assert "The history verifies" in ran.told
    of_home = succeeded("audit", "verify", "--data", sound).told
    assert [line for line in ran.told.splitlines() if line.startswith("rom.")] == [
        line for line in of_home.splitlines() if line.startswith("rom.")
    ]


def test_without_its_keys_nothing_of_what_was_said_is_in_it_and_what_can_be_seen_is_verified(handed: Handed) -> None:
    # given a bundle of which the keys were not handed on
    handed.keys.unlink()

    # when it is verified
    ran = handed.verify(keys=False)

    # then that is told which was not looked at, and the rest is right
    assert ran.exit_code == 0
    assert "What can be seen without keys is right; 398 events stayed sealed" in ran.told

    # and it holds no answer, and nothing that a patient wrote
    with zipfile.ZipFile(handed.file) as archive:
        assert not [name for name in archive.namelist() if SECRET.encode() in archive.read(name)]
    assert SECRET.encode() not in handed.file.read_bytes()


def test_the_keys_of_one_case_open_that_case(handed: Handed, p1: str) -> None:
    lines = handed.keys.read_bytes().splitlines(keepends=True)
    handed.keys.write_bytes(b"".join(line for line in lines if orjson.loads(line)["case"] == p1))
    told = handed.verify().told
    assert "rom.cases.v1: 70 events, 63 that stay sealed" in told
    assert "on track" in succeeded("audit", "why", "P1", "--session", "3", *bundled(handed)).out.decode()


OPENED: Final = (
    ("audit", "verify"),
    ("audit", "loop"),
    ("audit", "replay"),
    ("audit", "history", "P1"),
    ("audit", "why", "P1", "--session", "3"),
    ("policy", "try", "gryesten-2023"),
)


@pytest.mark.parametrize("command", OPENED, ids=" ".join)
def test_how_many_cases_are_left_out_for_want_of_a_key_is_said(
    handed: Handed, p1: str, command: tuple[str, ...]
) -> None:
    # given the keys of one case, and the key and the number of one that is not in the bundle
    lines = handed.keys.read_bytes().splitlines(keepends=True)
    strange = orjson.dumps({**orjson.loads(lines[0]), "case": "nobody", "number": "P99"})
    handed.keys.write_bytes(b"".join(line for line in lines if orjson.loads(line)["case"] == p1) + strange)

    # then each command says what it does not look at; an answer about all cases is none then
    ran = ontrack(*command, *bundled(handed))
    assert "the keys of 7 of 8 cases are not in it" in ran.told
    assert ran.exit_code == (command[0] == "policy")


@pytest.mark.parametrize("command", OPENED, ids=" ".join)
def test_keys_of_another_bundle_are_refused(handed: Handed, command: tuple[str, ...]) -> None:
    # given keys and numbers of cases, of which none is in the bundle
    entries = [orjson.loads(line) for line in handed.keys.read_bytes().splitlines()]
    handed.keys.write_bytes(b"".join(orjson.dumps({**each, "case": f"of-{each['case']}"}) + b"\n" for each in entries))

    # then nothing is told by them
    ran = ontrack(*command, *bundled(handed))
    assert (ran.exit_code, "it is of another bundle" in ran.told, ran.out) == (2, True, b"")


def exchanged(handed: Handed, spared: str, at_most: int = 100) -> list[str]:
    """Put the keys of some cases in the file under one another; give these cases. spared: one that keeps its key."""
    entries = [orjson.loads(line) for line in handed.keys.read_bytes().splitlines()]
    some = [each for each in entries if each["case"] != spared][:at_most]
    keys = [each["key"] for each in some]
    for each, key in zip(some, [*keys[1:], keys[0]], strict=True):
        each["key"] = key
    handed.keys.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in entries))
    return sorted(each["case"] for each in some)


def test_a_key_that_is_not_that_of_its_case_is_one_finding_and_the_rest_is_verified(
    handed: Handed, p1: str, tmp_path: Path
) -> None:
    # given a file in which the keys of two cases were exchanged
    cases = exchanged(handed, p1, 2)

    # when the bundle is verified, then that is said once of each, and these stay sealed
    found = handed.findings()
    assert [(each["finding"], each["case"]) for each in found] == [("other-key", case_id) for case_id in cases]
    ran = handed.verify()
    assert (ran.exit_code, "that stay sealed" in ran.told) == (1, True)

    # and no home is made of it
    ran = ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "home")
    assert (ran.exit_code, "the keys of 2 cases are others than theirs. Nothing was taken" in ran.told) == (1, True)


@pytest.mark.parametrize("command", OPENED, ids=" ".join)
def test_how_many_keys_are_not_those_of_their_cases_is_said_and_where_none_is_the_file_is_refused(
    handed: Handed, p1: str, command: tuple[str, ...]
) -> None:
    # given a file in which only one case has its own key, then that is said
    exchanged(handed, p1)
    ran = ontrack(*command, *bundled(handed))
    assert "the keys of 7 of 8 cases are others than theirs: what is said of these stays sealed" in ran.told

    # given one in which none has, then nothing is told by it
    handed.keys.write_bytes(re.sub(rb'"key":"....', b'"key":"AAAA', handed.keys.read_bytes()))
    ran = ontrack(*command, *bundled(handed))
    assert (ran.exit_code, "no key in it is that of its case" in ran.told, ran.out) == (2, True, b"")


def test_a_fact_that_names_another_key_is_found_and_its_case_is_not_left_out_for_that(
    tampering: Tampering, p1: str, tmp_path: Path
) -> None:
    # given a fact that says to be sealed under another key than all others of its case
    tampering.put(CASES, p1, 0, renamed(tampering.record(CASES, p1, 0), keyid="0" * 16))
    found = Handed(tmp_path, tampering.home).findings()
    assert "other-key" not in {each["finding"] for each in found}
    assert {"unreadable", "underivable"} <= {each["finding"] for each in found}


def test_a_case_that_a_bundle_cannot_name_is_looked_for_where_its_reader_can_look(handed: Handed, p1: str) -> None:
    # given a bundle of which all keys are here, or that of one case
    ran = ontrack("audit", "why", "P99", "--session", "3", *bundled(handed))
    assert "P99: the number of a case was expected; the file of keys lists them" in ran.told
    assert "that it lacks" not in ran.told
    lines = handed.keys.read_bytes().splitlines(keepends=True)
    handed.keys.write_bytes(b"".join(line for line in lines if orjson.loads(line)["case"] == p1))

    # then whoever asks for another one is told where it could be, and to no command that has no bundle
    ran = ontrack("audit", "why", "P2", "--session", "3", *bundled(handed))
    assert (ran.exit_code, "may be of the 7 cases that it lacks" in ran.told, "tracks" in ran.told) == (2, True, False)


def test_a_trial_on_a_bundle_that_holds_no_case_names_the_bundle(tmp_path: Path) -> None:
    asyncio.run(founded(tmp_path / "home"))
    handed = Handed(tmp_path, tmp_path / "home")
    ran = ontrack("policy", "try", "gryesten-2023", *bundled(handed))
    assert (ran.exit_code, f"{handed.file} holds no case yet" in ran.told) == (1, True)


async def founded(directory: Path) -> None:
    await (await EmbeddedHome.found(directory)).close()


async def test_whoever_interrupts_an_export_is_told_that(sound: Path) -> None:
    def interrupted(after: int) -> Callable[[int], None]:
        steps = iter(range(after))

        def progress(_: int) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt

        return progress

    async with await EmbeddedHome.open(sound) as home:
        ends = await ends_of(home.log)
        for after in range(20):
            with pytest.raises(KeyboardInterrupt):
                await write(home.log, home.log_id, ends, BytesIO(), interrupted(after))


def bundled(handed: Handed) -> tuple[str | Path, ...]:
    return "--bundle", handed.file, "--keys", handed.keys


def test_the_other_questions_are_answered_from_a_bundle_as_from_its_home(handed: Handed, sound: Path) -> None:
    for command in (("why", "P1", "--session", "3"), ("loop",), ("loop", "--list", "--format", "json")):
        assert succeeded("audit", *command, *bundled(handed)).out == succeeded("audit", *command, "--data", sound).out


def test_what_needs_the_keys_says_so(handed: Handed) -> None:
    ran = ontrack("audit", "why", "P1", "--session", "3", "--bundle", handed.file)
    assert (ran.exit_code, "name the file with their keys: --keys FILE" in ran.told) == (2, True)


def test_the_same_history_gives_the_same_bytes_whatever_home_it_stands_in(handed: Handed, tmp_path: Path) -> None:
    # given a home that was made of the bundle
    told = succeeded("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "other").told
    assert "414 records of 8 cases were taken; the history verifies." in told

    # when it is exported, and it verifies, its states too
    again = tmp_path / "again"
    again.mkdir()
    exported = Handed(again, tmp_path / "other")
    assert "8 states as derived" in succeeded("audit", "verify", "--data", tmp_path / "other").told

    # then it is the same to the byte
    assert exported.file.read_bytes() == handed.file.read_bytes()
    assert exported.keys.read_bytes() == handed.keys.read_bytes()


def test_what_stands_on_the_log_twice_is_said_once(sound: Path, tmp_path: Path, tampering: Tampering, p1: str) -> None:
    # given a home in which records stand there once more
    one = Handed(tmp_path, sound)
    for topic in (CASES, SCORES, TRACKS, NOTICES):
        tampering.append(topic, p1, tampering.record(topic, p1, 0))

    # when both are exported
    folder = tmp_path / "other"
    folder.mkdir()
    other = Handed(folder, tampering.home)

    # then they say the same, and what stands there is not the same
    assert parts(one.file, "canonical/") == parts(other.file, "canonical/")
    assert parts(one.file, "raw/") != parts(other.file, "raw/")
    assert other.findings() == []
    assert "1 once more" in other.verify().told


def test_of_what_was_recorded_twice_and_otherwise_the_canonical_part_has_what_the_stages_took(
    sound: Path, tmp_path: Path, tampering: Tampering, p1: str
) -> None:
    # given a home in which a fact was recorded once more, later, and a conclusion stands there once more, otherwise
    one = Handed(tmp_path, sound)
    fact = tampering.record(CASES, p1, 2)
    for moment in ("2027-01-01T00:00:00.000Z", "2027-01-02T00:00:00.000Z"):
        tampering.append(CASES, p1, renamed(fact, recordedtime=moment))
    otherwise(tampering, p1)

    # when both are exported
    folder = tmp_path / "other"
    folder.mkdir()
    other = Handed(folder, tampering.home)

    # then they say the same, and what stands there otherwise is found in the raw part, where it does not follow
    assert parts(one.file, "canonical/") == parts(other.file, "canonical/")
    assert parts(one.file, "raw/") != parts(other.file, "raw/")
    assert [each["finding"] for each in other.findings()] == ["repeated-otherwise"]


def test_a_fact_that_says_something_else_under_an_id_is_part_of_what_the_history_says(
    tmp_path: Path, tampering: Tampering, p1: str
) -> None:
    # given a home in which an answer came once more under its id, at another moment, and was set aside
    place = tampering.place_of(CASES, p1, ResponseSubmitted)
    event = tampering.event(CASES, p1, place)
    tampering.append(CASES, p1, renamed(tampering.record(CASES, p1, place), time="2026-01-01T00:00:00.000Z"))
    succeeded("audit", "replay", "--swap", "--data", tampering.home)

    # when it is exported
    handed = Handed(tmp_path, tampering.home)

    # then both stand in the canonical part, since the second is what was set aside
    facts = parts(handed.file, "canonical/")[f"canonical/{CASES.name}.ndjson"].splitlines()
    assert [orjson.loads(each)["id"] for each in facts].count(event.id) == 2
    assert handed.findings() == []

    # and it is no repetition for whoever has no key either
    assert handed.findings(keys=False) == []


def test_facts_of_two_cases_can_have_one_id(tmp_path: Path, tampering: Tampering, p1: str) -> None:
    # given two cases in one partition, for whose answers a client has taken one id
    kinds = (CaseEnrolled, ResponseSubmitted)
    said = [tampering.event(CASES, p1, tampering.place_of(CASES, p1, kind)).data for kind in kinds]
    names = [name for number in range(100) if partition_of(name := f"case-{number}") == 0][:2]
    ids = ("11111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-555555555556")
    facts = [
        new_fact(data, case_id=name, fact_id=fact_id, source="urn:x", happened=day_of(0))
        for name in names
        for data, fact_id in zip(said, ids, strict=True)
    ]

    async def recorded() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.intake.record(facts)
            await home.catch_up()

    asyncio.run(recorded())

    # when the history is verified with keys and without, then nothing is wrong
    handed = Handed(tmp_path, tampering.home)
    assert handed.findings() == []
    assert handed.findings(keys=False) == []


def test_a_checkpoint_is_compared_with_a_bundle(tampering: Tampering, p1: str, tmp_path: Path) -> None:
    # given a checkpoint that an auditor has kept
    public = succeeded("audit", "key", "north", "--output", tmp_path / "key").out.decode().strip()
    succeeded("audit", "seal", "--data", tampering.home, "--key", tmp_path / "key", "--output", tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    sound = Handed(tmp_path, tampering.home)
    against = ("--checkpoint", kept, "--public-key", public)
    assert "The checkpoint of" in sound.verify(*against, keys=False).told

    # when the log is told anew, and exported
    torn_off(tampering, p1)
    torn_off(tampering, p1)
    folder = tmp_path / "other"
    folder.mkdir()
    ran = Handed(folder, tampering.home).verify(*against, "--format", "json", keys=False)

    # then that is found without any key
    assert [each["finding"] for each in orjson.loads(ran.out)["findings"]] == ["checkpoint"]


def test_an_event_is_proved_from_a_bundle(tampering: Tampering, p1: str, tmp_path: Path) -> None:
    public = succeeded("audit", "key", "north", "--output", tmp_path / "key").out.decode().strip()
    succeeded("audit", "seal", "--data", tampering.home, "--key", tmp_path / "key")
    handed = Handed(tmp_path, tampering.home)
    event = tampering.event(TRACKS, p1, 3).id
    succeeded("audit", "prove", event, "--bundle", handed.file, "--output", tmp_path / "proof")
    assert event in succeeded("audit", "check-proof", tmp_path / "proof", "--public-key", public).told


def test_a_bundle_that_was_cut_is_no_file_of_responses(handed: Handed, tmp_path: Path) -> None:
    handed.file.write_bytes(handed.file.read_bytes()[:-1000])
    ran = ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "new")
    assert (ran.exit_code, "a bundle was expected, whole and not changed" in ran.told) == (1, True)


def test_one_source_is_named(handed: Handed, sound: Path) -> None:
    ran = ontrack("audit", "verify")
    assert (ran.exit_code, "--data DIR" in ran.told, "--bundle FILE" in ran.told) == (2, True, True)
    ran = ontrack("audit", "verify", "--bundle", handed.file, "--data", sound)
    assert (ran.exit_code, "either --data or --bundle was expected" in ran.told) == (2, True)
    ran = ontrack("audit", "verify", "--data", sound, "--keys", handed.keys)
    assert (ran.exit_code, "name that with --bundle FILE" in ran.told) == (2, True)
    ran = ontrack("audit", "export", "--data", sound, "--output", handed.keys, "--keys", handed.keys)
    assert (ran.exit_code, "another file than --output" in ran.told) == (2, True)


def test_nothing_is_left_behind(handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    handed.verify()
    succeeded("audit", "loop", *bundled(handed))
    handed.rewritten(with_another_record)
    handed.verify()
    assert list(aside.iterdir()) == []


HOLDS: Final = """
import sys
from services.cli.scratch import scratch
with scratch(sys.argv[1]) as folder:
    (folder / sys.argv[2]).touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def left_by_a_killed_one(aside: Path, prefix: str) -> Path:
    """Let a process be killed that has a folder with something in it; give that."""
    environment = {**os.environ, "TMPDIR": str(aside)}
    command = [sys.executable, "-c", HOLDS, prefix, DATABASE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        process.kill()
    assert (folder / DATABASE).exists()
    return folder


def test_what_a_command_that_was_killed_has_left_is_removed_by_the_next(
    handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the folder of a command that goes on, and that of one that was killed
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    with scratch("ontrack-bundle-") as held:
        (held / DATABASE).touch()
        left = left_by_a_killed_one(aside, "ontrack-bundle-")

        # when another one reads a bundle
        ran = handed.verify()

        # then only what nobody uses is gone
        assert f"{left} was left by a command that was killed; it was removed." in ran.told
        assert (left.exists(), (held / DATABASE).exists()) == (False, True)
    assert list(aside.iterdir()) == []


def test_a_dry_run_makes_nothing_and_removes_what_a_killed_one_has_left(
    handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    left = left_by_a_killed_one(aside, "ontrack-dry-run-")
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    told = succeeded("import", handed.file, *bundled(handed)[2:], "--data", tmp_path / "new", "--dry-run").told
    assert "would be taken" in told
    assert f"{left} was left by a command that was killed; it was removed." in told
    assert list(aside.iterdir()) == []
    assert not (tmp_path / "new" / DATABASE).exists()
