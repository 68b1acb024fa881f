"""The jars of Kafka, as Maven brings them and as `jars.sha256` knows them."""

import hashlib
import tempfile
from functools import cache
from pathlib import Path

from deploy.local.building import BuildFailed, build_folder, built, run
from deploy.local.prerequisites import JAVA, MAVEN, Program, require

_HERE = Path(__file__).parent
_POM = _HERE / "pom.xml"
_KNOWN = _HERE / "jars.sha256"
_SOURCES = [_POM, _KNOWN]


def needs() -> list[Program]:
    """What the machine must have for the jars to be brought."""
    return [] if build_folder("kafka", _SOURCES).exists() else [MAVEN]


@cache
def classpath() -> str:
    """Name all jars, as Java takes them; they are brought first unless they are here."""
    folder = built("kafka", _SOURCES, _bring)
    return ":".join(str(jar) for jar in sorted(folder.glob("*.jar")))


def pin() -> None:
    """Bring the jars that `pom.xml` names, and write down in `jars.sha256` what they are."""
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        found = _checksums(Path(folder))
    lines = [f"{checksum}  {name}\n" for name, checksum in sorted(found.items())]
    _KNOWN.write_text("".join(lines), encoding="utf-8")


def _bring(folder: Path) -> None:
    _download(folder)
    lines = (line.split() for line in _KNOWN.read_text(encoding="utf-8").splitlines())
    known = {name: checksum for checksum, name in lines}
    found = _checksums(folder)
    wrong = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
    if wrong:
        raise BuildFailed(f"these jars are not those of {_KNOWN}: {', '.join(wrong)}")


def _download(folder: Path) -> None:
    _, maven = require(JAVA, MAVEN)
    run([maven, "-B", "-q", "-f", _POM, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"])


def _checksums(folder: Path) -> dict[str, str]:
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
