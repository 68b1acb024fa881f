"""An export is the log: it can be read, and it can be replayed elsewhere."""

import json
import subprocess
from pathlib import Path

import pytest

from contracts.topics import CASES, DEFINITIONS, SCORES, TOPICS, Topic
from services.embedded import MASTER_KEY
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.contents import contents, counts, raw_histories, same, sealed_states
from tests.support.desk import Desk, row, table
from tests.support.opened import DERIVED, OF_CASES
from tests.support.simulated import SEED, assert_all_equal, cohort, events, simulated, texts


def on_stdout(home: Path, topic: Topic, *options: str) -> bytes:
    return succeeded("export", "--data", home, "--topic", topic.name, *options).out


@pytest.mark.parametrize("topic", OF_CASES, ids=lambda topic: topic.name)
def test_a_topic_goes_sealed_to_standard_output(home: Path, topic: Topic) -> None:
    # given a home with comments and problems
    assert len(texts()) > 20

    # when a topic is exported
    lines = on_stdout(home, topic)

    # then it is one event a line, all of them, and nothing can be read of what was said
    assert len(events(lines)) == counts(home)[topic.name]
    assert all("data" not in event and event["data_base64"] and event["keyid"] for event in events(lines))
    assert [text for text in texts() if text.encode() in lines] == []


def test_what_is_revealed_holds_the_answers(home: Path) -> None:
    # given what the simulated patients answered
    expected = sorted(
        (response.session, response.instrument, sorted(response.answers.items()), response.comment or "")
        for case in cohort()
        for response in case.responses
    )

    # when the facts are exported opened
    facts = events(on_stdout(home, CASES, "--reveal"))

    # then they say so
    said = [event["data"] for event in facts if event["type"] == "ontrack.response-submitted.v1"]
    found = sorted(
        (data["session"], data["instrument"].split("@")[0], sorted(data["answers"].items()), data["comment"] or "")
        for data in said
    )
    assert found == expected
    problems = {event["data"]["text"] for event in facts if event["type"] == "ontrack.problem-named.v1"}
    assert problems == {problem.text for case in cohort() for problem in case.problems}
    assert all("data_base64" not in event and "keyid" not in event for event in facts)


def test_a_disk_that_is_full_is_told_with_the_file(home: Path, tmp_path: Path) -> None:
    # given room for less than the export needs, though for what SQLite writes beside the database
    place = tmp_path / "exported"
    limited = f"ulimit -f 64; exec {ONTRACK} export --output {place} --data {home}"

    # when it is made, then it is told which file is not whole
    ran = subprocess.run(["bash", "-c", limited], capture_output=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 2, ran.stderr
    [cut] = (file for file in place.iterdir() if file.stat().st_size == 64 * 1024)
    assert ran.stderr.decode() == f"Error: {cut}: room for all of it was expected (File too large); it is not whole\n"


def test_revealing_opens_the_same_events(home: Path) -> None:
    for topic in OF_CASES:
        outside = [{**event, "data_base64": None, "keyid": None} for event in events(on_stdout(home, topic))]
        opened = [{**event, "data": None} for event in events(on_stdout(home, topic, "--reveal"))]
        for event in outside:
            del event["data_base64"], event["keyid"]
        for event in opened:
            del event["data"]
        assert opened == outside


def test_the_events_of_one_case(desk: Desk) -> None:
    # given two cases
    desk.takes(table([row(case, session, 30) for case in ("A1", "B2") for session in range(4)]))
    [case_id] = [case_id for case_id, number in contents(desk.home).numbers.items() if number == "B2"]

    # when one is exported, by its number or by its id
    for topic in OF_CASES:
        of_all = events(on_stdout(desk.home, topic))
        for name in ("B2", case_id):
            found = events(on_stdout(desk.home, topic, "--case", name))

            # then its events are there, all and only they
            assert found
            assert found == [event for event in of_all if event["subject"] == case_id]


def test_the_export_of_one_case_can_be_imported(desk: Desk) -> None:
    # given one of two cases, exported with its key
    desk.takes(table([row(case, session, 30) for case in ("A1", "B2") for session in range(4)]))
    exported, key, other = desk.place / "exported", desk.place / "key", desk.place / "other"
    succeeded("export", "--data", desk.home, "--case", "B2", "--output", exported, "--keys", key)
    assert len(key.read_bytes().splitlines()) == 1

    # when it is imported elsewhere
    ran = succeeded("import", exported, "--keys", key, "--data", other)

    # then its whole history is there
    assert ran.told.count("all equal") == len(DERIVED)
    for topic in OF_CASES:
        [history] = raw_histories(other, topic).items()
        assert raw_histories(desk.home, topic)[history[0]] == history[1]


def test_a_case_that_is_not_known_cannot_be_exported(home: Path) -> None:
    ran = ontrack("export", "--data", home, "--topic", CASES.name, "--case", "P9999")
    assert ran.exit_code == 2
    assert ran.out == b""
    assert "P9999" in ran.told


@pytest.mark.parametrize("topics", [[], [CASES, SCORES]], ids=["all topics", "two topics"])
def test_several_topics_need_a_directory(home: Path, topics: list[Topic]) -> None:
    ran = ontrack("export", "--data", home, *(part for topic in topics for part in ("--topic", topic.name)))
    assert ran.exit_code == 2
    assert ran.out == b""
    assert "--output" in ran.told


def test_all_topics_go_to_files_for_their_owner_only(home: Path, sealed: Path, keys: Path) -> None:
    # given an export of everything, with the keys
    # when its files are looked at
    files = {file.name.removesuffix(".ndjson"): file for file in sealed.iterdir()}

    # then each holds a topic, and only its owner can read it
    assert set(files) == {topic.name for topic in (DEFINITIONS, *OF_CASES)} | {"rom.cases.v1.dlq"}
    assert {file.stat().st_mode & 0o777 for file in (*files.values(), keys)} == {0o600}
    assert sealed.stat().st_mode & 0o777 == 0o700
    for name, file in files.items():
        assert file.read_bytes() == on_stdout(home, TOPICS[name])


def test_an_export_is_never_open_to_others(home: Path, tmp_path: Path) -> None:
    # given files of these names that anybody can read
    directory, key_file = tmp_path / "exported", tmp_path / "keys"
    directory.mkdir()
    files = [directory / f"{CASES.name}.ndjson", key_file]
    for file in files:
        file.touch(mode=0o644)

    # when answers and keys are exported into them
    options = ("--topic", CASES.name, "--reveal", "--output", directory, "--keys", key_file)
    succeeded("export", "--data", home, *options)

    # then only their owner can read them
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


@pytest.mark.parametrize("name", ["master.key", "monday.backup"])
def test_keys_are_written_over_nothing_but_keys(desk: Desk, name: str) -> None:
    # given a home with its master key, a backup, and keys that were exported before
    desk.takes(table([row("P1", 0, 20)]))
    keys, file = desk.place / "case.keys", (desk.home if name == MASTER_KEY else desk.place) / name
    succeeded("backup", desk.place / "monday.backup", "--data", desk.home)
    succeeded("export", "--data", desk.home, "--output", desk.place / "exported", "--keys", keys)
    before = file.read_bytes()

    # when keys are exported to the place of something else, then that stays, and nothing is exported
    ran = ontrack("export", "--data", desk.home, "--output", desk.place / "once more", "--keys", file)
    assert ran.exit_code == 2
    assert f"{file} is there already, and is no file of keys" in ran.told
    assert file.read_bytes() == before
    assert not (desk.place / "once more").exists()

    # and those that were exported before are taken the place of
    succeeded("export", "--data", desk.home, "--output", desk.place / "exported", "--keys", keys)


def test_what_was_sealed_is_the_same_to_the_byte_elsewhere(
    home: Path, sealed: Path, keys: Path, tmp_path: Path
) -> None:
    # given an export as it stands, and its keys
    # when it is imported into an empty home
    copy = tmp_path / "copy"
    assert_all_equal(ontrack("import", sealed, "--keys", keys, "--data", copy))

    # then every event, every state and every later export is the same, to the byte
    for topic in OF_CASES:
        assert raw_histories(copy, topic) == raw_histories(home, topic)
    assert sealed_states(copy) == sealed_states(home)
    succeeded("export", "--data", copy, "--output", tmp_path / "again", "--keys", tmp_path / "keys")
    for file in sealed.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()
    assert (tmp_path / "keys").read_bytes() == keys.read_bytes()


def test_what_was_revealed_says_the_same_elsewhere(home: Path, revealed: Path, tmp_path: Path) -> None:
    # given an opened export
    # when it is imported into an empty home
    assert_all_equal(ontrack("import", revealed, "--data", tmp_path / "copy"))

    # then everything is the same under other keys
    assert same(contents(tmp_path / "copy"), contents(home))
    succeeded("export", "--data", tmp_path / "copy", "--reveal", "--output", tmp_path / "again")
    for file in revealed.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_what_is_sealed_needs_its_keys(sealed: Path, tmp_path: Path) -> None:
    # given a sealed export
    # when it is imported without its keys
    ran = ontrack("import", sealed, "--data", tmp_path / "copy")

    # then a sentence says what is needed, and nothing is made
    assert ran.exit_code == 2
    assert "sealed" in ran.told
    assert "--keys FILE" in ran.told
    assert not (tmp_path / "copy").exists()


def test_the_keys_of_other_cases_open_nothing(desk: Desk, sealed: Path, keys: Path) -> None:
    # given the keys of another clinic, and keys that somebody mixed up
    desk.takes(table([row("A1", 0, 30)]))
    others, mixed = desk.place / "others", desk.place / "mixed"
    succeeded("export", "--data", desk.home, "--output", desk.place / "exported", "--keys", others)
    entries = events(keys.read_bytes())
    shifted = [{**entry, "key": other["key"]} for entry, other in zip(entries, entries[1:] + entries[:1], strict=True)]
    mixed.write_text("".join(f"{json.dumps(entry)}\n" for entry in shifted))

    for file in (others, mixed):
        # when a sealed export is imported with them
        ran = ontrack("import", sealed, "--keys", file, "--data", desk.place / "copy")

        # then it is refused
        assert ran.exit_code in (1, 2)
        assert f"{CASES.name}.ndjson: line 1: " in ran.told
        assert not (desk.place / "copy").exists()


@pytest.mark.parametrize("left", ["all others", "one that was destroyed", "none"])
def test_a_case_whose_key_is_not_in_the_file_of_keys_is_named(
    sealed: Path, keys: Path, tmp_path: Path, left: str
) -> None:
    # given a file of keys without that of the first case on the log, whatever else is in it
    lacking = events((sealed / f"{CASES.name}.ndjson").read_bytes())[0]["subject"]
    others = [entry for entry in events(keys.read_bytes()) if entry["case"] != lacking]
    entries = {"all others": others, "one that was destroyed": [{**others[0], "key": None}], "none": []}[left]
    some = tmp_path / "some"
    some.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))

    # when a sealed export is imported with it, then it is said which key is missing, and nothing is made
    ran = ontrack("import", sealed, "--keys", some, "--data", tmp_path / "copy")
    assert (ran.exit_code, f"the file of keys has no key of case {lacking}" in ran.told) == (1, True)
    assert not (tmp_path / "copy").exists()


def test_a_log_goes_into_an_empty_home_only(home: Path, sealed: Path, keys: Path) -> None:
    # given a home with data
    records, states = counts(home), sealed_states(home)

    # when a log is imported into it, even its own
    ran = ontrack("import", sealed, "--keys", keys, "--data", home)

    # then it is refused, and nothing is changed
    assert ran.exit_code == 2
    assert "an exported log goes into an empty directory" in ran.told
    assert counts(home) == records
    assert sealed_states(home) == states


def test_a_directory_that_is_no_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = ontrack("import", tmp_path / "empty", "--data", tmp_path / "copy")
    assert ran.exit_code == 2
    assert f"{DEFINITIONS.name}.ndjson: this file was expected" in ran.told
    assert not (tmp_path / "copy").exists()


def test_the_same_seed_simulates_the_same_bytes(tmp_path: Path) -> None:
    # given a simulated cohort
    one, again, another = (simulated(tmp_path / str(n), seed) for n, seed in enumerate((SEED, SEED, SEED + 1)))

    # when it is drawn again, and once with another seed
    # then the files are the same, and others
    for file in one.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()
    assert (another / f"{CASES.name}.ndjson").read_bytes() != (one / f"{CASES.name}.ndjson").read_bytes()
    assert {file.stat().st_mode & 0o777 for file in one.iterdir()} == {0o600}


def test_simulated_facts_are_a_log_like_any_other(home: Path, revealed: Path, tmp_path: Path) -> None:
    # given a simulated cohort that was imported and exported again
    facts = simulated(tmp_path / "facts")

    # when both are put side by side
    # then every fact stands there as it was simulated
    file = f"{CASES.name}.ndjson"
    assert sorted((revealed / file).read_bytes().splitlines()) == sorted((facts / file).read_bytes().splitlines())
    assert counts(home)["rom.cases.v1.dlq"] == 0
