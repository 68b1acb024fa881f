"""Images that stand in for those of Kafka and MongoDB, where no registry can be reached: see README.md."""

import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from docker.errors import ImageNotFound  # type: ignore[import-untyped]

from deploy.local import kafka
from deploy.local.building import build_folder
from deploy.local.kafka.jars import classpath
from deploy.local.mongodb import program
from tests.containers import debian

_HERE: Final = Path(__file__).parent
_KAFKA: Final = Path(kafka.__file__).parent
_BASE: Final = [Path(debian.__file__)]
_LIBRARIES: Final = ("aiosmtpd", "attr", "public")
"""What a mail server is made of."""


@dataclass(frozen=True)
class StandIns:
    """The names of the images."""

    kafka: str
    mongodb: str


def stand_ins(client: Any) -> StandIns:
    """Make the images that an engine does not have yet, and name them."""
    return StandIns(_kafka(client), _mongodb(client))


def base(client: Any) -> str:
    """Make the image that all others are built on, unless an engine has it, and name it."""
    name = name_of("stand-in-base", *_BASE)
    if is_missing(client, name):
        debian.imported(client, name)
    return name


def _kafka(client: Any) -> str:
    files = {
        "Dockerfile": _HERE / "kafka.Dockerfile",
        "run": _HERE / "kafka-run.sh",
        "log4j2.properties": _KAFKA / "log4j2.properties",
    }
    name = name_of("kafka-stand-in", *files.values(), _KAFKA / "jars.sha256", *_BASE)
    if is_missing(client, name):
        jars = {f"libs/{Path(jar).name}": Path(jar) for jar in classpath().split(":")}
        build(client, name, files | jars, {"BASE": base(client)})
    return name


def _mongodb(client: Any) -> str:
    files = {
        "Dockerfile": _HERE / "mongodb.Dockerfile",
        "docker-entrypoint.sh": _HERE / "mongodb-entrypoint.sh",
        "mongod": _HERE / "mongod.sh",
        "mongosh": _HERE / "mongosh.py",
    }
    name = name_of("mongodb-stand-in", *files.values(), *program.sources(), *_BASE)
    if is_missing(client, name):
        build(client, name, files | {"ferretdb": program.program()}, {"BASE": base(client)})
    return name


def mail(client: Any) -> str:
    """Make the image of a mail server, which is not part of a region, unless an engine has it, and name it."""
    files = {"Dockerfile": _HERE / "mail.Dockerfile", "mail": _HERE / "mail.py"}
    name = name_of("mail", *files.values(), *_BASE)
    if is_missing(client, name):
        libraries = {f"libraries/{each}": _package(each) for each in _LIBRARIES}
        build(client, name, files | libraries, {"BASE": base(client)})
    return name


def _package(name: str) -> Path:
    """Give the folder of a package that tests have."""
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None, name  # noqa: PT018 - one thing: it is installed
    return Path(spec.origin).parent


def build(client: Any, name: str, files: Mapping[str, Path], arguments: Mapping[str, str]) -> None:
    """Build an image from files, by their names in its Dockerfile."""
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as packed:
            for within, file in files.items():
                packed.add(file, within)
        context.seek(0)
        client.images.build(fileobj=context, custom_context=True, tag=name, buildargs=dict(arguments), rm=True)


def name_of(what: str, *sources: Path) -> str:
    """Name an image by what it is made from: one that has the name is the right one."""
    return f"ontrack/{build_folder(what, sources).name.replace(f'{what}-', f'{what}:')}"


def is_missing(client: Any, name: str) -> bool:
    """Tell whether an engine does not have an image."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return True
    return False
