"""What the reading commands say to somebody who asks for what is not there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.homes import SECRET
from tests.support.command import ONTRACK, PATIENCE, ontrack, run_apart

OF_A_HOME = [("tracks",), ("case", "P1"), ("reports",), ("policy", "list"), ("definitions", "list")]
ALL = [*OF_A_HOME, ("policy", "show"), ("definitions", "show"), ("definitions", "check")]


@pytest.mark.parametrize("command", OF_A_HOME, ids=" ".join)
@pytest.mark.parametrize(("where", "says"), [("nowhere", "is not there"), ("empty", "holds no OnTrack data")])
def test_a_directory_without_data_is_refused_with_what_to_do(
    command: tuple[str, ...], where: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()

    ran = ontrack(*command, "--data", tmp_path / where)

    assert ran.exit_code == 2
    assert f"{tmp_path / where} {says}" in ran.told
    assert "ontrack import" in ran.told
    assert not ran.out
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", [("tracks",), ("case", "P1"), ("reports",)], ids=" ".join)
def test_without_a_directory_one_is_asked_for(command: tuple[str, ...]) -> None:
    ran = ontrack(*command)

    assert ran.exit_code == 2
    assert "--data DIR" in ran.told


@pytest.mark.parametrize("command", [("tracks", "--case"), ("case",), ("reports", "--case")], ids=" ".join)
def test_an_unknown_case_is_refused_with_where_to_find_the_known_ones(command: tuple[str, ...], home: Path) -> None:
    ran = ontrack(*command, "P99", "--data", home)

    assert ran.exit_code == 2
    assert "P99: the number of a case was expected; ontrack tracks lists them all" in ran.told
    assert SECRET not in ran.said


def test_the_exit_code_is_that_of_the_process(home: Path) -> None:
    assert run_apart("case", "P99", "--data", str(home)).exit_code == 2
    assert run_apart("case", "P1", "--data", str(home)).exit_code == 0


@pytest.mark.parametrize("command", [("doctor",), ("case", "P1"), ("definitions", "show", "who-5")], ids=" ".join)
def test_a_terminal_that_lacks_characters_ends_no_command(command: tuple[str, ...], home: Path) -> None:
    # given a terminal of Western Europe, of before there was Unicode
    western = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}

    # when something is shown that it lacks
    ran = subprocess.run(
        [ONTRACK, *command, "--data", home], capture_output=True, check=False, env=western, timeout=PATIENCE
    )

    # then the rest is shown all the same
    assert ran.returncode in (0, 1)
    assert b"Traceback" not in ran.stderr
    assert ran.stdout.strip()


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_help_says_what_it_does_and_gives_an_example(command: tuple[str, ...]) -> None:
    words = command[:1] if command[0] in ("tracks", "case", "reports") else command
    ran = ontrack(*words, "--help")

    assert ran.exit_code == 0
    assert f"Example: ontrack {' '.join(words)}" in " ".join(ran.out.decode().split())


@pytest.mark.parametrize("group", [(), ("audit",), ("definitions",), ("dlq",), ("halted",), ("policy",), ("token",)])
def test_help_of_a_group_says_of_each_command_what_it_is_for_to_the_end(group: tuple[str, ...]) -> None:
    listed = ontrack(*group, "--help").out.decode().partition("Commands:\n")[2].splitlines()

    assert listed
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_a_setting_that_has_another_name_now_is_not_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONTRACK_TIMEZONE", "America/Godthab")

    ran = ontrack("case", "P1", "--data", home)

    assert ran.exit_code == 2
    assert "ONTRACK_TIMEZONE is called ONTRACK_TIME_ZONE now" in ran.told


def test_a_directory_that_cannot_be_one_is_refused_and_none_is_made_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a shell whose variable is not set, or names something in a file
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.touch()
    for named, told in (
        ("", "a directory was expected, and nothing is said"),
        (str(file / "home"), f"was expected to be a directory, but {file} is a file"),
    ):
        for command in (("up",), ("doctor",), ("token", "list")):
            ran = ontrack(*command, "--data", named)
            assert (ran.exit_code, told in ran.told) == (2, True)
    assert [*tmp_path.iterdir()] == [file]
