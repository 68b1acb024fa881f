"""Every command of the README does what it says; `make demo` and `make test` are run by CI themselves."""

import http.client
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.local.everyday import Everyday
from deploy.local.places import home, made
from deploy.local.ports import free_ports
from deploy.local.prerequisites import Missing, Program, require
from deploy.local.scratch import scratch_directory
from tests.support.pages import README, ROOT, blocks_of, typed

CURL: Final = Program("curl", "curl", lambda: None if (found := shutil.which("curl")) is None else Path(found))


def commands(heading: str) -> str:
    """Give what the README says to type below a heading."""
    (block,) = blocks_of(README, heading)
    return block


def answers(port: int) -> bool:
    """Tell whether anybody answers at a port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/alive")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A newcomer's directory, which holds what a checkout holds after `make demo`."""
    with scratch_directory() as folder:
        for name in ("contracts", "deploy"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        yield folder


@pytest.fixture
def servers(checkout: Path) -> Everyday:
    """The servers of that directory, not started, at ports that nobody else has."""
    try:
        require(*Everyday.needs(), CURL)
    except Missing as missing:
        pytest.skip(str(missing))
    local = checkout / ".local"
    local.mkdir(mode=0o711)
    (local / "build").symlink_to(made(home() / "build"))
    return Everyday(local / "data", free_ports=True)


def test_every_command_of_the_readme_works_for_a_newcomer(checkout: Path) -> None:
    # when they type what stands there
    ran = typed(commands("With your own data"), checkout)

    # then each command succeeds
    assert ran.returncode == 0, ran.stderr
    assert (checkout / "reports" / "index.html").exists()


def elsewhere(text: str) -> tuple[str, list[int]]:
    """Put ports that nobody else has in place of those of the README, which others may use; give these too."""
    named = sorted(set(re.findall(r"\b80\d\d\b", text)))
    ports = dict(zip(named, free_ports(len(named)), strict=True))
    return re.sub(r"\b80\d\d\b", lambda found: str(ports[found[0]]), text), list(ports.values())


def test_a_newcomer_runs_a_clinic_with_its_api(checkout: Path) -> None:
    # when they type what stands there
    text, ports = elsewhere(commands("As a clinic with an API"))
    ran = typed(text, checkout)

    # then each command succeeds, a case is enrolled, and nothing of it runs any more
    assert ran.returncode == 0, ran.stderr
    assert '{"alive":true}{"case":"' in ran.stdout
    assert "enrolled" in ran.stdout
    assert not any(answers(port) for port in ports)


def test_a_newcomer_brings_up_a_region_and_takes_it_down_again(checkout: Path, servers: Everyday) -> None:
    # given a file of answers, and ports in place of those of the README, which others may use
    assert typed(commands("With your own data").splitlines()[0], checkout).returncode == 0
    text, ports = elsewhere(commands("As a region"))

    # when they type what stands there
    ran = typed(text, checkout)

    # then each command succeeds, and a service tells that it is ready
    assert ran.returncode == 0, ran.stderr
    assert "16 of 16 cases enrolled" in ran.stderr
    assert '{"ready":true,"why":[]}' in ran.stdout
    assert len(re.findall(r"^P00\d\d .* not_on_track ", ran.stdout, re.MULTILINE)) > 0

    # and nothing of it runs any more
    assert not any(answers(port) for port in ports)
    assert [server.pid for server in servers.servers().values()] == [None, None, None]
