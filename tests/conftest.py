"""What all tests share.

The end of the output lists the tests that could not run, each reason once, as it says what to install. With
ONTRACK_REQUIRE_ALL=1 in the environment every test has to run: one that is skipped fails. A test that is expected to
fail does run, so it may stay; and one whose reason begins with NOT_OURS needs data that is not part of the project, so
it runs only where those data are, and is not listed.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.servers import servers_of_a_run

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

LONG = [
    Path(__file__).parent / name
    for name in ("containers", "failures", "integration", "conformance", "e2e", "fuzz", "hostile")
]
"""Where real servers and whole commands are tried."""

NOT_OURS = "data that is not part of the project:"
REFUSED = "was skipped, though every test must run:"


def pytest_xdist_auto_num_workers() -> int:
    """Run two workers more than there are cores: a region in trouble waits for time-outs more than it works."""
    return (os.cpu_count() or 1) + 2


def pytest_configure(config: pytest.Config) -> None:
    """Let brokers compile little: most of them live for a minute, and only a benchmark gains from more."""
    if "not benchmark" in config.option.markexpr:
        os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with what takes long, so that none of them is left alone with it in the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not any(item.path.is_relative_to(each) for each in LONG))


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Stop, when the whole run is over, the servers that a test of it has started."""
    if hasattr(config, "workerinput"):
        return (yield)
    with servers_of_a_run():
        return (yield)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("ONTRACK_REQUIRE_ALL") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if reason.startswith(NOT_OURS):
        return
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} {REFUSED} {reason}"


def _reason(skipped: pytest.TestReport | pytest.CollectReport) -> str:
    reason = skipped.longrepr[2] if isinstance(skipped.longrepr, tuple) else str(skipped.longrepr)
    return reason.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse the skip of a single test."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse the skip of a whole module."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the skipped tests at the end: the refused ones, or else all by their reason."""
    reports = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    refused = [text for report in reports if REFUSED in (text := str(report.longrepr))]
    skipped: dict[str, list[str]] = {}
    for report in terminalreporter.getreports("skipped"):
        skipped.setdefault(_reason(report), []).append(report.nodeid)
    listed = [
        "\n".join([*tests, f"could not run: {reason}"])
        for reason, tests in skipped.items()
        if not reason.startswith(NOT_OURS)
    ]
    if refused or listed:
        terminalreporter.section("skipped tests")
        for text in [*refused, *listed]:
            terminalreporter.line(text)
