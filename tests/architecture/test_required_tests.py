"""A skipped test fails where every test is required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPS = {
    "mark": """
        import pytest
        @pytest.mark.skip(reason="no moon tonight")
        def test_dark(): ...
    """,
    "call": """
        import pytest
        def test_dark(): pytest.skip("no moon tonight")
    """,
    "module": """
        import pytest
        pytest.skip("no moon tonight", allow_module_level=True)
    """,
}


def run_pytest(folder: Path, source: str, *options: str, require_all: bool) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n")
    code = textwrap.dedent(source) + "\ndef test_light(): ...\n"
    (folder / "test_sample.py").write_text(code)
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ONTRACK_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", *options, "."],
        cwd=folder,
        env={**outer, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "ONTRACK_REQUIRE_ALL": "1" if require_all else "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "a worker"])
@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_where_every_test_is_required(tmp_path: Path, source: str, workers: tuple[str, ...]) -> None:
    # given a test that skips itself
    # when every test is required
    run = run_pytest(tmp_path, source, *workers, require_all=True)

    # then the run fails and says at its end which test and why
    assert run.returncode != 0, run.stdout
    end = run.stdout[run.stdout.index("= skipped tests =") :]
    assert "test_sample.py" in end
    assert "was skipped, though every test must run: no moon tonight" in end


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_passes_elsewhere(tmp_path: Path, source: str) -> None:
    # given a test that skips itself
    # when not every test is required
    run = run_pytest(tmp_path, source, require_all=False)

    # then the run does not fail for it (5: pytest found nothing else to run)
    assert run.returncode in {0, 5}, run.stdout
    assert "1 skipped" in run.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    # given a test that is expected to fail, and does
    source = """
        import pytest
        @pytest.mark.xfail(reason="not yet", strict=True)
        def test_dark(): assert False
    """

    # when every test is required
    run = run_pytest(tmp_path, source, require_all=True)

    # then the run passes, for the test did run
    assert run.returncode == 0, run.stdout
    assert "1 xfailed" in run.stdout
