"""The programs that the machine must have, and how a Debian machine gets them."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.local.places import locked

ROOT = 0
POSTGRES = "postgres"
"""The user that PostgreSQL's package brings: the server refuses to be root."""

_OLDEST_JAVA = 17
_STANDARD_ERROR = 2
_CLUSTERS = Path("/etc/postgresql-common/createcluster.d")


class Missing(Exception):
    """The machine lacks programs. Says which, and how to install them."""


@dataclass(frozen=True)
class Program:
    """A program of the machine: what is needed, Debian's package of it, and how it is found."""

    name: str
    package: str
    find: Callable[[], Path | None]


@cache
def require(*programs: Program) -> Sequence[Path]:
    """Find programs; on a Debian machine root gets those that are missing. Raises Missing."""
    if os.geteuid() == ROOT and shutil.which("apt-get") is not None and _missing(programs):
        with locked(Path(tempfile.gettempdir()) / "ontrack-install.lock"):
            _install(_missing(programs))
    missing = _missing(programs)
    if missing:
        needed = [f"  {program.name} (Debian's package {program.package})" for program in missing]
        command = f"apt-get install --no-install-recommends {' '.join(program.package for program in missing)}"
        raise Missing("\n".join(["This machine lacks", *needed, f"On Debian, root installs them with\n  {command}"]))
    return [path for path in (program.find() for program in programs) if path is not None]


def version(*command: str | Path) -> tuple[int, int]:
    """Ask Java or Go for its version; 0 if it does not say."""
    asked = {**os.environ, "GOTOOLCHAIN": "local"}
    said = subprocess.run(command, env=asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    numbers = re.search(r'version (?:go|")?(\d+)(?:\.(\d+))?', said.stdout + said.stderr)
    return (0, 0) if numbers is None else (int(numbers[1]), int(numbers[2] or 0))


def _missing(programs: Sequence[Program]) -> list[Program]:
    return [program for program in programs if program.find() is None]


def _install(programs: Sequence[Program]) -> None:
    packages = [program.package for program in programs]
    # PostgreSQL's package makes and starts a server of its own, which nobody here asked for.
    none = _CLUSTERS / "ontrack.conf"
    _CLUSTERS.mkdir(parents=True, exist_ok=True)
    none.write_text("create_main_cluster = false\n", encoding="utf-8")
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages] if packages else []):
            subprocess.run(
                ["apt-get", "--quiet", *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=_STANDARD_ERROR,
                check=False,
            )
    finally:
        none.unlink()


def _java() -> Path | None:
    """Find Java where JAVA_HOME says, or on the path, if it is new enough."""
    named = os.environ.get("JAVA_HOME")
    for java in ([] if named is None else [shutil.which("java", path=f"{named}/bin")]) + [shutil.which("java")]:
        if java is not None and version(java, "-version") >= (_OLDEST_JAVA, 0):
            return Path(java)
    return None


def _on_the_path(name: str) -> Path | None:
    found = shutil.which(name)
    return None if found is None else Path(found)


def _postgresql() -> Path | None:
    """Find the folder of PostgreSQL's programs: the newest that Debian brought, or the one on the path."""
    if os.geteuid() == ROOT and not any(user.pw_name == POSTGRES for user in pwd.getpwall()):
        return None
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda program: int(program.parts[-3]))
    found = installed[-1] if installed else _on_the_path("postgres")
    return None if found is None else found.resolve().parent


JAVA = Program("Java 17 or newer", "default-jre-headless", _java)
MAVEN = Program("Maven", "maven", lambda: _on_the_path("mvn"))
GO = Program("Go", "golang-go", lambda: _on_the_path("go"))
POSTGRESQL = Program("PostgreSQL", "postgresql", _postgresql)
