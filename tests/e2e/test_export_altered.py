"""What was altered in an export is found when it is imported."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TRACKS, Topic
from tests.support.command import ontrack
from tests.support.contents import counts
from tests.support.opened import DERIVED, OF_CASES
from tests.support.simulated import Wire, assert_all_equal, events, texts


def rewritten(source: Path, target: Path, topic: Topic, change: Callable[[list[Wire]], object]) -> Path:
    """Copy an export with something changed in a topic."""
    shutil.copytree(source, target)
    file = target / f"{topic.name}.ndjson"
    lines = events(file.read_bytes())
    change(lines)
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    return target


def first(lines: list[Wire], kind: str) -> Wire:
    return next(line for line in lines if line["type"] == f"ontrack.{kind}.v1")


def other_status(lines: list[Wire]) -> None:
    event = next(
        line
        for line in lines
        if line["type"] == "ontrack.track-evaluated.v1" and line["data"]["status"] == "not_on_track"
    )
    event["data"]["status"] = "on_track"


def other_score(lines: list[Wire]) -> None:
    scale = first(lines, "score-computed")["data"]["scales"][0]
    scale["value"] = str(int(scale["value"]) + 1)


def other_report(lines: list[Wire]) -> None:
    first(lines, "report-issued")["data"]["content"]["clinic"] = "another"


CHANGES: Final = {
    "a status": (TRACKS, other_status),
    "a score": (SCORES, other_score),
    "a report": (NOTICES, other_report),
    "a time": (NOTICES, lambda lines: lines[0].update(time="2020-01-01T00:00:00.000Z")),
    "a cause": (TRACKS, lambda lines: lines[3].update(correlationid=lines[4]["id"])),
}


@pytest.mark.parametrize(("topic", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_a_derived_event_that_was_altered_is_found(
    home: Path, revealed: Path, tmp_path: Path, topic: Topic, change: Callable[[list[Wire]], object]
) -> None:
    # given an export in which somebody altered a conclusion
    altered = rewritten(revealed, tmp_path / "altered", topic, change)
    before, after = (events((each / f"{topic.name}.ndjson").read_bytes()) for each in (revealed, altered))
    [event] = [one for one, other in zip(before, after, strict=True) if one != other]

    # when it is imported
    ran = ontrack("import", altered, "--data", tmp_path / "copy")

    # then the event is named with its type and its case, the others are equal, and nothing is taken
    assert ran.exit_code == 1
    count = counts(home)[topic.name] - 1
    assert f"{topic.name}: {count:,} events are equal, 1 differ, 0 are only in the export, 0 only derived" in ran.told
    assert f"  differs: event {event['id']}, {event['type']} of case {event['subject']}\n" in ran.told
    assert "nothing was taken" in ran.told
    assert "were taken" not in ran.told
    assert not (tmp_path / "copy").exists()
    assert ran.told.count("all equal") == len(DERIVED) - 1
    assert ran.gives_away(texts()) == []


def test_a_derived_event_that_was_taken_out_is_found(revealed: Path, tmp_path: Path) -> None:
    altered = rewritten(revealed, tmp_path / "altered", TRACKS, lambda lines: lines.pop(10))
    ran = ontrack("import", altered, "--data", tmp_path / "copy")
    assert ran.exit_code == 1
    assert "0 differ, 0 are only in the export, 1 only derived here" in ran.told
    assert "  only derived here: event " in ran.told


def test_a_derived_event_that_was_put_in_is_found(revealed: Path, tmp_path: Path) -> None:
    def put_in(lines: list[Wire]) -> None:
        last = max((line for line in lines if line["subject"] == lines[0]["subject"]), key=lambda e: int(e["sequence"]))
        lines.append({**last, "sequence": str(int(last["sequence"]) + 1)})

    altered = rewritten(revealed, tmp_path / "altered", NOTICES, put_in)
    ran = ontrack("import", altered, "--data", tmp_path / "copy")
    assert ran.exit_code == 1
    assert "0 differ, 1 are only in the export, 0 only derived here" in ran.told
    assert "  only in the export: event " in ran.told


def test_of_many_events_that_differ_ten_are_named(revealed: Path, tmp_path: Path) -> None:
    altered = rewritten(revealed, tmp_path / "altered", TRACKS, lambda lines: lines.__delitem__(slice(10, 40)))
    ran = ontrack("import", altered, "--data", tmp_path / "copy")
    assert "30 only derived here" in ran.told
    assert ran.told.count("  only derived here: event ") == 10


@pytest.mark.parametrize("topic", [DEFINITIONS, *OF_CASES], ids=lambda topic: topic.name)
@pytest.mark.parametrize("end", [-40, 0], ids=["within its last line", "whole"])
def test_nothing_is_taken_of_an_export_of_which_a_file_was_cut(
    revealed: Path, tmp_path: Path, topic: Topic, end: int
) -> None:
    # given an export of which a file lacks its end
    cut = shutil.copytree(revealed, tmp_path / "cut")
    file = cut / f"{topic.name}.ndjson"
    lines = len(file.read_bytes().splitlines())
    file.write_bytes(file.read_bytes()[:end])

    # when it is imported into an empty directory
    (tmp_path / "copy").mkdir()
    ran = ontrack("import", cut, "--data", tmp_path / "copy")

    # then nothing is there, and what was found is said
    assert ran.exit_code == 1
    assert list((tmp_path / "copy").iterdir()) == []
    if end < 0:
        assert f"{topic.name}.ndjson: line {lines}: an event" in ran.told
    assert ran.gives_away(texts()) == []


@pytest.mark.parametrize("line", [b'["Amalie"]\n', b'{"case": "Amal'], ids=["a list", "cut"])
def test_a_line_that_names_no_case_is_told_by_its_place(revealed: Path, tmp_path: Path, line: bytes) -> None:
    # given an export whose list of the cases has a line that is none
    broken = shutil.copytree(revealed, tmp_path / "broken")
    with (broken / "directory.ndjson").open("ab") as file:
        file.write(line)
    number = len((broken / "directory.ndjson").read_bytes().splitlines())

    # when it is imported
    ran = ontrack("import", broken, "--data", tmp_path / "copy")

    # then the line is named
    assert ran.exit_code == 1
    assert f"directory.ndjson: line {number}: a case" in ran.told
    assert ran.gives_away(["Amal"]) == []


def test_an_event_that_is_repeated_with_other_content_is_found(revealed: Path, tmp_path: Path) -> None:
    # given an export in which an event stands twice, the second time with another status
    def repeat(lines: list[Wire]) -> None:
        repeated: list[Wire] = json.loads(json.dumps(lines))
        other_status(repeated)
        lines.extend(other for one, other in zip(list(lines), repeated, strict=True) if one != other)

    altered = rewritten(revealed, tmp_path / "altered", TRACKS, repeat)

    # when it is imported
    ran = ontrack("import", altered, "--data", tmp_path / "copy")

    # then it is found: a repeated event has the same bytes
    assert ran.exit_code == 1


def test_an_event_that_is_repeated_as_it_was_counts_once(revealed: Path, tmp_path: Path) -> None:
    repeated = rewritten(revealed, tmp_path / "repeated", TRACKS, lambda lines: lines.extend(lines[5:9]))
    assert_all_equal(ontrack("import", repeated, "--data", tmp_path / "copy"))


def test_a_seal_that_was_broken_is_found(sealed: Path, keys: Path, tmp_path: Path) -> None:
    for topic in OF_CASES:
        # given an export in which somebody altered what is sealed
        def break_seal(lines: list[Wire]) -> None:
            text = lines[2]["data_base64"]
            lines[2]["data_base64"] = ("B" if text[0] == "A" else "A") + text[1:]

        altered = rewritten(sealed, tmp_path / topic.name, topic, break_seal)

        # when it is imported
        ran = ontrack("import", altered, "--keys", keys, "--data", tmp_path / f"copy-{topic.name}")

        # then its place is named
        assert ran.exit_code == 1
        assert f"{topic.name}.ndjson: line 3: " in ran.told


def other_answer(lines: list[Wire]) -> None:
    odsis = next(
        line for line in lines if line["data"].get("instrument", "").startswith("odsis") and "answers" in line["data"]
    )
    answers = odsis["data"]["answers"]
    answers["frequency"] = 4 - answers["frequency"] if answers["frequency"] != 2 else 0


def without_a_response(lines: list[Wire]) -> None:
    lines.remove(first(lines, "response-submitted"))


@pytest.mark.parametrize("change", [other_answer, without_a_response], ids=["an answer", "a response"])
def test_a_fact_that_was_altered_leads_to_other_conclusions(
    revealed: Path, tmp_path: Path, change: Callable[[list[Wire]], object]
) -> None:
    # given an export in which somebody altered what a patient answered
    altered = rewritten(revealed, tmp_path / "altered", CASES, change)

    # when it is imported
    ran = ontrack("import", altered, "--data", tmp_path / "copy")

    # then what follows from it is not what stands there
    assert ran.exit_code == 1
    assert "what was derived again is not what stands in the export" in ran.told
    assert ran.gives_away(texts()) == []


def test_a_definition_that_was_altered_is_found(revealed: Path, tmp_path: Path) -> None:
    # given an export in which somebody altered a threshold
    def other_threshold(lines: list[Wire]) -> None:
        policy = next(line for line in lines if line["data"].get("ref", "").startswith("gryesten-2023@"))
        policy["data"]["body"]["rules"][0]["at_least"] = "4"

    altered = rewritten(revealed, tmp_path / "altered", DEFINITIONS, other_threshold)

    # when it is imported
    ran = ontrack("import", altered, "--data", tmp_path / "copy")

    # then it is refused: a definition is named by its content
    assert ran.exit_code in (1, 2)
    assert "gryesten-2023@1" in ran.told


BROKEN: Final[dict[str, tuple[Topic, bytes]]] = {
    "no JSON": (CASES, b"Amalie ringede\n"),
    "no event": (CASES, b'{"comment":"Amalie ringede"}\n'),
    "a list": (CASES, b'["Amalie ringede"]\n'),
    "no text": (CASES, b"\xff\xfe\x00Amalie ringede\n"),
    "a definition that is none": (DEFINITIONS, b'{"comment":"Amalie ringede"}\n'),
    "a derived event that is none": (TRACKS, b'{"comment":"Amalie ringede"}\n'),
}


@pytest.mark.parametrize(("topic", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_a_line_that_is_no_event_is_named(revealed: Path, tmp_path: Path, topic: Topic, line: bytes) -> None:
    # given an export with a line that is no event
    broken = shutil.copytree(revealed, tmp_path / "broken")
    file = broken / f"{topic.name}.ndjson"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], line, *lines[4:]]))

    # when it is imported
    ran = ontrack("import", broken, "--data", tmp_path / "copy")

    # then the line is named, and nothing of what stands there is told
    assert ran.exit_code in (1, 2)
    assert f"{topic.name}.ndjson: line 5: " in ran.told
    assert ran.gives_away(["Amalie"]) == []
