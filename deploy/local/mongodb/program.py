"""FerretDB as a program, built from its Go module with the few lines of `main.go`."""

import json
from functools import cache
from pathlib import Path

from deploy.local.building import build_folder, built, run
from deploy.local.prerequisites import GO, Program, require, version

_HERE = Path(__file__).parent
_SOURCES = [_HERE / "main.go", _HERE / "go.mod", _HERE / "go.sum"]
_CHOOSES_ITSELF = (1, 21)
"""From here on Go fetches the Go that a module asks for."""


def needs() -> list[Program]:
    """What the machine must have for the program to be built."""
    return [] if build_folder("ferretdb", _SOURCES).exists() else [GO]


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb", _SOURCES, _build) / "ferretdb"


def _build(folder: Path) -> None:
    run(
        [_go(), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", folder / "ferretdb", "."],
        within=_HERE,
        environment={"GOTOOLCHAIN": "auto"},
    )


def _go() -> Path:
    """Find a Go that is new enough or fetches one that is; the Go of Debian 12 is told to fetch it as a module."""
    (go,) = require(GO)
    if version(go, "version") >= _CHOOSES_ITSELF:
        return go
    module = (_HERE / "go.mod").read_text(encoding="utf-8")
    wanted = next(line.removeprefix("go ") for line in module.splitlines() if line.startswith("go "))
    platform = "-".join(run([go, "env", "GOOS", "GOARCH"]).split())
    fetched = run([go, "mod", "download", "-json", f"golang.org/toolchain@v0.0.1-go{wanted}.{platform}"])
    folder = Path(json.loads(fetched)["Dir"])
    # A module has no programs, so they are made ones here.
    for file in [*(folder / "bin").iterdir(), *(folder / "pkg" / "tool").rglob("*")]:
        file.chmod(0o755)
    return folder / "bin" / "go"
