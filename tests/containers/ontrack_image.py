"""The image of OnTrack, built as whoever runs it builds it, but where nothing can be fetched while it is built."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from docker.utils.build import exclude_paths  # type: ignore[import-untyped]

from deploy.local.building import built, run
from tests.containers import debian
from tests.containers.stand_ins import base, build, is_missing, name_of

ROOT: Final = Path(__file__).parents[2]
_LOCK: Final = ROOT / "requirements.lock"
_DOCKERFILE: Final = ROOT / "deploy/Dockerfile"
_NO_NETWORK: Final = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"}


def ontrack(client: Any) -> str:
    """Make the image unless an engine has it, and name it."""
    files = {name: ROOT / name for name in context() if (ROOT / name).is_file()}
    of = base(client)
    name = name_of("ontrack", *files.values(), _DOCKERFILE, Path(debian.__file__))
    if is_missing(client, name):
        wheels = {f"wheels/{wheel.name}": wheel for wheel in _wheels().iterdir()}
        arguments = {"ONTRACK_BASE_IMAGE": of, **_NO_NETWORK}
        build(client, name, {"Dockerfile": _DOCKERFILE} | files | wheels, arguments)
        for image in client.images.list("ontrack/ontrack"):
            for outdated in set(image.tags) - {name}:
                client.images.remove(outdated)
    return name


def context() -> list[str]:
    """Name everything that is sent to whoever builds the image, as `.dockerignore` says."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    return sorted(exclude_paths(str(ROOT), patterns, dockerfile="deploy/Dockerfile"))


def _wheels() -> Path:
    """Name the folder of the packages that the image needs; they are fetched first unless they are here."""
    return built("wheels", [_LOCK], partial(_fetch, ["--only-binary=:all:", "--require-hashes", "--no-deps"]))


def _fetch(options: list[str], folder: Path) -> None:
    run([sys.executable, "-m", "pip", "download", "--quiet", *options, "--requirement", _LOCK, "--dest", folder])
