"""Images that stand in for those of Kafka and MongoDB, where no registry can be reached: see README.md."""

import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docker.errors import ImageNotFound  # type: ignore[import-untyped]

from deploy.local import kafka, mongodb
from deploy.local.building import build_folder
from deploy.local.kafka.jars import classpath
from deploy.local.mongodb.program import program
from tests.containers import debian

_HERE: Final = Path(__file__).parent
_KAFKA: Final = Path(kafka.__file__).parent
_MONGODB: Final = Path(mongodb.__file__).parent
_BASE: Final = [Path(debian.__file__)]


@dataclass(frozen=True)
class StandIns:
    """The names of the images."""

    kafka: str
    mongodb: str


def stand_ins(client: Any) -> StandIns:
    """Make the images that an engine does not have yet, and name them."""
    return StandIns(_kafka(client), _mongodb(client))


def _kafka(client: Any) -> str:
    files = {
        "Dockerfile": _HERE / "kafka.Dockerfile",
        "run": _HERE / "kafka-run.sh",
        "log4j2.properties": _KAFKA / "log4j2.properties",
    }
    name = _name("kafka-stand-in", *files.values(), _KAFKA / "jars.sha256", *_BASE)
    if _is_missing(client, name):
        jars = {f"libs/{Path(jar).name}": Path(jar) for jar in classpath().split(":")}
        _build(client, name, files | jars)
    return name


def _mongodb(client: Any) -> str:
    files = {"Dockerfile": _HERE / "mongodb.Dockerfile", "run": _HERE / "mongodb-run.sh"}
    name = _name("mongodb-stand-in", *files.values(), *(_MONGODB / each for each in ("main.go", "go.sum")), *_BASE)
    if _is_missing(client, name):
        _build(client, name, files | {"ferretdb": program()})
    return name


def _build(client: Any, name: str, files: Mapping[str, Path]) -> None:
    """Build an image from files, by their names in its Dockerfile, on the base that all stand-ins share."""
    of = _name("stand-in-base", *_BASE)
    if _is_missing(client, of):
        debian.imported(client, of)
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as packed:
            for within, file in files.items():
                packed.add(file, within)
        context.seek(0)
        client.images.build(fileobj=context, custom_context=True, tag=name, buildargs={"BASE": of}, rm=True)


def _name(what: str, *sources: Path) -> str:
    """Name an image by what it is made from: one that has the name is the right one."""
    return f"ontrack/{build_folder(what, sources).name.replace(f'{what}-', f'{what}:')}"


def _is_missing(client: Any, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return True
    return False
