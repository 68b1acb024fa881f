"""Docker Compose, built from its Go module: Debian has an old one only."""

from functools import cache
from pathlib import Path
from typing import Final

from deploy.local import golang
from deploy.local.building import built

_MODULE: Final = Path(__file__).parent / "compose"
_SOURCES: Final = [_MODULE / "go.mod", _MODULE / "go.sum"]
_PACKAGE: Final = "github.com/docker/compose/v2"


@cache
def compose() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("compose", _SOURCES, _build) / "docker-compose"


def _build(folder: Path) -> None:
    lines = (_MODULE / "go.mod").read_text(encoding="utf-8").split("\n")
    version = next(line.split()[1] for line in lines if line.strip().startswith(f"{_PACKAGE} "))
    # Without symbols it takes two thirds of the disk, and without optimising it is built in half of the time.
    flags = f"-ldflags=-s -w -X {_PACKAGE}/internal.Version={version}"
    golang.build(_MODULE, folder / "docker-compose", f"{_PACKAGE}/cmd", flags, "-gcflags=all=-N -l -dwarf=false")
