"""The schemas: in step with the models, and true of what really goes out."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import CaseKey, decode, encode, plain_data, prepared, schema_name
from contracts.definitions.catalogue import KINDS, Entry
from contracts.definitions.files import library
from contracts.events.event import Data, Event
from contracts.events.facts import NeedsStated, ProblemNamed, ReportSeen, SessionDue
from contracts.schemas.__main__ import HERE, main, out_of_step, write
from contracts.schemas.generation import schemas
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from tests.contracts.fitting import Schema, faults
from tests.support.clinic import FIRST_DAY, MISSED, Case, a_case, instrument
from tests.support.events import events_of

ROOT: Final = Path(__file__).parents[2]
KEY: Final = CaseKey(bytes(range(64)))
USED: Final = [topic for topic in TOPICS.values() if topic.events]
PLACES: Final = [(topic, kind) for topic in USED for kind in topic.events]

a_few = settings(max_examples=6, deadline=None)
each_place = pytest.mark.parametrize(
    ("topic", "kind"), PLACES, ids=lambda each: each.name if isinstance(each, Topic) else each.__name__
)


def on(topic: Topic, record: bytes) -> list[str]:
    """Say what is wrong with a record by the schema of its topic."""
    return faults(Schema.of(f"topics/{topic.name}.json"), json.loads(record))


def in_event(data: Data) -> list[str]:
    """Say what is wrong with the plain data of an event by the schema of its type."""
    return faults(Schema.of(f"events/{data.type()}.json"), json.loads(plain_data(data)))


# In step


def test_the_schemas_are_in_step_with_the_contracts() -> None:
    assert list(out_of_step(HERE)) == [], "run make schemas"


def test_there_is_a_schema_for_every_event_every_topic_and_every_kind_of_definition() -> None:
    events = {f"events/{kind.type()}.json" for topic in TOPICS.values() for kind in topic.events}
    topics = {f"topics/{name}.json" for name in TOPICS}
    definitions = {f"definitions/{kind}.json" for kind in KINDS}
    assert schemas().keys() == events | topics | definitions | {"asyncapi.json"}


def test_a_schema_is_written_the_same_each_time_sorted_and_with_a_last_newline() -> None:
    assert schemas() == schemas()
    for written in schemas().values():
        assert written == json.dumps(json.loads(written), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def test_a_schema_has_the_name_that_records_call_it_by() -> None:
    for _, kind in PLACES:
        assert Schema.of(f"events/{kind.type()}.json").says["$id"] == schema_name(kind.type())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The schemas in another place, where they may be spoilt."""
    return Path(shutil.copytree(HERE, tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__")))


def test_a_missing_a_changed_and_a_left_over_file_are_found_and_nothing_is_written(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given schemas of which one is gone, one was changed, and one belongs to nothing
    gone, changed = copy / "events" / "ontrack.case-closed.v1.json", copy / "topics" / "rom.cases.v1.json"
    spoilt, left_over = changed.read_bytes().replace(b'"1.0"', b'"1.1"'), copy / "old.json"
    gone.unlink()
    changed.write_bytes(spoilt)
    left_over.write_text("{}\n")

    # when they are checked
    code = main(["--check"], copy)

    # then each is named, and stays as it was
    told = capsys.readouterr().err
    assert code == 1
    assert [line for line in told.splitlines() if line.startswith(str(copy))] == [
        f"{gone}: missing",
        f"{left_over}: left over",
        f"{changed}: differs",
    ]
    assert "make schemas" in told
    assert (gone.exists(), changed.read_bytes(), left_over.read_text()) == (False, spoilt, "{}\n")


def test_writing_mends_them_and_touches_no_other_file(copy: Path) -> None:
    gone, left_over = copy / "events" / "ontrack.case-closed.v1.json", copy / "events" / "ontrack.old.v1.json"
    gone.unlink()
    left_over.write_text("{}\n")
    assert write(copy) == [f"events/{gone.name}: written", f"events/{left_over.name}: removed"]
    assert (main(["--check"], copy), write(copy)) == (0, [])


def test_the_command_checks_the_schemas_of_the_project() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "contracts.schemas", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


# True of what goes out


@each_place
@a_few
@given(data=st.data())
def test_whatever_an_event_says_fits_its_schema(topic: Topic, kind: type[Data], data: st.DataObject) -> None:
    # given any event of a type
    event: Event[Data] = data.draw(events_of(kind, numbered=topic is not CASES))

    # when it is encoded, opened and, on the topics of cases, sealed
    records = [encode(event), *([encode(prepared(event, KEY, event.sequence))] if topic.of_cases else [])]

    # then it fits the schema of its type, and that of its topic
    assert in_event(event.data) == []
    assert [on(topic, record) for record in records] == [[]] * len(records)


def a_told_case() -> Case:
    """A case with everything in it: forms, gaps, corrections, reports of each kind, and what was done about them."""
    case = a_case(10, protocol="group-cbt-depression-14")
    case.says(ProblemNamed(problem=1, text="I lie awake"), at=FIRST_DAY)
    case.answered(1, {"problem_1": 4}, name="psychlops-2", comment="a hard week")
    case.scored(12, 14, MISSED, MISSED)
    case.answered(4, {item.id: 1 for item in instrument("phq-9")[1].items}, name="phq-9")
    case.corrected(2, 13)
    case.baseline_set(9)
    due = FIRST_DAY + timedelta(weeks=5)
    case.says(SessionDue(session=5, scheduled=due), at=due)
    report = case.reports()[0].id
    case.says(ReportSeen(report=report, by="therapist:1"))
    case.says(NeedsStated(report=report, seen_by="patient", needs=("individual-attention",), by="patient:1"))
    case.answered(1, 3, key="a second answer")
    case.withdrawn(1)
    case.policy_changed("gryesten-2023-window", from_session=5)
    case.scored(14)
    case.closed()
    return case


def test_the_history_of_a_case_fits_on_every_topic_sealed_and_opened() -> None:
    # given a case, and what every stage made of it
    case = a_told_case()
    said: dict[Topic, list[Event[Data]]] = {
        CASES: case.facts,
        SCORES: case.scoring.out,
        TRACKS: case.detector.out,
        NOTICES: case.notifier.out,
    }
    assert {report.kind for report in case.dossier.reports.values()} == {"not", "safety", "silent"}
    for topic, events in said.items():
        for number, event in enumerate(events, 1):
            # when each event is sealed, read back and opened, as an export opens it
            record = encode(prepared(event, KEY, None if topic is CASES else number))
            came = decode(record, topic, KEY)
            assert isinstance(came, Event)

            # then both records fit the schema of the topic
            assert on(topic, record) == []
            assert on(topic, encode(came._replace(sealed=None))) == []


@pytest.mark.parametrize("entry", library(), ids=lambda entry: f"{entry.model.id}")
def test_every_definition_of_the_library_fits_the_schema_of_its_kind(entry: Entry) -> None:
    assert faults(Schema.of(f"definitions/{entry.body['kind']}.json"), entry.body) == []


# And they refuse what is not


def a_record(**changed: object) -> dict[str, Any]:
    """The record of a score, opened, with something changed; None takes a field away."""
    event = next(event for event in a_case(12).scored(9).scoring.out if event.type == "ontrack.score-computed.v1")
    wire = json.loads(encode(event._replace(sequence=3)))
    return {name: value for name, value in (wire | changed).items() if value is not None}


def test_the_record_that_the_next_test_spoils_fits() -> None:
    assert on(SCORES, json.dumps(a_record()).encode()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "ontrack.unheard-of.v1"},
        {"type": "ontrack.report-issued.v1"},
        {"dataschema": "urn:ontrack:schema:score-revised.v1"},
        {"specversion": "0.3"},
        {"id": "17"},
        {"time": "yesterday"},
        {"sequence": "0"},
        {"sequence": 3},
        {"sequence": None},
        {"subject": None},
        {"subject": ""},
        {"data": None},
        {"data": []},
        {"data": {**a_record()["data"], "mood": 3}},
        {"data": {name: value for name, value in a_record()["data"].items() if name != "scales"}},
        {"data": {**a_record()["data"], "scales": [{"scale": "total", "value": 9}]}},
        {"data": {**a_record()["data"], "session": 1000}},
        {"data": {**a_record()["data"], "session": "individual-0"}},
        {"data": {**a_record()["data"], "instrument": "odsis@1"}},
        {"data_base64": "AAAA", "keyid": "0123456789abcdef"},
        {"data": None, "data_base64": "AAAA"},
    ],
    ids=lambda changed: json.dumps(changed)[:60],
)
def test_what_is_no_record_of_a_topic_does_not_fit(changed: dict[str, object]) -> None:
    spoilt = a_record(**changed)
    assert on(SCORES, json.dumps(spoilt).encode()) != []


def test_nothing_fits_a_topic_of_which_no_event_is_defined() -> None:
    for topic in (topic for topic in TOPICS.values() if not topic.events):
        assert on(topic, json.dumps(a_record()).encode()) != []


def test_a_fact_has_no_number() -> None:
    fact = a_case(12).facts[0]
    assert on(CASES, encode(fact)) == []
    assert on(CASES, encode(fact._replace(sequence=1))) == [
        "/sequence: is not expected",
        "/sequencetype: is not expected",
    ]


def test_the_log_says_nothing_of_itself_under_seal() -> None:
    sealed = a_record(data=None, data_base64="AAAA", keyid="0123456789abcdef")
    assert "/data: is missing" in on(DEFINITIONS, json.dumps(sealed).encode())


@pytest.mark.parametrize("limit", ["0.5", 3, "3", "0.30"])
def test_a_decimal_of_a_definition_is_a_whole_number_or_a_string(limit: object) -> None:
    assert faults(Schema.of("definitions/policy.json"), a_policy(limit)) == []


@pytest.mark.parametrize("limit", [0.5, 3.0, 0, True, None, "three", "", "1,5", "NaN"])
def test_anything_else_is_refused(limit: object) -> None:
    assert faults(Schema.of("definitions/policy.json"), a_policy(limit)) != []


def a_policy(limit: object) -> dict[str, Any]:
    body = next(entry.body for entry in library() if entry.model.id == "gryesten-2023")
    return {**body, "rules": [{"kind": "deterioration/1", "at_least": limit, "compared_with": "baseline"}]}
