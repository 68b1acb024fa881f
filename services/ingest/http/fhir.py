"""FHIR R4 over HTTP: responses come in and go out as resources. What is recorded is a fact like any other."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response

from contracts.codec import content_digests
from contracts.definitions.definition import id_of
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event
from contracts.events.fields import LAST_SESSION
from services.ingest.access import Client
from services.ingest.domain.register import Registered
from services.ingest.domain.responses import Standing, standing
from services.ingest.fhir.answers import ROOT
from services.ingest.fhir.capability import capability_statement
from services.ingest.fhir.form import Form, forms, forms_meant
from services.ingest.fhir.incoming import Subject, Understood, understood, understood_ever
from services.ingest.fhir.outcome import Issue, Resource, Unmappable, outcome
from services.ingest.fhir.outgoing import (
    questionnaire,
    questionnaire_response,
    response_id,
    searchset,
    split_response_id,
)
from services.ingest.fhir.terms import MEDIA_TYPE, SESSION
from services.ingest.fhir.validation import issues_in
from services.ingest.http import problems
from services.ingest.http.bodies import JSON, exact_object_of
from services.ingest.http.outcomes import Refused, code_of, resource_answer
from services.ingest.http.problems import Problem
from services.ingest.http.reception import CASE, Asked, Handle, Receive, Reception, Stated, unknown_case
from services.ingest.statements import STAFF, STATEMENTS, Misstated, Origin, Unnamed, stated

_STATEMENT: Final = STATEMENTS["response-submitted"]
_RESPONSE_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,32}[0-9a-f]{32}")
_PLAIN_URL: Final = re.compile(r"(https?://|urn:)[A-Za-z0-9._~:/?#&=%|+-]{1,250}")
"""What an answer may repeat of a search: anything else is no canonical URL, and could be what somebody said."""

_FORMATS: Final = ("json", JSON, MEDIA_TYPE)
_PLAIN: Final = "http://"


class FhirDesk:
    """What is asked and answered in FHIR."""

    def __init__(self, receive: Receive) -> None:
        """Hand on to what there is."""
        self._receive = receive
        self._of_clinic: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def handlers(self) -> Mapping[str, Handle]:
        """Give the handlers of its operations, by name."""
        return {
            "fhir-answer": self._answer,
            "fhir-responses": self._responses,
            "fhir-response": self._response,
            "fhir-questionnaires": self._questionnaires,
            "fhir-questionnaire": self._questionnaire,
            "fhir-metadata": self._metadata,
        }

    async def _answer(self, asked: Asked) -> Response:
        """Record what a QuestionnaireResponse says."""
        resource = await exact_object_of(asked.http, asked.loan, (MEDIA_TYPE, JSON))
        at = self._receive()
        if issues := issues_in(resource):
            raise Refused(issues)
        found, wrong = _understood(resource, at)
        try:
            origin = at.origin(asked, found.key)
            case_id = await _case_id(found.subject, asked.client, at)
            case = await at.own(asked.client, case_id)
            repeated = _repeated(resource, case_id, case, origin, at)
            if repeated is None and wrong is not None:
                raise wrong
            found, fact = repeated or (found, _stated(found, case_id, case, origin, at))
            await at.record(origin, [Stated(fact)])
        except Refused:
            raise
        except Problem as problem:
            raise _in_place(problem, found) from None
        told = [Issue("informational", place, "this is not kept", "information") for place in found.said.unkept]
        recorded = Issue("informational", "", "", "information")
        location = f"{_base(asked)}/QuestionnaireResponse/{response_id(fact.subject, fact.id)}"
        done = outcome("The response is recorded", told or [recorded])
        return resource_answer(done, HTTPStatus.CREATED, {"Location": location})

    async def _responses(self, asked: Asked) -> Response:
        """Give the responses of a case."""
        at, named = self._receive(), _query(asked, "subject", "patient")
        if len(named) != 1:
            raise Refused([Issue("required", "", "a subject or a patient: Patient/ID, or the ID")], problems.QUERY)
        (case_id,) = (value.removeprefix("Patient/") for value in named.values())
        if not CASE.fullmatch(case_id):
            raise unknown_case()
        await at.own(asked.client, case_id)
        found = [_shown(at, case_id, response) for response in await self._standing(asked.client, case_id)]
        query = f"QuestionnaireResponse?subject=Patient/{case_id}"
        return resource_answer(searchset(_base(asked), query, found))

    async def _response(self, asked: Asked) -> Response:
        """Give a response."""
        at, name = self._receive(), asked.http.path_params["id"]
        if not _RESPONSE_ID.fullmatch(name):
            raise Problem(problems.NOT_FOUND)
        case_id, fact_id = split_response_id(name)
        await at.own(asked.client, case_id)
        for response in await self._standing(asked.client, case_id):
            if response.id == fact_id:
                return resource_answer(_shown(at, case_id, response))
        raise Problem(problems.NOT_FOUND)

    async def _standing(self, client: Client, case_id: str) -> list[Standing]:
        """Give the responses of a case.

        The log is looked through for one request of a clinic after the other, so that who asks for much keeps no other
        clinic waiting.
        """
        async with self._of_clinic[client.clinic]:
            return standing([fact async for fact in self._receive().cases.facts(case_id)])

    async def _questionnaires(self, asked: Asked) -> Response:
        """Give every instrument, each in all its versions, or those that a canonical URL can mean."""
        url, known = _query(asked, "url").get("url"), self._receive().definitions
        found = forms(known) if url is None else forms_meant(known, url)
        plain = _PLAIN_URL.fullmatch(url or "")
        query = f"Questionnaire?url={quote(plain[0], safe=':/')}" if plain else "Questionnaire"
        return resource_answer(searchset(_base(asked), query, map(questionnaire, found)))

    async def _questionnaire(self, asked: Asked) -> Response:
        """Give an instrument."""
        for form in forms(self._receive().definitions):
            if form.resource_id == asked.http.path_params["id"]:
                return resource_answer(questionnaire(form))
        raise Problem(problems.NOT_FOUND)

    async def _metadata(self, _: Asked) -> Response:
        """Say what this server does."""
        return resource_answer(capability_statement())


def _understood(resource: Resource, at: Reception) -> tuple[Understood, Refused | None]:
    """Read a resource; where it is not understood any more, say why, and give what it said at another time.

    Raises Refused if it never said anything.
    """
    try:
        return understood(resource, at.definitions), None
    except Unmappable as unmappable:
        wrong, earlier = Refused(unmappable.issues), next(understood_ever(resource, at.definitions), None)
        if earlier is None:
            raise wrong from None
        return earlier, wrong


def _repeated(
    resource: Resource, case_id: str, case: Registered, origin: Origin, at: Reception
) -> tuple[Understood, Event[Data]] | None:
    """Give what a resource said when it came before: by another version, or for a session that is asked for no more."""
    known = case.facts.get(_id(case_id, origin))
    if known is None:
        return None
    for found in understood_ever(resource, at.definitions):
        named = found.session
        for session in _sessions(at.timetable.protocol(case)) if named is None else [named]:
            fact = _fact(found, session, case_id, origin, at)
            if content_digests(fact)[0] == known:
                return found, fact
    return None


def _stated(found: Understood, case_id: str, case: Registered, origin: Origin, at: Reception) -> Event[Data]:
    """Make the fact that a resource states. Raises Problem."""
    if found.session is not None:
        return _fact(found, found.session, case_id, origin, at)
    is_reused = _id(case_id, origin) in case.facts
    return _fact(found, 0 if is_reused else _session_open_now(case, found.form, at), case_id, origin, at)


def _id(case_id: str, origin: Origin) -> str:
    """Name the fact. Raises Refused where nothing tells it from another one."""
    try:
        return origin.fact_id(case_id)
    except Unnamed:
        expected = "an identifier with a value, or the header Idempotency-Key"
        raise Refused([Issue("required", f"{ROOT}.identifier", expected)], problems.KEY_EXPECTED) from None


def _fact(found: Understood, session: int | str, case_id: str, origin: Origin, at: Reception) -> Event[Data]:
    try:
        return stated(_STATEMENT, found.statement(session), case_id, origin, at.definitions)
    except Misstated as wrong:
        raise Refused([Issue("value", found.place_of(wrong.place), wrong.expected)]) from None
    except ValidationError as error:
        raise problems.invalid(error, _STATEMENT.fields) from None


async def _case_id(subject: Subject, client: Client, at: Reception) -> str:
    """Give whose response it is. Raises Problem if a reference and a number name two cases."""
    if subject.number is None:
        return subject.case_id or ""
    if client.role not in STAFF:
        # Numbers can be guessed, so whoever may not look for a case by one may not name it by one.
        issue = Issue("forbidden", f"{ROOT}.subject.identifier", "a reference, Patient/ and the id of the case")
        raise Refused([issue], problems.NOT_ALLOWED)
    case_id = (await at.people.case_ids(client.clinic, [subject.number]))[subject.number]
    if subject.case_id not in (None, case_id):
        raise unknown_case()
    return case_id


def _session_open_now(case: Registered, form: Form, at: Reception) -> int | str:
    """Give the session for which the instrument is asked now. Raises Problem if that is none, or several."""
    asked = at.timetable.open_now(case, at.now())
    sessions = [each.session for each in asked if id_of(each.instrument) == form.instrument.id]
    if len(sessions) == 1:
        return sessions[0]
    place, named = f"{ROOT}.extension", f"the extension {SESSION}, since this is asked for"
    if sessions:
        told = f"{named} now at the sessions {', '.join(map(str, sessions))}"
        raise Refused([Issue("multiple-matches", place, told)])
    raise Refused([Issue("business-rule", place, f"{named} at no session just now")])


def _sessions(protocol: Protocol | None) -> Iterator[int | str]:
    """Give every session that a course can have."""
    yield 0
    if protocol is not None and protocol.sessions != "any":
        yield from (planned.id for planned in protocol.sessions)
        return
    yield from range(1, LAST_SESSION + 1)
    yield from (f"individual-{number}" for number in range(1, 10))


def _in_place(problem: Problem, found: Understood) -> Refused:
    """Say where in the resource that stands which keeps the fact from being recorded."""
    kind = problem.kind
    code, is_conflict = code_of(kind), kind.status == HTTPStatus.CONFLICT
    if not problem.faults:
        place = found.place_of("case") if kind is problems.REFUSED["unknown_case"] else ""
        return Refused([Issue(code, place, kind.means)], kind)
    issues = [
        Issue(code, found.place_of(fault.pointer), kind.means if is_conflict else fault.expected)
        for fault in problem.faults
    ]
    return Refused(issues, kind)


def _shown(at: Reception, case_id: str, response: Standing) -> Resource:
    ref = response.said.instrument
    return questionnaire_response(Form(ref, at.definitions.instrument(ref)), case_id, response)


def _query(asked: Asked, *names: str) -> dict[str, str]:
    """Give what the query asks for. Raises Problem if it asks for more than can be answered: that would be too much."""
    pairs = asked.http.query_params.multi_items()
    found = {name: value for name, value in pairs if name != "_format"}
    # A plus that was not escaped is a space in a query.
    is_known = all(
        name in names or (name == "_format" and value.replace(" ", "+") in _FORMATS) for name, value in pairs
    )
    if not is_known or len(pairs) > len(dict(pairs)):
        expected = f"each once, and no others: {', '.join(names)}, and _format, which is json"
        raise Refused([Issue("not-supported", "", expected)], problems.QUERY)
    return found


def _base(asked: Asked) -> str:
    """Give the address of this server as the client has called it: where a proxy speaks TLS, it says so."""
    address = str(asked.http.base_url).rstrip("/")
    if asked.http.headers.get("x-forwarded-proto") == "https" and address.startswith(_PLAIN):
        # Who followed it by plain HTTP would show their token. Only who says so is told, so that is just believed.
        address = f"https://{address.removeprefix(_PLAIN)}"
    return f"{address}/fhir"
