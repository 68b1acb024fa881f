"""Ingest as a service: what its API answers is on the log, through whichever of its processes it came."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.definitions.catalogue import Entry, entry_of
from contracts.definitions.definition import Definition, id_of
from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.events.event import Data
from contracts.events.facts import OccasionOpened, ResponseSubmitted, SessionDue
from contracts.topics import CASES
from services.distributed import DistributedHome
from services.ingest.access import Client, Tokens
from services.ingest.app import IngestService
from tests.support.fhir import odsis
from tests.support.region import Process, Region, region_of_its_own
from tests.support.said import said_on

NOW: Final = datetime.now(UTC)
BASES: Final = ("gryesten-2023", "odsis")
EXPECTED: Final = "the id of a definition that was published, with or without its version"
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")


class Caller:
    """A client of the API."""

    def __init__(self, region: Region) -> None:
        secret = Tokens(region.tokens).make(Client("records", "ehr", "north"), NOW)
        self.credential = {"Authorization": f"Bearer {secret}"}
        self._keys = 0

    def post(self, process: Process, path: str, body: Mapping[str, Any], key: str | None = None) -> tuple[int, Any]:
        self._keys += 1
        return process.request("POST", path, body, **self.credential, Idempotency_Key=key or f"key-{self._keys}")

    def enrol(self, process: Process, number: int, **changes: Any) -> str:
        enrolment = {"number": str(number), "protocol": "open-ended", "policy": "gryesten-2023", **changes}
        status, answer = self.post(process, "/v1/cases", enrolment)
        assert status == HTTPStatus.CREATED, answer
        case_id: str = answer["case"]
        return case_id

    def respond(self, process: Process, case_id: str, session: int, key: str | None = None) -> tuple[int, Any]:
        body = {
            "session": session,
            "instrument": "odsis",
            "answers": dict.fromkeys(ODSIS, session % 5),
            "answered_at": (NOW - timedelta(days=40 - session)).isoformat(),
        }
        return self.post(process, f"/v1/cases/{case_id}/response-submitted", body, key)


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_of_its_own(tmp_path) as region:
        yield region.provision()


@pytest.fixture
def caller(region: Region) -> Caller:
    return Caller(region)


def responses(region: Region) -> Sequence[str]:
    """The ids of the responses on the log."""

    async def found(home: DistributedHome) -> list[str]:
        return [fact.id for fact in await said_on(home.log, home.keyring, CASES, ResponseSubmitted)]

    return region.asked(found)


def test_what_is_answered_comes_out_as_reports(region: Region, caller: Caller) -> None:
    # given a whole region
    ingest, *stages = region.serve("ingest", "scoring", "not-detector", "notifier")
    for process in (ingest, *stages):
        process.wait_until_ready()

    # when a patient gets worse
    case_id = caller.enrol(ingest, 1)
    for session in (0, 1, 2, 3, 4):
        status, answer = caller.respond(ingest, case_id, session)
        assert status == HTTPStatus.CREATED, answer

    # then there is a report
    def reports() -> list[Any]:
        return list(orjson.loads(region.succeeded("reports", "--format", "json").out))

    ingest.wait_until(lambda: len(reports()) == 1, "a report is there")


def publish(region: Region, kind: type[Definition], name: str) -> Entry:
    """Publish a definition elsewhere, as an import does: one that ships, by another name."""
    body = next(entry.body for entry in library() if isinstance(entry.model, kind) and entry.model.id in BASES)
    entry = entry_of({**body, "id": name})

    async def published(home: DistributedHome) -> None:
        await home.publish([entry])

    region.asked(published)
    return entry


def test_nothing_is_refused_for_a_definition_that_was_published_just_now(region: Region, caller: Caller) -> None:
    # given a service that is ready
    (ingest,) = region.serve("ingest")
    ingest.wait_until_ready()

    # when a policy is published, then whoever names it at once is understood, however they name it
    case_id = caller.enrol(ingest, 1, policy=id_of(publish(region, Policy, "by-its-id").ref))
    caller.enrol(ingest, 2, policy=publish(region, Policy, "in-full").ref)

    # and when an instrument is, then in FHIR too
    publish(region, Instrument, "their-form")
    form = "urn:ontrack:questionnaire:their-form"
    resource = odsis(case=case_id, questionnaire=form, identifier={"system": "urn:their:forms", "value": "1"})
    status, answer = ingest.request("POST", "/fhir/QuestionnaireResponse", resource, **caller.credential)
    assert status == HTTPStatus.CREATED, answer

    # and one that nobody has published is unknown
    status, answer = caller.post(ingest, "/v1/cases", {"number": "9", "protocol": "open-ended", "policy": "nobodys"})
    assert (status, answer["errors"]) == (422, [{"pointer": "/policy", "expected": EXPECTED}])


def test_any_number_of_processes_know_what_the_others_were_told(region: Region, caller: Caller) -> None:
    # given two processes
    processes = region.serve("ingest", "ingest")
    for process in processes:
        process.wait_until_ready()

    # when a case is enrolled through one, and answers at once through the other, again and again
    for number in range(20):
        here, there = processes[number % 2], processes[1 - number % 2]
        case_id = caller.enrol(here, number)
        status, answer = caller.respond(there, case_id, 1, key=f"response-{number}")
        assert status == HTTPStatus.CREATED, answer

        # then the same request is answered alike by both
        assert caller.respond(here, case_id, 1, key=f"response-{number}") == (status, answer)

    # and everything is on the log once
    found = responses(region)
    assert len(found) == len(set(found)) == 20


def test_what_comes_in_as_fhir_through_one_process_goes_out_through_the_other(region: Region, caller: Caller) -> None:
    # given two processes, and a case
    processes = region.serve("ingest", "ingest")
    for process in processes:
        process.wait_until_ready()
    case_id = caller.enrol(processes[0], 1)

    # when a response comes to one of them
    resource = odsis(case=case_id, identifier={"system": "urn:their:forms", "value": "1"})
    status, answer = processes[0].request("POST", "/fhir/QuestionnaireResponse", resource, **caller.credential)
    assert status == HTTPStatus.CREATED, answer

    # then the other one gives it out, and is not told it again
    path = f"/fhir/QuestionnaireResponse?subject=Patient/{case_id}"
    status, bundle = processes[1].request("GET", path, **caller.credential)
    assert (status, bundle["total"]) == (HTTPStatus.OK, 1)
    assert bundle["entry"][0]["resource"]["item"] == resource["item"]
    again = processes[1].request("POST", "/fhir/QuestionnaireResponse", resource, **caller.credential)
    assert again == (HTTPStatus.CREATED, answer)
    assert len(responses(region)) == 1


def test_many_requests_at_once_are_all_answered(region: Region, caller: Caller) -> None:
    (ingest,) = region.serve("ingest")
    ingest.wait_until_ready()
    with ThreadPoolExecutor(32) as together:
        cases = list(together.map(lambda number: caller.enrol(ingest, number), range(100)))
        outcomes = list(together.map(lambda case_id: caller.respond(ingest, case_id, 1), cases))
    assert {status for status, _ in outcomes} == {HTTPStatus.CREATED}
    assert ingest.request("GET", "/alive", None) == (HTTPStatus.OK, {"alive": True})
    assert sorted(answer["fact"] for _, answer in outcomes) == sorted(responses(region))


def test_the_register_takes_what_is_recorded_of_a_case_together(region: Region, caller: Caller) -> None:
    # given a case
    (ingest,) = region.serve("ingest")
    ingest.wait_until_ready()
    case_id = caller.enrol(ingest, 1)

    # when one answer to it comes after the other
    began = time.monotonic()
    for session in range(40):
        assert caller.respond(ingest, case_id, session)[0] == HTTPStatus.CREATED
    ingest.wait_until(lambda: ingest.events_read() == 41, "the register has read everything")

    # then the register has taken many of them at a time: no more often than it pauses in between
    batches = ingest.measured(r"ontrack_batch_records_count\{[^}]*\}")
    assert batches <= 2 + (time.monotonic() - began) / IngestService.pause


def test_a_file_is_imported_while_ingest_runs(region: Region, caller: Caller, tmp_path: Path) -> None:
    # given a running ingest with a case
    (ingest,) = region.serve("ingest")
    ingest.wait_until_ready()
    case_id = caller.enrol(ingest, 1)

    # when a file is imported beside it
    file = tmp_path / "answers.csv"
    heads = ",".join(("case", "session", "answered_at", "instrument", *ODSIS, "comment"))
    file.write_text(f"{heads}\n2,1,2026-01-05T08:00:00Z,odsis,1,1,1,1,1,\n")
    region.succeeded("import", file, "--enrol", "--clinic", "north")

    # then ingest knows what it brought, and goes on
    status, found = caller.post(ingest, "/v1/cases/find", {"number": "2"})
    assert status == HTTPStatus.OK
    assert caller.respond(ingest, found["case"], 2)[0] == HTTPStatus.CREATED
    assert caller.respond(ingest, case_id, 1)[0] == HTTPStatus.CREATED
    assert ingest.why_not("alive") == []


def test_the_clocks_of_several_processes_open_what_is_asked_once(region: Region, caller: Caller) -> None:
    # given two processes, and a case whose session has ended an hour ago
    processes = region.serve("ingest", "ingest")
    for process in processes:
        process.wait_until_ready()
    case_id = caller.enrol(processes[0], 1, protocol="group-cbt-depression-14")
    body = {"session": 1, "scheduled": (NOW - timedelta(hours=3)).isoformat()}
    assert caller.post(processes[1], f"/v1/cases/{case_id}/session-scheduled", body)[0] == HTTPStatus.CREATED

    # when the clocks have ticked
    async def said(home: DistributedHome) -> dict[str, str]:
        facts = await said_on(home.log, home.keyring, CASES, SessionDue, OccasionOpened)
        return {fact.id: _short(fact.data) for fact in facts}

    processes[0].wait_until(lambda: len(region.asked(said)) > 1, "the clock has said what there is to say")

    # then it is one fact that it came, and one that what is asked after it is open, whichever of them recorded it
    assert sorted(region.asked(said).values()) == ["due 1", "open 1/gq-12"]
    status, answer = processes[1].request("GET", f"/v1/cases/{case_id}/open", **caller.credential)
    assert status == HTTPStatus.OK
    assert [each["session"] for each in answer["occasions"]] == [1]


def _short(data: Data) -> str:
    match data:
        case SessionDue(session=session):
            return f"due {session}"
        case OccasionOpened(session=session, instrument=instrument):
            return f"open {session}/{id_of(instrument)}"
        case _:
            raise AssertionError(data)
