"""Tests run on containers, where a Docker engine has the images."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deploy.local.places import home
from deploy.local.prerequisites import Missing, Program
from tests.containers.debian import DEBOOTSTRAP
from tests.containers.engine import Engine, engine_of_its_own
from tests.containers.stand_ins import stand_ins
from tests.support import containers
from tests.support.sources import ONLY

pytestmark = pytest.mark.xdist_group("docker")

ROOT: Final = Path(__file__).parents[2]
SUITES: Final = ("tests/conformance/test_kafka.py", "tests/conformance/test_mongodb.py")
WITHIN_THE_ENGINE: Final = ("-n", "2", "-p", "no:cacheprovider", "-k", "not away")
"""Two processes share the servers; what takes a server away has its own."""


@contextmanager
def engine(data: Path, *also: Program) -> Iterator[Engine]:
    """Lends a Docker engine; skips the test, and says what to install, where there can be none."""
    try:
        with engine_of_its_own(data, *also) as lent:
            yield lent
    except Missing as missing:
        pytest.skip(str(missing))


def test_suites_pass_on_servers_in_containers() -> None:
    # given a Docker engine that has stand-ins for the images of Kafka and MongoDB
    with engine(home() / "docker", DEBOOTSTRAP) as lent, lent.client() as client:
        images = stand_ins(client)
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ONTRACK_"))}
        named = {containers.KAFKA.variable: images.kafka, containers.MONGODB.variable: images.mongodb}

        # when suites are run that take their servers from there, and each of whose tests must run
        run = subprocess.run(
            lent.inside([sys.executable, "-m", "pytest", *WITHIN_THE_ENGINE, *SUITES]),
            cwd=ROOT,
            env={**outer, **named, "DOCKER_HOST": lent.host, ONLY: "containers", "ONTRACK_REQUIRE_ALL": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

        # then they pass, and leave no container
        assert run.returncode == 0, run.stdout + run.stderr
        assert " passed" in run.stdout
        assert client.containers.list(all=True) == []


def test_an_engine_that_cannot_get_an_image_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a Docker engine without images, from which no registry can be reached
    with engine(tmp_path / "docker") as lent:
        monkeypatch.setenv("DOCKER_HOST", lent.host)
        monkeypatch.delenv(containers.KAFKA.variable, raising=False)

        # when a server is wanted of it, then it is none, and the reason names the image
        with pytest.raises(Missing, match="cannot get the image apache/kafka:"):
            containers.kafka(tmp_path)


def test_the_image_has_the_version_that_runs_without_docker() -> None:
    # given the version that deploy/local brings
    brought = re.search(r"<kafka.version>(.+)</", (ROOT / "deploy/local/kafka/pom.xml").read_text("utf-8"))

    # then the published image is of that version
    assert brought is not None
    assert containers.KAFKA.published == f"apache/kafka:{brought[1]}"
