"""Where a run finds the servers that its tests share.

First those that the environment names; else containers, where a Docker engine answers and can get the images; else the
servers of deploy/local. The first process that needs a server looks for it, and the others take what it has found.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

import pytest

from deploy.local.places import locked, written
from deploy.local.prerequisites import Missing

ONLY: Final = "ONTRACK_TEST_SERVERS"
"""Names the one source that is asked, where not all of them are."""


class Local(Protocol):
    """A server of deploy/local."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """Stop it."""


@dataclass(frozen=True)
class Shared:
    """A server that tests share.

    variable: of the environment, which names one that runs
    in_a_container: starts one for the run that has a folder; gives its address
    here: makes a local one in a folder, not started; gives its address too
    """

    name: str
    variable: str
    in_a_container: Callable[[Path], str]
    here: Callable[[Path], tuple[Local, str]]


@dataclass(frozen=True)
class Found:
    """Where a server is, or why there is none."""

    address: str | None
    why_not: str = ""


def _named(shared: Shared, _: Path) -> str:
    address = os.environ.get(shared.variable)
    if address is None:
        raise Missing(f"{shared.variable} names none")
    return address


def _contained(shared: Shared, run: Path) -> str:
    return shared.in_a_container(run)


def _local(shared: Shared, run: Path) -> str:
    server, address = shared.here(run / shared.name)
    server.start()
    return address


_SOURCES: Final[Mapping[str, Callable[[Shared, Path], str]]] = {
    "environment": _named,
    "containers": _contained,
    "local": _local,
}
"""A source gives the address of a server, or raises Missing and says what it would take."""


def found(shared: Shared, run: Path) -> str:
    """Give the address of a server; skip the test if there is none, and say what to install."""
    file = run / f"{shared.name}.json"
    with locked(file.with_suffix(".lock")):
        if not file.exists():
            written(file, json.dumps(asdict(_search(shared, run))))
    server = Found(**json.loads(file.read_text(encoding="utf-8")))
    if server.address is None:
        pytest.skip(server.why_not)
    return server.address


def stopped(shared: Shared, run: Path) -> None:
    """Stop the local server of a run, if it has one."""
    if (run / shared.name).exists():
        server, _ = shared.here(run / shared.name)
        server.stop()


def _search(shared: Shared, run: Path) -> Found:
    reasons = [f"There is no {shared.name} for the tests."]
    for name, source in _asked().items():
        try:
            return Found(source(shared, run))
        except Missing as missing:
            reasons.append(f"{name}: {missing}")
    return Found(None, "\n".join(reasons))


def _asked() -> Mapping[str, Callable[[Shared, Path], str]]:
    only = os.environ.get(ONLY)
    if only is None:
        return _SOURCES
    if only not in _SOURCES:
        raise pytest.UsageError(f"{ONLY} is {only}: it can be {', '.join(_SOURCES)}")
    return {only: _SOURCES[only]}
