"""What a page says to type, and typing it."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
OPERATION: Final = ROOT / "docs" / "operation.md"
SECONDS: Final = 600


def blocks_of(page: Path, heading: str) -> list[str]:
    """Give what a page says to type below a heading, block by block."""
    section = page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return blocks


def typed(text: str, folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Type it into a shell of its own, which stops where something fails; end whatever is left running if it does.

    environment: of the shell; else it is that of the tests, without settings of OnTrack
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith("ONTRACK_")}
    shell = subprocess.Popen(
        ["bash", "-eux", "-o", "pipefail", "-c", text],
        cwd=folder,
        env=others if environment is None else environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, told = shell.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(shell.args, shell.returncode, out, told)
