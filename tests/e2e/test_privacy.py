"""What patients say, and who they are, stands nowhere in the open: not in a file, not on a screen."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES, TOPICS
from services.embedded import MASTER_KEY
from tests.support.command import Ran, ontrack, succeeded
from tests.support.contents import counts
from tests.support.dying import deaths

NUMBER: Final = "0412893344"
COMMENT: Final = "Søster Amalie ringede, og så græd jeg"
PROBLEM: Final = "at blive forladt af Bertram"
ANSWERS: Final = {"frequency": 4, "intensity": 3, "engagement": 4, "work_school_home": 3, "social_life": 4}
SAID: Final = (COMMENT, "Amalie", PROBLEM, "Bertram")
_AN_ANSWER: Final = re.compile(rb'"(?:answers|' + "|".join(ANSWERS).encode() + rb')" ?: ?(?:\{|\d)')
"""Answers as JSON; an item's own definition has its id as a value, never as a name."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A course of a patient who says a lot."""
    lines = [
        f"{NUMBER},{session},2026-01-{5 + session:02d},odsis,{','.join(str(value) for value in ANSWERS.values())},{{}}"
        for session in range(5)
    ]
    file = tmp_path / "answers.csv"
    header = f"case,session,answered_at,instrument,{','.join(ANSWERS)},comment"
    file.write_text("\n".join([header, *(line.format(f'"{COMMENT}"') for line in lines)]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def home(tmp_path: Path, file: Path) -> Path:
    succeeded("import", file, "--enrol", "--data", tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An opened log in which a patient says a lot, and names a problem."""
    directory = tmp_path / "log"
    succeeded("simulate", "--groups", "1", "--patients", "2", "--as", "facts", "--output", directory)
    facts = directory / f"{CASES.name}.ndjson"
    told = []
    for line in facts.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["data"].get("comment"):
            event["data"]["comment"] = COMMENT
        if event["type"] == "ontrack.problem-named.v1":
            event["data"]["text"] = f"{PROBLEM} {event['data']['problem']}"
        told.append(json.dumps(event, ensure_ascii=False))
    facts.write_text("\n".join(told) + "\n", encoding="utf-8")
    assert all(text in facts.read_text(encoding="utf-8") for text in SAID)
    return directory


def found_in(directory: Path) -> Iterator[str]:
    """Find what stands in the open in the files of a data directory, but for its master key."""
    for file in sorted(directory.rglob("*")):
        if file.is_dir() or file.name == MASTER_KEY:
            continue
        content = file.read_bytes()
        for text in (*SAID, NUMBER):
            for written in (text.encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")):
                if written in content:
                    yield f"{file.name}: {text}"
        if _AN_ANSWER.search(content):
            yield f"{file.name}: answers"


def test_a_data_directory_does_not_give_away_what_was_imported(home: Path) -> None:
    # given a home with all that a patient said
    revealed = succeeded("export", "--data", home, "--topic", CASES.name, "--reveal").out
    assert COMMENT.encode() in revealed
    assert _AN_ANSWER.search(revealed)

    # when somebody reads its files
    # then nothing of that is there
    assert counts(home)[CASES.name] == 6
    assert list(found_in(home)) == []


def test_a_data_directory_does_not_give_away_what_came_in_an_opened_log(log: Path, tmp_path: Path) -> None:
    # given an opened log with all that patients said, and their own words for their problems
    # when it is imported
    ran = succeeded("import", log, "--data", tmp_path / "home")

    # then nothing of that stands in its files, or on the screen
    revealed = succeeded("export", "--data", tmp_path / "home", "--topic", CASES.name, "--reveal").out.decode()
    assert all(text in revealed for text in SAID)
    assert list(found_in(tmp_path / "home")) == []
    assert ran.gives_away(SAID) == []


def test_a_process_that_was_killed_leaves_nothing_in_the_open(file: Path, tmp_path: Path) -> None:
    # given an import that was killed at several moments, with its write-ahead log left behind
    met = list(deaths(range(5, 640, 19), "import", file, "--enrol", "--data", tmp_path / "{n}"))
    homes = [tmp_path / str(death.moment) for death in met]
    assert any((home / "ontrack.db-wal").exists() and counts(home)[CASES.name] for home in homes)

    # when somebody reads its files
    # then nothing is there either
    for home in homes:
        assert list(found_in(home)) == [], home


def test_a_data_directory_and_its_key_are_for_their_owner_only(home: Path) -> None:
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / MASTER_KEY).stat().st_mode & 0o777 == 0o600


def test_nobody_without_the_master_key_can_recompute_an_id_from_a_number(file: Path, tmp_path: Path) -> None:
    # given the same patient in two homes that have nothing in common but the patient's number
    ids = []
    for name in ("one", "another"):
        succeeded("import", file, "--enrol", "--data", tmp_path / name)
        lines = succeeded("export", "--data", tmp_path / name, "--topic", CASES.name).out.splitlines()
        ids.append({value for line in lines for key, value in json.loads(line).items() if key in ("id", "subject")})

    # when somebody compares what stands in the open there
    # then nothing shows that it is the same patient: no id follows from the number alone, which could then be guessed
    assert not ids[0] & ids[1]


def test_an_export_that_is_sealed_does_not_give_away_anything(home: Path, log: Path, tmp_path: Path) -> None:
    # given a home of answers that were imported, and one of a log
    succeeded("import", log, "--data", tmp_path / "from-log")

    for number, directory in enumerate((home, tmp_path / "from-log")):
        # when it is exported
        exported = tmp_path / f"exported-{number}"
        ran = succeeded("export", "--data", directory, "--output", exported, "--keys", tmp_path / f"keys-{number}")

        # then nothing stands there in the open
        assert list(found_in(exported)) == []
        assert ran.gives_away([*SAID, NUMBER]) == []


def spoken(home: Path, file: Path, tmp_path: Path) -> Iterator[tuple[str, Ran]]:
    """Run every command that is not asked to reveal anything."""
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(file.read_text(encoding="utf-8").replace(",4,3,4,", ",4,33,4,"), encoding="utf-8")
    other = tmp_path / "other.csv"
    other.write_text(file.read_text(encoding="utf-8").replace(COMMENT, f"{COMMENT}!"), encoding="utf-8")
    policies = ("gryesten-2023", "gryesten-2023-window")
    for name, arguments in {
        "import again": ("import", file, "--enrol", "--data", home),
        "dry run": ("import", file, "--enrol", "--dry-run", "--data", home),
        "import with faults": ("import", wrong, "--enrol", "--data", home),
        "import without faults": ("import", wrong, "--enrol", "--skip-invalid", "--data", home),
        "import with other content": ("import", other, "--enrol", "--data", home),
        "import of nobody": ("import", other, "--clinic", "other", "--data", home),
        "import into nowhere": ("import", file, "--enrol", "--policy", policies[1], "--data", tmp_path / "new"),
        **{f"export of {topic}": ("export", "--topic", topic, "--data", home) for topic in TOPICS},
        "export of a case": ("export", "--topic", CASES.name, "--case", "nobody", "--data", home),
        "policies": ("policy", "list"),
    }.items():
        yield name, ontrack(*arguments)


def test_no_command_says_who_a_patient_is_or_what_was_said(home: Path, file: Path, tmp_path: Path) -> None:
    # given a home with all that a patient said
    # when any command runs that writes or exports, right or wrong
    for name, ran in spoken(home, file, tmp_path):
        # then nothing of it is on the screen
        assert ran.gives_away([*SAID, NUMBER]) == [], name
        assert not _AN_ANSWER.search(ran.said.encode()), name


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
@pytest.mark.parametrize("command", ["tracks", "case", "reports"])
def test_no_list_says_what_was_said(home: Path, command: str, form: str) -> None:
    # given a home with all that a patient said
    number = [NUMBER] if command == "case" else []

    # when its cases are listed or shown
    ran = succeeded(command, *number, "--format", form, "--data", home)

    # then the patient's words and answers are not
    assert ran.out
    assert ran.gives_away(SAID) == []
    assert not _AN_ANSWER.search(ran.out)
