"""How tests are run: a skipped one is listed, and fails where each is required; those of a group stay together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = ROOT / "tests/conftest.py"

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


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "a worker"])
@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_passes_elsewhere_and_is_listed(tmp_path: Path, source: str, workers: tuple[str, ...]) -> None:
    # given a test that skips itself
    # when not every test is required
    run = run_pytest(tmp_path, source, *workers, require_all=False)

    # then the run does not fail for it (5: pytest found nothing else to run)
    assert run.returncode in {0, 5}, run.stdout
    assert "1 skipped" in run.stdout

    # and says at its end which test and why
    end = run.stdout[run.stdout.index("= skipped tests =") :]
    assert "test_sample.py" in end
    assert "could not run: no moon tonight" in end


def test_what_many_tests_lack_is_told_once(tmp_path: Path) -> None:
    # given two tests that lack the same
    source = """
        import pytest
        @pytest.mark.parametrize("side", ["near", "far"])
        def test_dark(side): pytest.skip("no moon tonight\\ninstall one")
    """

    # when they are run
    run = run_pytest(tmp_path, source, require_all=False)

    # then the end names both, and says once what to install
    end = run.stdout[run.stdout.index("= skipped tests =") :].splitlines()
    assert end[1:5] == [
        "test_sample.py::test_dark[near]",
        "test_sample.py::test_dark[far]",
        "could not run: no moon tonight",
        "install one",
    ]


@pytest.mark.parametrize("require_all", [False, True])
def test_what_is_not_part_of_the_project_is_neither_required_nor_listed(tmp_path: Path, require_all: bool) -> None:
    # given a test of data that is not part of the project
    source = """
        import pytest
        def test_dark(): pytest.skip("data that is not part of the project: the moon")
    """

    # when it is run, then the run passes and does not list it
    run = run_pytest(tmp_path, source, require_all=require_all)
    assert run.returncode == 0, run.stdout
    assert "1 skipped" in run.stdout
    assert "skipped tests" not in run.stdout


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


def test_tests_of_one_group_run_on_one_worker(tmp_path: Path) -> None:
    # given many tests of one group
    source = """
        import os
        import pytest
        @pytest.mark.xdist_group("one server")
        @pytest.mark.parametrize("number", range(20))
        def test_it(number):
            with open("pids", "a") as pids:
                print(os.getpid(), file=pids)
    """

    # when they are run as `make test` runs them
    options = re.search("^SPREAD := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert options is not None
    run = run_pytest(tmp_path, source, *options[1].split(), require_all=True)

    # then one worker ran all of them
    assert run.returncode == 0, run.stdout
    assert len(set((tmp_path / "pids").read_text().split())) == 1
