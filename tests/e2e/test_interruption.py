"""Ctrl-C: a command ends in words between two steps, and the same command finishes the work."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from contracts.codec import plain_data
from services.cli.interruption import INTERRUPTED, between_steps, heed
from tests.support.clinic import a_case
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.contents import progress

pytestmark = pytest.mark.xdist_group("interruption")

_POLL: Final = 0.002
GROUPS: Final = "12"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("interrupted") / "cohort.csv"
    succeeded("simulate", "--groups", GROUPS, "--output", file)
    return file


def interrupted(file: Path, directory: Path, records: int, number: signal.Signals) -> tuple[int, str]:
    """Import a file, with a signal when the log has so many records; give the exit code and what was said."""
    process = subprocess.Popen(
        [ONTRACK, "import", file, "--enrol", "--data", directory],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while process.poll() is None and progress(directory) < records:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL)
    process.send_signal(number)
    _, told = process.communicate(timeout=PATIENCE)
    return process.returncode, told.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_import_that_is_interrupted_is_finished_by_the_same_command(
    number: signal.Signals, cohort: Path, tmp_path: Path
) -> None:
    # given an import that nobody disturbed
    whole, home = tmp_path / "whole", tmp_path / "home"
    succeeded("import", cohort, "--enrol", "--data", whole)
    records = progress(whole)

    # when another one is interrupted on its way, again and again
    for part in (0.1, 0.3, 0.5, 0.7):
        # Not before it goes on: where it was further already, it would be met while Python starts.
        code, told = interrupted(cohort, home, max(int(part * records), progress(home) + 1), number)

        # then it ends, says so, and nothing was shown of what it was doing
        assert code == INTERRUPTED
        assert told == "Error: interrupted. Nothing is lost: give the same command again.\n"
        assert progress(home) < records

    # and the same command finishes it
    succeeded("import", cohort, "--enrol", "--data", home)
    assert progress(home) == records


class Asking:
    """Presses Ctrl-C when a module is about to be imported."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        if name == self._name:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Who runs tests in the background of a shell has told them to take no notice of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize(
    ("name", "command"),
    [("services.cli.audit.group", ("audit", "verify")), ("services.cli.doctor.command", ("doctor",))],
)
def test_a_command_that_is_interrupted_before_its_work_begins_says_so_and_ends_as_any_other(
    name: str, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a command that is still being loaded when somebody presses Ctrl-C
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Asking(name), *sys.meta_path])

    # when it ends, then not with the code of a finding
    ran = ontrack(*command, "--data", tmp_path)
    assert ran.exit_code == INTERRUPTED
    assert ran.told == "Error: interrupted. Nothing is lost: give the same command again.\n"


def test_a_signal_does_not_disturb_what_is_being_written() -> None:
    # given something to write
    events = a_case(12).scored(13, 14, 15).detector.out
    written = [plain_data(event.data) for event in events]

    # when somebody presses Ctrl-C while it is written
    with between_steps():
        os.kill(os.getpid(), signal.SIGINT)
        again = [plain_data(event.data) for event in events]

        # then it is written as always, and the work ends at the next step
        assert again == written
        with pytest.raises(KeyboardInterrupt):
            heed()

    # and that was that
    heed()


def asked_twice(number: signal.Signals, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Send a signal twice to a program that is busy with one long step."""
    program = (
        "import os, signal\n"
        "from services.cli.interruption import between_steps\n"
        "with between_steps():\n"
        f"    os.kill(os.getpid(), {number})\n"
        f"    os.kill(os.getpid(), {number})\n"
        "    print('went on')\n"
    )
    run: list[str | Path] = [*command, ONTRACK.with_name("python"), "-c", program]
    return subprocess.run(run, check=False, capture_output=True, text=True, timeout=PATIENCE)


def test_a_second_ctrl_c_ends_a_command_that_does_not_heed_the_first() -> None:
    # when Ctrl-C is pressed twice
    ran = asked_twice(signal.SIGINT)

    # then it ends there and then
    assert (ran.returncode, ran.stdout) == (INTERRUPTED, "")
    assert ran.stderr == "\nStopped at once. Nothing is lost.\n"


@pytest.mark.parametrize("ignoring", [(), ("nohup",)], ids=["heard", "ignored"])
def test_a_terminal_that_goes_ends_a_command_in_order_however_often_that_is_said(ignoring: tuple[str, ...]) -> None:
    ran = asked_twice(signal.SIGHUP, *ignoring)
    assert (ran.returncode, ran.stdout) == (0, "went on\n")
