"""Reports as files that a browser opens: for nobody's eyes but those of the person who asked for them."""

import fcntl
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts.definitions.definition import Language
from contracts.events.notices import ReportContent
from services.cli.copies import noted_directory, noted_if_made
from services.cli.home import Failure, short_names
from services.cli.private import private_file
from services.cli.reports.listing import Issue, Listed, Selection, issues, listed
from services.cli.zone import local
from services.home import Home
from services.notifier.domain.dossier import Dossier
from services.pages.index import ReportRow, index_page
from services.pages.report import report_page

INDEX: Final = "index.html"
TEMPORARY: Final = "ontrack-report-"
"""Begins the name of a page that is written to be looked at once."""

_ERASED: Final = "{}: a report of a case that can be read was expected; this one was erased"
_PAGE: Final = b"<!doctype html>"


async def write_reports(
    home: Home,
    target: Path,
    language: Language,
    advance: Callable[[int], None],
    entries: Sequence[Listed] | None = None,
) -> Path:
    """Write reports into a directory, each as a page named by its id, with a list of them; give the path of the list.

    advance: is told how many reports were written; entries: None for all that hold
    """
    if entries is None:
        cases = [case_id async for case_id in home.store.cases(home.notifier.name)]
        entries = await listed(home, Selection(cases, with_retracted=True), language, _nobody)
    await noted_directory(home.copies, "reports", target, home.clock())
    with held(target, fcntl.LOCK_SH):
        # Asked once it is held: whoever erases a case from now on sees that pages are written here.
        erased = await home.erased_among({entry.case_id for entry in entries})
        await _write_all(home, target, [each for each in entries if each.case_id not in erased], language, advance)
    return target / INDEX


@contextmanager
def held(directory: Path, how: int) -> Iterator[None]:
    """Hold a directory of reports: who writes some shares it, who removes those of a case has it alone.

    how: as for flock. Raises OSError; BlockingIOError where it was not to wait, and somebody else holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


async def _write_all(
    home: Home, target: Path, entries: Sequence[Listed], language: Language, advance: Callable[[int], None]
) -> None:
    """Write reports, and the list of them."""
    names = await short_names(home)
    dates = await _issues_of(home, entries)
    by_case: dict[str, list[Listed]] = defaultdict(list)
    for entry in entries:
        by_case[entry.case_id].append(entry)
    async for case_id, dossier in home.states(home.notifier, list(by_case)):
        for entry in by_case[case_id]:
            page = _page(home, dossier, entry, names[case_id], dates[entry.event], language)
            write_privately(target / f"{entry.id}.html", page)
            advance(1)
    # Whose case was erased before the names were read is nobody any more.
    rows = [_row(entry, names[entry.case_id], f"{entry.id}.html") for entry in entries if entry.case_id in names]
    write_privately(target / INDEX, index_page(rows, language))


def _nobody(_steps: int) -> None:
    """Tell nobody how far it has come."""


async def write_one(home: Home, entry: Listed, language: Language) -> Path:
    """Write one report into a temporary file of its own; give its path. Raises Failure."""
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=".html")
    os.close(descriptor)
    file = Path(name)
    # Opened before it is noted: what an erasure removes meanwhile does not come back.
    with private_file(file) as stream:
        async with noted_if_made(home.copies, "report", file, home.clock(), entry.case_id):
            try:
                stream.write((await _one(home, entry, language)).encode())
                stream.flush()
            except BaseException:
                file.unlink(missing_ok=True)
                raise
            if not file.exists():
                raise Failure(_ERASED.format(entry.id))
    return file


async def _one(home: Home, entry: Listed, language: Language) -> str:
    """Write one report as a page. Raises Failure."""
    dossier = await home.state(home.notifier, entry.case_id)
    patient = (await short_names(home)).get(entry.case_id)
    if dossier is None or patient is None:
        raise Failure(_ERASED.format(entry.id))
    issue = (await _issues_of(home, [entry]))[entry.event]
    return _page(home, dossier, entry, patient, issue, language)


async def _issues_of(home: Home, entries: Sequence[Listed]) -> dict[str, Issue]:
    return dict(await issues(home, {entry.event: entry.case_id for entry in entries}, with_changes=True))


def _page(home: Home, dossier: Dossier, entry: Listed, patient: str, issue: Issue, language: Language) -> str:
    """Write a report as a page; moments are told by the clinic's clock."""
    report = dossier.reports[entry.id]
    return report_page(
        ReportContent.model_validate_json(report.content),
        home.definitions,
        patient=patient,
        language=language,
        issued_at=local(issue.at),
        revision=report.number,
        state="retracted" if report.retracted else "open",
        changes=issue.changes,
        now=entry.now,
    )


def _row(entry: Listed, patient: str, file: str) -> ReportRow:
    return ReportRow(
        patient=patient,
        group=entry.group,
        kind=entry.kind,
        session=entry.session,
        state=entry.standing,
        persistent=entry.persistent,
        now=entry.now,
        why=entry.why,
        issued_at=local(entry.issued_at),
        file=file,
    )


def write_privately(file: Path, text: str) -> None:
    """Write a file that only its owner can read; one that is there already becomes so. Never follows a link."""
    with private_file(file) as stream:
        stream.write(text.encode())


def write_page(file: Path, text: str) -> None:
    """Write a page to a file that somebody has named, as `write_privately` does.

    Raises Failure, also where a file is there that is no page: it could be the only copy of a key.
    """
    if file.is_file() and not file.is_symlink() and file.read_bytes()[: len(_PAGE)].lower() != _PAGE:
        raise Failure(f"{file} is there already, and is no page: name a file that is not there yet")
    write_privately(file, text)
