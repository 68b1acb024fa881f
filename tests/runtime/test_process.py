"""What becomes of a process whose serving ends."""

import os
import subprocess
import sys

import pytest

from tests.support.command import PATIENCE

WORDS = "what a patient wrote"


@pytest.mark.parametrize(
    ("how", "told"), [("fails", "it has ended (RuntimeError in _serve, line "), ("is broken off", "(broken off)")]
)
def test_a_service_whose_serving_ends_by_a_fault_ends_so_that_it_is_started_again(how: str, told: str) -> None:
    # given a service whose serving ends, which nobody has asked for
    needed = {"KAFKA_SERVERS": "127.0.0.1:9", "MONGODB_URL": "mongodb://127.0.0.1:9", "MASTER_KEY_FILE": "master.key"}
    environment = {**os.environ, **{f"ONTRACK_{name}": value for name, value in needed.items()}}

    # when it runs, then it ends by itself, and not as one that was told to
    command = [sys.executable, "-m", "tests.support.ending", how, WORDS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1, ended.stderr

    # and the log says where that was, and nothing of what stood in the error
    assert told in ended.stderr
    assert WORDS not in ended.stderr
