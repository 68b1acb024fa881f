"""A run takes its servers from the first source that has them, and says what to install where none has."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from deploy.local.prerequisites import Missing
from tests.support import containers
from tests.support.servers import KAFKA
from tests.support.sources import ONLY, found

ROOT: Final = Path(__file__).parents[2]
A_TEST: Final = "tests/conformance/test_kafka.py::TestLog::test_a_new_partition_is_empty"


def test_a_server_that_the_environment_names_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an environment that names brokers
    monkeypatch.setenv(KAFKA.variable, "kafka.example:9092")
    monkeypatch.delenv(ONLY, raising=False)

    # when a run seeks them, then it takes those
    assert found(KAFKA, tmp_path) == "kafka.example:9092"


def test_what_the_first_process_has_found_is_taken_by_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a process that has found brokers for the run
    monkeypatch.setenv(KAFKA.variable, "kafka.example:9092")
    monkeypatch.setenv(ONLY, "environment")
    found(KAFKA, tmp_path)

    # when another one seeks them, then it takes the same, wherever it would look itself
    monkeypatch.delenv(KAFKA.variable)
    assert found(KAFKA, tmp_path) == "kafka.example:9092"


def test_only_the_source_that_is_wanted_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a run that must take what the environment names, which names nothing
    monkeypatch.setenv(ONLY, "environment")
    monkeypatch.delenv(KAFKA.variable, raising=False)

    # when it seeks brokers, then it has none, and only that source says why
    with pytest.raises(pytest.skip.Exception) as skipped:
        found(KAFKA, tmp_path)
    assert str(skipped.value) == f"There is no Kafka for the tests.\nenvironment: {KAFKA.variable} names none"


def test_a_source_that_there_is_not_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a run that must take its servers from a source that there is not
    monkeypatch.setenv(ONLY, "moon")

    # when it seeks them, then the error names those that there are
    with pytest.raises(pytest.UsageError, match="moon: it can be environment, containers, local"):
        found(KAFKA, tmp_path)


def test_an_engine_that_does_not_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a socket at which everybody waits for ever
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")

        # when a server is wanted of it, then soon there is none
        begun = time.monotonic()
        with pytest.raises(Missing, match="no Docker engine answers"):
            containers.mongodb(tmp_path)
        assert time.monotonic() - begun < 30


def test_the_end_says_what_to_install_where_no_source_has_a_server(tmp_path: Path) -> None:
    # given a machine that has neither Docker nor Java, and nobody who may install them
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ONTRACK_"))}
    outer.pop("JAVA_HOME", None)
    bare = {"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}

    # when a test is run there that needs Kafka
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", A_TEST],
        cwd=ROOT,
        env=outer | bare,
        capture_output=True,
        text=True,
        check=False,
    )

    # then it is listed at the end, with every way to get it
    assert run.returncode == 0, run.stdout + run.stderr
    end = run.stdout[run.stdout.index("= skipped tests =") :]
    assert A_TEST in end
    assert f"{KAFKA.variable} names none" in end
    assert "no Docker engine answers" in end
    assert "apt-get install --no-install-recommends default-jre-headless" in end
