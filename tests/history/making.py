"""Makes the histories of a contract version, once: `python -m tests.history.making tests/history/v1`.

Each is a bundle, unpacked, so that it can be read and compared; `keys.ndjson` opens it, and `expected.json` says what
`ontrack audit verify` finds in it. A history that stands there already is left as it is: it is never made anew.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

import orjson

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.definitions.policy import Policy
from contracts.events.event import Data
from contracts.events.facts import (
    ActionChosen,
    BaselineSet,
    CaseClosed,
    NeedsStated,
    PolicyChanged,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
)
from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, SCORES, TRACKS
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import Course, Step, day_of, events_of, imported, lived, reports_of, spread, written
from tests.history.frozen import EXPECTED, KEYS, found_in, packed
from tests.support.command import succeeded

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
A, B = "A", "B"
COURSES: Final[Mapping[str, Course]] = {
    A: {0: 12, 1: 15, 2: 13, 3: 12, 4: 8, 5: 6},
    B: {0: 14, 1: 14, 2: 13, 4: 13, 5: 12},
}
HOUR: Final = timedelta(hours=1)


def clinic(folder: Path) -> Path:
    """A home with two courses."""
    return imported(folder / "home", written(folder / "answers.csv", COURSES, "odsis"))


def whole_course(folder: Path) -> Path:
    home = clinic(folder)
    lived(home, [Step(A, CaseClosed(reason="completed"), day_of(6))])
    return home


def late_and_corrected(folder: Path) -> Path:
    """An answer that came when later ones had been judged, one that was corrected, and one that was withdrawn."""
    home = clinic(folder)
    answered = {
        event["data"]["session"]: event for event in events_of(home, A) if event["event"] == ResponseSubmitted.type()
    }
    late = ResponseSubmitted(
        session=3,
        instrument=answered[2]["data"]["instrument"],
        answers=dict(zip(ITEMS, spread(18, 4), strict=True)),
        answered_at=day_of(3),
        entered_by="clinic",
    )
    corrected = dict(zip(ITEMS, spread(11, 4), strict=True))
    steps: list[Step] = [
        Step(B, late, day_of(3)),
        Step(A, ResponseCorrected(response=answered[1]["id"], answers=corrected, reason="a slip", by="t1"), day_of(6)),
        Step(A, ResponseWithdrawn(response=answered[5]["id"], reason="of another patient", by="t1"), day_of(6) + HOUR),
    ]
    lived(home, steps)
    return home


def closed_loop(folder: Path) -> Path:
    """A report that was seen, talked about, acted upon and closed."""
    home = clinic(folder)
    report = next(each["report"] for each in reports_of(home) if each["case"] == A)
    said: Sequence[Data] = (
        ReportSeen(report=report, by="t1"),
        ReportDiscussed(report=report, by="t1", confirmed_by_patient=True),
        NeedsStated(report=report, seen_by="patient", needs=("time",), text="More time for homework", by="t1"),
        ActionChosen(report=report, action="individual-talk", by="t2", patient_agreed=True),
        ReportClosed(report=report, by="t2"),
    )
    lived(home, [Step(A, data, day_of(2) + number * HOUR) for number, data in enumerate(said, 1)])
    return home


def policy_change(folder: Path) -> Path:
    """Another policy from a session on, and a baseline that was set by hand."""
    home = clinic(folder)
    known = Catalogue(library())
    other = next(ref for ref, model in known.of_kind(Policy) if model.id == "gryesten-2023-window")
    baseline = BaselineSet(instrument="odsis", scale="total", value=Decimal(9), reason="from the letter", by="t1")
    answers = dict(zip(ITEMS, spread(16, 4), strict=True))
    answered = next(event for event in events_of(home, B) if event["event"] == ResponseSubmitted.type())
    response = ResponseSubmitted(
        session=6,
        instrument=answered["data"]["instrument"],
        answers=answers,
        answered_at=day_of(6),
        entered_by="patient",
    )
    lived(
        home,
        [
            Step(B, PolicyChanged(policy=other, from_session=6, reason="slow change", by="t1"), day_of(5) + HOUR),
            Step(B, baseline, day_of(5) + 2 * HOUR),
            Step(B, response, day_of(6)),
        ],
    )
    return home


def damaged(do: Callable[[Tampering, str], None]) -> Callable[[Path], Path]:
    """Do something to a history before it is written down."""

    def make(folder: Path) -> Path:
        tampering = Tampering(closed_loop(folder))
        (case_id, *_) = sorted(tampering.keys)
        do(tampering, case_id)
        return tampering.home

    return make


def flip(tampering: Tampering, case_id: str) -> None:
    place = tampering.place_of(TRACKS, case_id, TrackEvaluated)
    value = bytearray(tampering.record(TRACKS, case_id, place))
    value[value.index(b'"data_base64":"') + 40] ^= 1
    tampering.put(TRACKS, case_id, place, bytes(value))


def tear_out(tampering: Tampering, case_id: str) -> None:
    tampering.cut(SCORES, case_id, 4)


def bring_in(tampering: Tampering, case_id: str) -> None:
    tampering.append(SCORES, case_id, tampering.record(TRACKS, case_id, -1))


def bring_back(tampering: Tampering, case_id: str) -> None:
    """A fact of a version that does not exist yet."""
    record = tampering.record(CASES, case_id, 1)
    name = ResponseSubmitted.type().replace(".v1", ".v2")
    future = renamed(
        record, type=name, dataschema=f"urn:ontrack:schema:{name}", id="00000000-0000-4000-8000-000000000002"
    )
    tampering.append(CASES, case_id, future)


def cut_last_line(folder: Path) -> None:
    """Cut the last line of a file of a bundle, as happens when a disk is full."""
    file = next(file for file in sorted(folder.glob(f"raw/{TRACKS.name}/*.ndjson")))
    file.write_bytes(file.read_bytes()[:-200])


HISTORIES: Final[Mapping[str, Callable[[Path], Path]]] = {
    "whole-course": whole_course,
    "late-and-corrected": late_and_corrected,
    "closed-loop": closed_loop,
    "policy-change": policy_change,
    "cut-last-line": closed_loop,
    "flipped-bit": damaged(flip),
    "gap": damaged(tear_out),
    "foreign-event": damaged(bring_in),
    "future-version": damaged(bring_back),
}


def freeze(name: str, folder: Path) -> None:
    """Make a history, and write down what is found in it."""
    with TemporaryDirectory() as work:
        home = HISTORIES[name](Path(work))
        file = Path(work) / "bundle.zip"
        folder.mkdir(parents=True)
        succeeded("audit", "export", "--data", home, "--output", file, "--keys", folder / KEYS)
        (folder / KEYS).chmod(0o644)
        with ZipFile(file) as archive:
            archive.extractall(folder)
    if name == "cut-last-line":
        cut_last_line(folder)
    with TemporaryDirectory() as work:
        found = found_in(packed(folder, Path(work)), folder / KEYS)
    (folder / EXPECTED).write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    for _name in HISTORIES:
        _folder = Path(sys.argv[1]) / _name
        if not _folder.exists():
            freeze(_name, _folder)
