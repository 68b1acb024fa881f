"""What every handler of the API has: a request and who makes it, and what there is to ask and hand on to."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition
from contracts.events.event import Data, Event
from contracts.events.fields import instant
from services.ingest.access import Client
from services.ingest.cases import Cases
from services.ingest.clockwork import Timetable
from services.ingest.domain.admission import UNCLEAR, Refusal
from services.ingest.domain.register import Registered, Unclear
from services.ingest.door import Door
from services.ingest.following import Following
from services.ingest.http import problems
from services.ingest.http.faults import Fault
from services.ingest.http.problems import Problem
from services.ingest.http.room import Loan
from services.ingest.intake import Request
from services.ingest.statements import Origin
from services.runtime.directory.port import Directory
from services.runtime.roster.port import Clinic, Entry, Group, Roster

ModelT = TypeVar("ModelT", bound=BaseModel)

KEY: Final = re.compile(r"[!-~]{1,200}")
SOUGHT_FOR: Final = 5.0
"""Seconds for which a case that may stand on the log is looked for there before its client is told to come again."""

CASE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_AN_ID: Final = (
    "in the path an id of at most 64 letters a to z, digits and . _ : - alone, the first a letter or a digit"
)
"""What is expected of the id of an entry: also of one that is to be entered by it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, who makes it, and the room that it has taken."""

    http: HttpRequest
    client: Client
    loan: Loan

    @property
    def case_id(self) -> str:
        """The case that the path names. Raises Problem."""
        case_id: str = self.http.path_params["case"]
        if not CASE.fullmatch(case_id):
            raise unknown_case()
        return case_id

    @property
    def entry_id(self) -> str:
        """The entry or the notice that the path names. Raises Problem."""
        entry_id: str = self.http.path_params["id"]
        if not CASE.fullmatch(entry_id):
            raise Problem(problems.NOT_FOUND, Fault("", _AN_ID))
        return entry_id

    @property
    def key(self) -> str | None:
        """The idempotency key, if there is one. Raises Problem."""
        key = self.http.headers.get("idempotency-key")
        if key is not None and not KEY.fullmatch(key):
            raise Problem(problems.KEY_EXPECTED)
        return key


Handle = Callable[[Asked], Awaitable[Response]]


class Stated(NamedTuple):
    """A fact that a request states.

    pointer: leads to what it was made from
    before: gives what else it may have said when the request came first
    joins: the group that the case joins by it, as the roster has it
    """

    fact: Event[Data]
    pointer: str = ""
    before: Callable[[], Iterable[Event[Data]]] = tuple
    joins: Group | None = None


@dataclass(frozen=True, slots=True)
class Reception:
    """What the API asks and hands on to.

    disguised: gives what stands for a key that somebody could guess
    now: tells the time
    learn: learns the definitions that others have published since it was called last; None: nobody else publishes any
    """

    door: Door
    cases: Cases
    people: Directory
    roster: Roster
    definitions: Catalogue
    timetable: Timetable
    following: Following
    disguised: Callable[[str], str]
    now: Callable[[], datetime]
    learn: Callable[[], Awaitable[None]] | None = None

    def origin(self, asked: Asked, key: str | None = None) -> Origin:
        """Tell where the facts of a request come from. key: what stands for one, if there is none. Raises Problem."""
        told = asked.key or key
        # The ids that it makes stand in the open, and it can be made of the number of a patient.
        return Origin(asked.client, None if told is None else self.disguised(told), self.now())

    async def own(self, client: Client, case_id: str) -> Registered:
        """Give what is known of a case of the client's clinic. Raises Problem."""
        case = (await self.cases.registered([case_id])).get(case_id)
        if isinstance(case, Unclear):
            await self.cases.seek([case_id], SOUGHT_FOR)
            case = (await self.cases.registered([case_id])).get(case_id)
        if isinstance(case, Unclear) and not case.erased and (case.clinic is None or client.sees(case.clinic)):
            raise problems.refused([("", UNCLEAR)])
        if case is None or not case.enrolled or case.erased or not client.sees(case.clinic):
            raise unknown_case()
        return case

    async def record(self, origin: Origin, stated: Sequence[Stated]) -> None:
        """Record the facts of a request. Raises Problem if one is refused."""
        facts = [each.fact for each in stated]
        request = Request(
            facts, origin.client.only, origin.now, lambda place: stated[place].before(), lambda: origin.keyed(facts)
        )
        taken = await self.door.take(request)
        if any(refusal is UNCLEAR for _, refusal in taken.refused):
            await self.cases.seek({fact.subject for fact in facts}, SOUGHT_FOR)
            taken = await self.door.take(request)
        if taken.refused:
            raise problems.refused([(stated[place].pointer, refusal) for place, refusal in taken.refused])

    async def reference(self, client: Client, kind: type[Definition], name: str | None) -> str:
        """Give the full reference of a protocol or a policy: of the one that is named, or else of the clinic's own."""
        place = kind.__name__.lower()
        if name is None:
            clinic = await self.roster.find(Clinic, client.clinic, client.clinic)
            ref: str | None = None if clinic is None else getattr(clinic, place)
            if ref is None:
                raise Problem(problems.INVALID, Fault(f"/{place}", f"a {place}, since the clinic has none of its own"))
            return ref
        entry = self.definitions.named(kind, name)
        if entry is None:
            raise unpublished(place)
        return entry.ref


Receive = Callable[[], Reception]
"""Gives what there is to ask. Raises Problem as long as nothing can be done yet."""


def unpublished(*places: str, pointer: str = "") -> Problem:
    """Tell that nobody has published the definitions that are named in some places."""
    expected = "the id of a definition that was published, with or without its version"
    return problems.refused([(pointer, Refusal("definition_unknown", place, expected)) for place in places])


def unknown_case() -> Problem:
    """Tell that a case is not there, for this client."""
    return Problem(problems.REFUSED["unknown_case"])


def read(model: type[ModelT], said: Mapping[str, Any]) -> ModelT:
    """Read what a request says. Raises Problem."""
    try:
        return model.model_validate_json(orjson.dumps(said))
    except ValidationError as error:
        names = set(model.model_fields).difference(Entry.model_fields if issubclass(model, Entry) else ())
        raise problems.invalid(error, names) from None


def answer(body: Mapping[str, Any], status: int = 200, media_type: str = "application/json") -> Response:
    """Give an answer."""
    return Response(orjson.dumps(body, instant, orjson.OPT_PASSTHROUGH_DATETIME), status, media_type=media_type)
