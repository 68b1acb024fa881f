"""Programs that are built from Go modules."""

import json
from pathlib import Path

from deploy.local.building import run
from deploy.local.prerequisites import GO, require, version

_CHOOSES_ITSELF = (1, 21)
"""From here on Go fetches the Go that a module asks for."""

_ENVIRONMENT = {"GOTOOLCHAIN": "auto"}
_HASTY = {**_ENVIRONMENT, "GOGC": "200"}
"""A compiler that looks for garbage half as often takes a tenth less time, and a half more memory."""


def build(module: Path, program: Path, package: str = ".", *options: str) -> None:
    """Build a program from a package of a module, whose folder is given, as `go.sum` knows it. Raises BuildFailed."""
    fixed = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
    run(
        [_go(module), "build", *fixed, *options, "-o", program, package],
        within=module,
        environment=_HASTY,
    )


def folder_of(module: Path, of: str) -> Path:
    """Give the folder of a module that another one needs; it is fetched if it is not there. Raises BuildFailed."""
    go = _go(module)
    run([go, "mod", "download", of], within=module, environment=_ENVIRONMENT)
    said = run([go, "list", "-m", "-f", "{{.Dir}}", of], within=module, environment=_ENVIRONMENT)
    return Path(said.strip())


def _go(module: Path) -> Path:
    """Find a Go that is new enough or fetches one that is; the Go of Debian 12 is told to fetch it as a module."""
    (go,) = require(GO)
    if version(go, "version") >= _CHOOSES_ITSELF:
        return go
    lines = (module / "go.mod").read_text(encoding="utf-8").splitlines()
    wanted = next(line.removeprefix("go ") for line in lines if line.startswith("go "))
    platform = "-".join(run([go, "env", "GOOS", "GOARCH"]).split())
    fetched = run([go, "mod", "download", "-json", f"golang.org/toolchain@v0.0.1-go{wanted}.{platform}"])
    folder = Path(json.loads(fetched)["Dir"])
    # A module has no programs, so they are made ones here.
    for file in [*(folder / "bin").iterdir(), *(folder / "pkg" / "tool").rglob("*")]:
        file.chmod(0o755)
    return folder / "bin" / "go"
