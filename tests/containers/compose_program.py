"""Docker Compose: the second version, from the first release of Debian that has it, since older ones have the first."""

import shutil
from functools import cache
from pathlib import Path
from typing import Final

from deploy.local.building import built, run
from deploy.local.prerequisites import Missing
from tests.containers.debian import mirror

_VERSION: Final = "2.26.1-4"
_SHA256: Final = {
    "amd64": "47681197cb2b1ab88206b42a1a92fc75f50d9530a6322d03494a473eed0408ea",
    "arm64": "bbafaa666f3e7fa00ad36f2a8bab889f1c791ca8743d674e7267a3d07203869c",
}
"""Of the package, by what Debian calls the kind of machine."""

_DOWNLOADER: Final = Path("/usr/lib/apt/apt-helper")
"""Apt's own: it asks where apt asks, and takes nothing that has another digest."""

_PLUGIN: Final = "usr/libexec/docker/cli-plugins/docker-compose"


@cache
def compose() -> Path:
    """Name the program; it is fetched first unless it is here. Raises Missing."""
    return built("compose", [Path(__file__)], _fetch) / "docker-compose"


def _fetch(folder: Path) -> None:
    if not _DOWNLOADER.exists():
        raise Missing(f"Docker Compose {_VERSION} is fetched by apt: run these tests on Debian")
    machine = run(["dpkg", "--print-architecture"]).strip()
    if machine not in _SHA256:
        raise Missing(f"the digest of Docker Compose {_VERSION} is not known for {machine}")
    package = folder / "compose.deb"
    place = f"{mirror()}pool/main/d/docker-compose/docker-compose_{_VERSION}_{machine}.deb"
    run([_DOWNLOADER, "download-file", place, package, f"SHA256:{_SHA256[machine]}"])
    unpacked = folder / "unpacked"
    run(["dpkg-deb", "--extract", package, unpacked])
    (unpacked / _PLUGIN).rename(folder / "docker-compose")
    shutil.rmtree(unpacked)
    package.unlink()
