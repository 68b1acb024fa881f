"""`python -m deploy.local` as a developer meets it: what it says, and what it leaves."""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.local.everyday import Everyday
from deploy.local.ports import HOST
from deploy.local.prerequisites import Missing, require
from deploy.local.scratch import scratch_directory

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 600


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder of data that has ports of its own."""
    with scratch_directory() as folder:
        Everyday(folder, free_ports=True)
        yield folder


def local(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def require_all() -> None:
    """Skip the test where the machine lacks something, and say what."""
    try:
        require(*Everyday.needs())
    except Missing as missing:
        pytest.skip(str(missing))


def test_help_names_every_command_and_nonsense_is_refused() -> None:
    helped, refused = local("--help"), local("nonsense")
    assert helped.returncode == 0
    assert all(re.search(rf"^ +{name} ", helped.stdout, re.MULTILINE) for name in ("up", "down", "status", "env"))
    assert refused.returncode == 2
    assert "invalid choice: 'nonsense'" in refused.stderr


def test_what_does_not_run_is_told_and_needs_no_taking_down(data: Path) -> None:
    status, down = local("status", "--data", data), local("down", "--data", data)
    assert status.returncode == 1
    assert [line.split("  ")[0] for line in status.stdout.splitlines()] == ["kafka-1", "postgresql", "ferretdb"]
    assert status.stdout.count(" does not run ") == 3
    assert (down.returncode, down.stdout) == (0, "down already\n")


def test_a_shell_takes_what_a_region_needs_also_where_the_folder_has_a_blank(data: Path) -> None:
    # given data in a folder whose name a shell would take for two
    folder = data / "of mine"

    # when a shell is set up for it
    command = f'eval "$({sys.executable} -m deploy.local env --data {shlex.quote(str(folder))})"; env -0'
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONTRACK_")}
    ran = subprocess.run(
        ["sh", "-euc", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
    )

    # then its programs know the servers and the master key
    known = dict(each.partition("=")[::2] for each in ran.stdout.split("\0"))
    assert {name for name in known if name.startswith("ONTRACK_")} == {
        "ONTRACK_KAFKA_SERVERS",
        "ONTRACK_MONGODB_URL",
        "ONTRACK_MONGODB_DATABASE",
        "ONTRACK_MONGODB_AT_ONCE",
        "ONTRACK_MASTER_KEY_FILE",
    }
    assert known["ONTRACK_MASTER_KEY_FILE"] == str(folder / "master.key")


def test_a_start_that_fails_leaves_nothing_behind(data: Path) -> None:
    # given a port of FerretDB's at which somebody else listens
    require_all()
    everyday = Everyday(data)
    _, _, port = everyday.environment()["ONTRACK_MONGODB_URL"].rstrip("/").rpartition(":")
    with socket.create_server((HOST, int(port))):
        # when the servers are to be started
        ran = local("up", "--data", data)

    # then it says who is in the way and what to do, and nothing runs
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        f"another program listens on {HOST}:{port}: end it, or add --free-ports, for this data to have other ports"
    )
    assert [server.pid for server in everyday.servers().values()] == [None, None, None]


def test_the_same_data_is_served_at_other_ports_on_request(data: Path) -> None:
    # given data that was served at some ports
    require_all()
    before = local("env", "--data", data).stdout
    assert local("up", "--data", data).returncode == 0
    assert local("up", "--data", data, "--free-ports").stdout == "up already\n"
    assert local("down", "--data", data).stdout == "stopped: kafka-1, postgresql, ferretdb\n"

    # when others are asked for
    ran = local("up", "--data", data, "--free-ports")

    # then it is served there, and keeps them
    assert ran.stdout == "started: kafka-1, postgresql, ferretdb\n"
    assert local("env", "--data", data).stdout != before
    assert local("up", "--data", data).stdout == "up already\n"

    # and while it runs at ports that are not its own, it gets none
    for own in data.glob("*/ports*"):
        own.unlink()
    refused = local("up", "--data", data, "--free-ports")
    assert "these servers run, so they have their ports" in refused.stderr
    assert local("down", "--data", data).returncode == 0
