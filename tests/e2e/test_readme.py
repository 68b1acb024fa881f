"""Every command of the README does what it says; `make demo` and `make test` are run by CI themselves."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 120


def commands() -> list[list[str]]:
    """Give the commands of the README's second block, in their order."""
    blocks = ROOT.joinpath("README.md").read_text(encoding="utf-8").split("```sh\n")[2:]
    lines = [line for block in blocks for line in block.split("```")[0].splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_every_command_of_the_readme_works_for_a_newcomer(tmp_path: Path) -> None:
    # given a newcomer in a directory of their own, with the library beside it as in a checkout
    (tmp_path / "contracts").symlink_to(ROOT / "contracts")
    assert len(commands()) > 5

    # when they type what stands there, in that order
    for program, *arguments in commands():
        assert program == ".venv/bin/ontrack"
        ran = subprocess.run(
            [Path(sys.executable).parent / "ontrack", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

        # then each succeeds
        assert ran.returncode == 0, f"{' '.join(arguments)}: {ran.stderr}"
    assert (tmp_path / "reports" / "index.html").exists()
