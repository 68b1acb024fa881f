"""What `ontrack token make` refuses, in words."""

from pathlib import Path

import pytest

from services.embedded import EmbeddedHome
from tests.support.command import ontrack


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    async with await EmbeddedHome.found(tmp_path / "home"):
        pass
    return tmp_path / "home"


OURS = "NAME: another one was expected: group is how OnTrack says"
NORTH = ("--role", "ehr", "--clinic", "north")
A_NAME = "at most 64 letters a to z, digits and . _ : - were expected"


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("group", NORTH, OURS),
        ("a:group", NORTH, OURS),
        ("records", ("--role", "ehr", "--clinic", ""), f"--clinic: {A_NAME}"),
        ("records", ("--role", "ehr"), "--clinic: a clinic was expected for ehr"),
        ("post", ("--role", "mailer", "--clinic", ""), "--clinic: the mailer works for every clinic: leave it out"),
        ("søren", ("--role", "mailer"), f"NAME: {A_NAME}"),
    ],
)
def test_a_token_that_could_not_be_used_is_not_made(home: Path, name: str, options: tuple[str, ...], says: str) -> None:
    ran = ontrack("token", "make", name, *options, "--data", home)
    assert (ran.exit_code, ran.out) == (2, b"")
    assert says in ran.told
