"""Commands whose streams are closed, full, or lack characters: what can be told is told, and all else is done."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from services.embedded import MASTER_KEY
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.running import running

FULL: Final = "/dev/full"


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", f"2>{FULL}", f">{FULL} 2>{FULL}"])
def test_a_clinic_runs_though_nothing_that_it_says_can_be_written(tmp_path: Path, streams: str) -> None:
    data = tmp_path / "live"
    with running(data, streams=streams) as clinic:
        assert clinic.end(signal.SIGTERM) == 0
    assert "Nothing is wrong." in ontrack("doctor", "--data", data).told


@pytest.mark.parametrize("stream", [">&-", f">{FULL}"])
def test_that_a_token_could_not_be_shown_is_told(tmp_path: Path, stream: str) -> None:
    data = tmp_path / "live"
    with running(data, streams=stream) as clinic:
        assert any("so nobody has it: ontrack token make makes another one." in line for line in clinic.lines)
        succeeded("token", "make", "admin", "--role", "admin", "--clinic", "clinic", "--data", data)


def test_a_terminal_that_lacks_characters_shows_all_others(tmp_path: Path) -> None:
    # given a clinic whose key everybody can read, and a terminal of a time before Unicode
    data = tmp_path / "home"
    with running(data):
        (data / MASTER_KEY).chmod(0o644)
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}

    # when the doctor looks at it, then what to do is told to its end
    ran = subprocess.run(
        [ONTRACK, "doctor", "--data", data], capture_output=True, env=environment, timeout=PATIENCE, check=False
    )
    assert (ran.returncode, b"FINDING" in ran.stdout, b"\\u2192 " in ran.stdout) == (1, True, True)
    assert b"2 findings." in ran.stderr
