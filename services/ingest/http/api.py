"""The API: what clients ask and state, each request checked, recorded through the door, and answered."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, CaseTransferred
from services.ingest.access import Access, Client, Role, TokensUnusable
from services.ingest.cases import Cases, KeyMissing
from services.ingest.clockwork import Timetable
from services.ingest.domain.admission import Refusal
from services.ingest.domain.register import Registered, after
from services.ingest.domain.schedule import changes, joined
from services.ingest.door import Door
from services.ingest.http import problems
from services.ingest.http.bodies import object_of
from services.ingest.http.operations import BATCH_AT_MOST, OPERATIONS, Enrolment, Numbered
from services.ingest.http.paths import Paths
from services.ingest.http.problems import Fault, Problem
from services.ingest.intake import Request, Taken
from services.ingest.statements import (
    STATEMENTS,
    Misstated,
    Origin,
    Statement,
    Unnamed,
    Unpublished,
    group_fact,
    stated,
)
from services.runtime.directory.port import Directory, Person
from services.runtime.faults import place_of
from services.runtime.roster.port import Clinic, Entry, Group, Roster, Therapist
from services.runtime.unavailable import Unavailable

ModelT = TypeVar("ModelT", bound=BaseModel)


DESCRIPTION: Final = Path(__file__).with_name("openapi.json")
"""Made by `services.ingest.http.openapi`, which need not be loaded to answer."""

_LOG = structlog.get_logger()
_KEY: Final = re.compile(r"[!-~]{1,200}")
_CASE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_GONE: Final = 499
"""What is logged of a client that did not wait for its answer; nobody is there to read it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, who makes it, and what its path names."""

    http: HttpRequest
    client: Client
    named: str

    @property
    def case_id(self) -> str:
        """The case that the path names. Raises Problem."""
        if not _CASE.fullmatch(self.named):
            raise _unknown_case()
        return self.named

    @property
    def entry_id(self) -> str:
        """The entry of the roster that the path names. Raises Problem."""
        if not _CASE.fullmatch(self.named):
            raise Problem(problems.NOT_FOUND)
        return self.named


Handle = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Reception:
    """What the API asks and hands on to.

    now: tells the time
    """

    door: Door
    cases: Cases
    people: Directory
    roster: Roster
    definitions: Catalogue
    timetable: Timetable
    now: Callable[[], datetime]


class Api:
    """The API of one clinic's or one region's ingest, as an application."""

    def __init__(self, reception: Callable[[], Reception | None], access: Access) -> None:
        """Let clients in by `access`. reception: None as long as nothing can be done yet."""
        self._reception = reception
        self._access = access
        handlers = self._handlers()
        self._paths = Paths((each.method, each.path, (each, handlers[each.name])) for each in OPERATIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        http = HttpRequest(scope, receive)
        response = await self._answer(http)
        await response(scope, receive, send)

    @property
    def _at(self) -> Reception:
        """What there is to ask. Raises Problem."""
        reception = self._reception()
        if reception is None:
            raise Problem(problems.BUSY)
        return reception

    def _handlers(self) -> Mapping[str, Handle]:
        """Give what handles each operation."""
        handlers: dict[str, Handle] = {
            "enrol": self._enrol,
            "find": self._find,
            "case": self._case,
            "open": self._open,
            "facts": self._batch,
            "get-clinic": self._clinic,
            "put-clinic": self._put_clinic,
            "put-groups": self._put_group,
            "put-therapists": self._put_therapist,
            "openapi": self._described,
            **{name: self._stating(statement) for name, statement in STATEMENTS.items()},
        }
        for name, kind in (("groups", Group), ("therapists", Therapist)):
            handlers |= self._of_roster(name, kind)
        return handlers

    async def _answer(self, http: HttpRequest) -> Response:
        """Give the answer to a request; each operation is closed to whom it is not for."""
        try:
            (operation, handle), named = self._paths.find(http.method, http.scope["path"])
            return await handle(Asked(http, self._client(http, operation.roles), named))
        except Problem as problem:
            return problem.response()
        except Unavailable as away:
            _LOG.warning("not-recorded", why=str(away))
            return Problem(problems.BUSY).response()
        except (KeyMissing, TokensUnusable) as wrong:
            _LOG.error("not-recorded", why=str(wrong))
            return Problem(problems.BROKEN).response()
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except Exception as error:  # noqa: BLE001 - its message could hold an answer, so only its place is told
            _LOG.error("fault", place=place_of(error))
            return Problem(problems.BROKEN).response()

    def _of_roster(self, name: str, kind: type[Entry]) -> dict[str, Handle]:
        """Give what lists, gives and removes entries of a kind."""

        async def every(asked: Asked) -> Response:
            entries = await self._at.roster.all(kind, asked.client.clinic)
            return _json({name: [_shown(entry) for entry in entries]})

        async def one(asked: Asked) -> Response:
            entry = await self._at.roster.find(kind, asked.client.clinic, asked.entry_id)
            if entry is None:
                raise Problem(problems.NOT_FOUND)
            return _json(_shown(entry))

        async def remove(asked: Asked) -> Response:
            await self._at.roster.remove(kind, asked.client.clinic, asked.entry_id)
            return Response(status_code=HTTPStatus.NO_CONTENT)

        return {f"list-{name}": every, f"get-{name}": one, f"delete-{name}": remove}

    async def _described(self, _: Asked) -> Response:
        """Give the description that ships with this version."""
        return FileResponse(DESCRIPTION, media_type="application/json")

    async def _clinic(self, asked: Asked) -> Response:
        """Give what the roster says of the client's clinic."""
        name = asked.client.clinic
        return _json(_shown(await self._at.roster.find(Clinic, name, name) or Clinic(clinic=name, id=name)))

    async def _put_clinic(self, asked: Asked) -> Response:
        """Say by whose clock a clinic goes, its language, and what its cases are enrolled with."""
        said, name = await object_of(asked.http), asked.client.clinic
        for kind in (Protocol, Policy):
            place = kind.__name__.lower()
            if isinstance(said.get(place), str):
                said[place] = await self._ref(kind, said[place], asked.client)
        clinic = _read(Clinic, {**said, "clinic": name, "id": name})
        await self._at.roster.put(clinic)
        return _json(_shown(clinic))

    async def _put_therapist(self, asked: Asked) -> Response:
        """Say where mail of a therapist goes."""
        therapist = _read(Therapist, await self._entry_said(asked))
        await self._at.roster.put(therapist)
        return _json(_shown(therapist))

    async def _put_group(self, asked: Asked) -> Response:
        """Say when the sessions of a group are and who leads it; the cases of the group follow."""
        group = _read(Group, await self._entry_said(asked))
        before = await self._at.roster.find(Group, group.clinic, group.id)
        sessions = before.sessions if before is not None else {}
        await self._followed(group, sessions)
        await self._at.roster.put(group)
        # Once more, for cases that have joined meanwhile by what stood there.
        await self._followed(group, sessions)
        return _json(_shown(group))

    async def _entry_said(self, asked: Asked) -> Mapping[str, Any]:
        return {**await object_of(asked.http), "clinic": asked.client.clinic, "id": asked.entry_id}

    async def _followed(self, group: Group, before: Mapping[str, datetime]) -> None:
        """State what follows for the cases of a group when its sessions are at other times."""
        door, now = self._at.door, self._at.now()
        async for cases in self._at.cases.all():
            for case_id, case in cases.items():
                if (case.clinic, case.group, case.closed_at) == (group.clinic, group.id, None):
                    follows = changes(case, before, group.sessions)
                    facts = [group_fact(case_id, case, data, now) for data in follows]
                    if facts:
                        await door.take(Request(facts, group.clinic))

    def _client(self, http: HttpRequest, roles: Sequence[Role]) -> Client:
        client = self._access.client(http.headers.get("authorization"))
        if client is None:
            raise Problem(problems.NO_CREDENTIAL)
        if client.role not in roles:
            raise Problem(problems.NOT_ALLOWED)
        return client

    def _origin(self, asked: Asked) -> Origin:
        key = asked.http.headers.get("idempotency-key")
        if key is not None and not _KEY.fullmatch(key):
            raise Problem(problems.KEY_EXPECTED)
        return Origin(asked.client, key, self._at.now())

    async def _enrol(self, asked: Asked) -> Response:
        """Enrol a case: who it is goes into the directory first, so that a case on the log can be found again."""
        enrolment = _read(Enrolment, await object_of(asked.http))
        origin, clinic = self._origin(asked), asked.client.clinic
        case_id = (await self._at.people.case_ids(clinic, [enrolment.number]))[enrolment.number]
        data = CaseEnrolled(
            clinic=clinic,
            group=enrolment.group,
            protocol=await self._ref(Protocol, enrolment.protocol, asked.client),
            policy=await self._ref(Policy, enrolment.policy, asked.client),
        )
        try:
            happened = origin.moment(None, "at") if enrolment.at is None else origin.has_come(enrolment.at, "at")
            fact = origin.event(case_id, data, happened, enrolment.id)
        except Misstated as wrong:
            raise Problem(problems.INVALID, Fault(f"/{wrong.place}", wrong.expected)) from None
        except Unnamed:
            raise Problem(problems.KEY_EXPECTED) from None
        if case_id not in await self._at.cases.registered([case_id]):
            await self._at.people.enter({case_id: Person(clinic, enrolment.number)})
        facts = [fact, *await self._scheduled(fact, Registered(group=enrolment.group, clinic=clinic), origin)]
        await self._recorded(asked, facts, [""] * len(facts))
        return _created({"case": case_id, "fact": fact.id})

    async def _scheduled(self, fact: Event[Data], case: Registered, origin: Origin) -> list[Event[Data]]:
        """State when the sessions of a case are that joins a group. case: as it is then."""
        group = await self._at.roster.find(Group, case.clinic or "", case.group) if case.group is not None else None
        followed = joined(case, group.sessions) if group is not None else []
        return [origin.follows(fact, data) for data in followed]

    async def _find(self, asked: Asked) -> Response:
        """Tell which case a number of the clinic is, if it is enrolled."""
        number = _read(Numbered, await object_of(asked.http)).number
        case_id = (await self._at.people.case_ids(asked.client.clinic, [number]))[number]
        await self._own(asked, case_id)
        return _json({"case": case_id})

    async def _case(self, asked: Asked) -> Response:
        """Tell how a case stands."""
        case = await self._own(asked, asked.case_id)
        return _json(
            {
                "case": asked.case_id,
                "group": case.group,
                "protocol": case.protocol,
                "policy": case.policy,
                "closed": case.closed_at,
            }
        )

    async def _open(self, asked: Asked) -> Response:
        """Tell what the patient is asked for now, and until when."""
        case = await self._own(asked, asked.case_id)
        found = self._at.timetable.open_now(case, self._at.now())
        occasions = [
            {"session": each.session, "instrument": each.instrument, "opens": each.opens, "closes": each.closes}
            for each in found
        ]
        return _json({"case": asked.case_id, "occasions": occasions})

    async def _own(self, asked: Asked, case_id: str) -> Registered:
        """Give what is known of a case of the client's clinic. Raises Problem."""
        case = (await self._at.cases.registered([case_id])).get(case_id)
        if case is None or not case.enrolled or case.erased or case.clinic != asked.client.clinic:
            raise _unknown_case()
        return case

    def _stating(self, statement: Statement) -> Handle:
        async def handle(asked: Asked) -> Response:
            said = await object_of(asked.http)
            origin = self._origin(asked)
            fact = self._stated(statement, said, asked.case_id, origin)
            facts = [fact]
            if isinstance(fact.data, CaseTransferred):
                case = await self._own(asked, fact.subject)
                facts += await self._scheduled(fact, after(case, fact), origin)
            await self._recorded(asked, facts, [""] * len(facts))
            return _created({"case": fact.subject, "fact": fact.id})

        return handle

    async def _batch(self, asked: Asked) -> Response:
        """Record several facts together, or none of them."""
        said = (await object_of(asked.http)).get("facts")
        if not isinstance(said, list) or not 0 < len(said) <= BATCH_AT_MOST:
            raise Problem(problems.INVALID, Fault("/facts", f"a list of 1 to {BATCH_AT_MOST} facts"))
        origin = self._origin(asked)
        facts = [self._of_batch(place, each, origin) for place, each in enumerate(said)]
        await self._recorded(asked, facts, [f"/facts/{place}" for place in range(len(facts))])
        return _created({"facts": [{"case": fact.subject, "fact": fact.id} for fact in facts]})

    def _of_batch(self, place: int, said: object, origin: Origin) -> Event[Data]:
        pointer = f"/facts/{place}"
        if not isinstance(said, dict):
            raise Problem(problems.INVALID, Fault(pointer, "an object"))
        body = dict(said)
        case_id, name = body.pop("case", None), body.pop("state", None)
        if not isinstance(case_id, str) or not _CASE.fullmatch(case_id):
            raise Problem(problems.INVALID, Fault(f"{pointer}/case", "the id of a case"))
        statement = STATEMENTS.get(name) if isinstance(name, str) else None
        if statement is None:
            raise Problem(problems.INVALID, Fault(f"{pointer}/state", f"one of {', '.join(STATEMENTS)}"))
        if origin.client.role not in statement.roles:
            raise Problem(problems.NOT_ALLOWED, Fault(f"{pointer}/state", "a fact that the client's role may state"))
        return self._stated(statement, body, case_id, origin, pointer)

    def _stated(
        self, statement: Statement, said: Mapping[str, Any], case_id: str, origin: Origin, pointer: str = ""
    ) -> Event[Data]:
        try:
            return stated(statement, said, case_id, origin, self._at.definitions, pointer)
        except ValidationError as error:
            raise problems.invalid(error, statement.fields, pointer) from None
        except Misstated as wrong:
            raise Problem(problems.INVALID, Fault(f"{pointer}/{wrong.place}", wrong.expected)) from None
        except Unpublished as unknown:
            raise _unpublished(unknown.place, pointer) from None
        except Unnamed:
            raise Problem(problems.KEY_EXPECTED) from None

    async def _recorded(self, asked: Asked, facts: Sequence[Event[Data]], pointers: Sequence[str]) -> Taken:
        """Record facts of a request. Raises Problem if one of them is refused."""
        taken = await self._at.door.take(Request(facts, asked.client.clinic))
        if taken.refused:
            raise problems.refused([(pointers[place], refusal) for place, refusal in taken.refused])
        return taken

    async def _ref(self, kind: type[Definition], name: str | None, client: Client) -> str:
        """Give the full reference of a protocol or a policy: of the one that is named, or else of the clinic's own."""
        place = kind.__name__.lower()
        if name is None:
            clinic = await self._at.roster.find(Clinic, client.clinic, client.clinic)
            ref: str | None = None if clinic is None else getattr(clinic, place)
            if ref is None:
                raise Problem(problems.INVALID, Fault(f"/{place}", f"a {place}, since the clinic has none of its own"))
            return ref
        entry = self._at.definitions.named(kind, name)
        if entry is None:
            raise _unpublished(place)
        return entry.ref


def _unpublished(place: str, pointer: str = "") -> Problem:
    expected = "the id of a definition that was published, with or without its version"
    return problems.refused([(pointer, Refusal("definition_unknown", place, expected))])


def _unknown_case() -> Problem:
    return Problem(problems.REFUSED["unknown_case"])


def _read(model: type[ModelT], said: Mapping[str, Any]) -> ModelT:
    try:
        return model.model_validate_json(orjson.dumps(said))
    except ValidationError as error:
        raise problems.invalid(error, frozenset(model.model_fields)) from None


def _shown(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"clinic"})


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _created(body: Mapping[str, Any]) -> Response:
    return _json(body, 201)
