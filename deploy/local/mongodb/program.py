"""FerretDB as a program, built from its Go module with the few lines of `main.go`."""

from functools import cache
from pathlib import Path

from deploy.local import golang
from deploy.local.building import build_folder, built
from deploy.local.prerequisites import GO, Program

_HERE = Path(__file__).parent
_SOURCES = [_HERE / "main.go", _HERE / "go.mod", _HERE / "go.sum"]


def needs() -> list[Program]:
    """What the machine must have for the program to be built."""
    return [] if build_folder("ferretdb", _SOURCES).exists() else [GO]


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb", _SOURCES, lambda folder: golang.build(_HERE, folder / "ferretdb")) / "ferretdb"
