"""Audits that are killed while they make anew what stages know."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from contracts.topics import CASES
from tests.failures.storm import Storm
from tests.support.command import ONTRACK, PATIENCE
from tests.support.region import Region

BY_SEVERAL: Final = ("audit", "replay", "--swap", "--processes", "3")


@contextmanager
def killed_in_the_end(region: Region) -> Iterator[None]:
    """Have several processes make anew what stages know, and kill the one that was called."""
    with subprocess.Popen([ONTRACK, *BY_SEVERAL], env=region.environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            assert process.poll() is None, "it had ended before"
        finally:
            process.kill()
            process.wait(PATIENCE)


def test_several_processes_that_are_killed_on_their_way_leave_what_the_next_ones_end(weather: Storm) -> None:
    # given a region with the facts of a clinic, of which no service has read any
    weather.begin()
    weather.wait_for(1, CASES)

    # when several processes make anew what its stages should know, and are killed at some moments
    for moment in weather.chance.moments(3):
        with killed_in_the_end(weather.region):
            weather.wait_for(moment)

    # then the next ones end it, and the services go on as if nothing had happened
    weather.region.succeeded(*BY_SEVERAL)
    assert "The history verifies" in weather.region.succeeded("audit", "verify").told
    weather.region.serve()
    weather.ends_well()
