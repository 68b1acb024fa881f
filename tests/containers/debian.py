"""What images are built on: a small Debian of the machine's own release, with Java, PostgreSQL and Python."""

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from deploy.local.building import BuildFailed, run
from deploy.local.prerequisites import Program

PACKAGES: Final = ("default-jre-headless", "postgresql", "python3-venv")
LEFT_OUT: Final = ("./var/cache/apt", "./var/lib/apt/lists", "./var/lib/postgresql/*")
"""What only an installation needs, and the server that PostgreSQL's package makes."""


def _debootstrap() -> Path | None:
    found = shutil.which("debootstrap")
    return None if found is None else Path(found)


DEBOOTSTRAP: Final = Program("debootstrap", "debootstrap", _debootstrap)


def imported(client: Any, name: str) -> None:
    """Make one, and give it to an engine by a name."""
    with tempfile.TemporaryDirectory(prefix="ontrack-base-") as folder:
        root = f"{folder}/root"
        packages = f"--include={','.join(PACKAGES)}"
        # In a view of its own, nothing that it mounts is left behind when it fails.
        run(["unshare", "--mount", "debootstrap", "--variant=minbase", packages, _release(), root, mirror()])
        left_out = [f"--exclude={path}" for path in LEFT_OUT]
        with subprocess.Popen(
            ["tar", f"--directory={root}", *left_out, "--create", "."], stdout=subprocess.PIPE
        ) as packed:
            client.api.import_image_from_stream(packed.stdout, repository=name)
        if packed.returncode != 0:
            raise BuildFailed(f"tar ended with {packed.returncode}")


def mirror() -> str:
    """Read from apt where this machine gets its own release. Raises BuildFailed."""
    release = _release()
    wanted = ["Created-By: Packages", "Label: Debian", f"Codename: {release}", "Component: main"]
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    mirrors = run(ask).split()
    if not mirrors:
        run(["apt-get", "--quiet", "update"])
        mirrors = run(ask).split()
    if not mirrors:
        raise BuildFailed(f"apt knows no place that has Debian's {release}")
    return mirrors[0]


def _release() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]
