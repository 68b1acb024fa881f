"""Cases over HTTP: they are enrolled, found and shown, and facts about them are stated, one or many at once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import product
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from contracts.codec import encode
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import FACT_ID, Data, Event, name_based_id
from contracts.events.facts import CaseEnrolled, CaseTransferred
from services.ingest.access import Client
from services.ingest.domain.admission import is_reused, outside, reuse_of
from services.ingest.domain.register import Registered, Told, after
from services.ingest.domain.schedule import changes
from services.ingest.door import WAITING_AT_MOST
from services.ingest.http import problems
from services.ingest.http.bodies import object_of
from services.ingest.http.faults import Fault
from services.ingest.http.operations import BATCH_AT_MOST, Enrolment, Numbered
from services.ingest.http.problems import Problem
from services.ingest.http.reception import CASE, Asked, Handle, Receive, Stated, answer, read, unpublished
from services.ingest.statements import STATEMENTS, Misstated, Origin, Statement, Unnamed, Unpublished, stated
from services.runtime.directory.port import Person
from services.runtime.log.port import GROUP_BYTES, Record
from services.runtime.roster.port import Group


class CaseDesk:
    """What is asked and stated about cases."""

    def __init__(self, receive: Receive) -> None:
        """Hand on to what there is."""
        self._receive = receive

    def handlers(self) -> Mapping[str, Handle]:
        """Give the handlers of its operations, by name."""
        return {
            "enrol": self._enrol,
            "find": self._find,
            "case": self._case,
            "open": self._open,
            "notice": self._notice,
            "facts": self._batch,
            **{name: self._stating(statement) for name, statement in STATEMENTS.items()},
        }

    async def _enrol(self, asked: Asked) -> Response:
        """Enrol a case: who it is goes into the directory first, so that a case on the log can be found again."""
        enrolment = read(Enrolment, await object_of(asked.http, asked.loan))
        at, client = self._receive(), asked.client
        origin = at.origin(asked)
        case_id = (await at.people.case_ids(client.clinic, [enrolment.number]))[enrolment.number]
        case = (await at.cases.registered([case_id])).get(case_id, Registered())
        if case.erased:
            raise Problem(problems.NUMBER_USED, Fault("/number", "a number that no case has had"))
        try:
            comes_again = (enrolment.id or origin.fact_id(case_id)) in case.facts
            data = CaseEnrolled(
                clinic=client.clinic,
                group=None if enrolment.sessions else enrolment.group,
                protocol=await self._reference(client, Protocol, enrolment.protocol, comes_again=comes_again),
                policy=await self._reference(client, Policy, enrolment.policy, comes_again=comes_again),
            )
            happened = origin.moment(None, "at") if enrolment.at is None else origin.has_come(enrolment.at, "at")
            fact = origin.event(case_id, data, happened, enrolment.id)
            joining = _joining(enrolment, fact, origin)
        except Misstated as wrong:
            raise Problem(problems.INVALID, Fault(f"/{wrong.place}", wrong.expected)) from None
        except Unnamed:
            raise Problem(problems.KEY_EXPECTED) from None
        ids = [fact.id, *(each.fact.id for each in joining)]
        # With its sessions named or without, the enrolment itself reads the same.
        if enrolment.id is not None and is_reused(case, [*ids, _joins_by(ids[-1])]):
            raise problems.refused([("", reuse_of(case, fact))])

        def before() -> Iterator[Event[Data]]:
            for protocol, policy in product(
                _meant(at.definitions, Protocol, enrolment.protocol) or [data.protocol],
                _meant(at.definitions, Policy, enrolment.policy) or [data.policy],
            ):
                yield fact._replace(data=data.model_copy(update={"protocol": protocol, "policy": policy}))

        facts = await self._with_sessions([Stated(fact, before=before), *joining], {case_id: case}, origin)
        if not case.facts:
            await at.people.enter({case_id: Person(client.clinic, enrolment.number)})
        await self._recorded(origin, facts)
        return answer({"case": case_id, "fact": fact.id}, HTTPStatus.CREATED)

    async def _recorded(self, origin: Origin, facts: Sequence[Stated]) -> None:
        """Record what a request states; what joins a group by it has the group's times as they are then."""
        at = self._receive()
        await at.record(origin, facts)
        for each in facts:
            if isinstance(each.fact.data, CaseEnrolled | CaseTransferred) and each.fact.data.group is not None:
                await at.following.joined(each.fact.subject, each.joins)

    async def _reference(self, client: Client, kind: type[Definition], name: str | None, *, comes_again: bool) -> str:
        """Name what a case is enrolled with. comes_again: so it was, with what may be nobody's default any more."""
        at = self._receive()
        try:
            return await at.reference(client, kind, name)
        except Problem:
            meant = _meant(at.definitions, kind, name)
            if not comes_again or not meant:
                raise
            return meant[0]

    async def _with_sessions(
        self, facts: Sequence[Stated], cases: Mapping[str, Registered], origin: Origin
    ) -> list[Stated]:
        """State besides when the sessions of a case are that joins a group. Raises Problem if there is no such group.

        When it has joined already, the fact comes again: what followed from it was recorded with it, and stands.
        cases: what is known of those that join a group
        """
        at, known = self._receive(), dict(cases)
        found: list[Stated] = []
        for each in facts:
            found.append(each)
            fact, case = each.fact, known.get(each.fact.subject)
            if case is None or fact.id in case.facts:
                continue
            known[fact.subject] = case = after(case, fact)
            if isinstance(fact.data, CaseEnrolled | CaseTransferred) and fact.data.group is not None:
                group = await at.roster.find(Group, origin.client.clinic, fact.data.group)
                if group is None:
                    raise Problem(problems.UNKNOWN_GROUP, Fault(f"{each.pointer}/group", "a group of the clinic"))
                found[-1] = each._replace(joins=group)
                for data in changes(case, group.sessions):
                    if not any(outside(case, data, at.definitions)):
                        follows = origin.follows(fact, data)
                        known[fact.subject] = after(known[fact.subject], follows)
                        found.append(Stated(follows))
            if len(found) > WAITING_AT_MOST:
                raise Problem(problems.TOO_LARGE)
        return found

    async def _find(self, asked: Asked) -> Response:
        """Tell which case a number of the clinic is, if it is enrolled."""
        number = read(Numbered, await object_of(asked.http, asked.loan)).number
        at = self._receive()
        case_id = (await at.people.case_ids(asked.client.clinic, [number]))[number]
        await at.own(asked.client, case_id)
        return answer({"case": case_id})

    async def _case(self, asked: Asked) -> Response:
        """Tell how a case stands."""
        case = await self._receive().own(asked.client, asked.case_id)
        return answer(
            {
                "case": asked.case_id,
                "group": case.group,
                "protocol": case.protocol,
                "policy": case.policy,
                "closed": case.closed_at,
                "sessions": case.scheduled,
            }
        )

    async def _open(self, asked: Asked) -> Response:
        """Tell what the patient is asked for now, and until when."""
        at = self._receive()
        case = await at.own(asked.client, asked.case_id)
        occasions = [
            {"session": each.session, "instrument": each.instrument, "opens": each.opens, "closes": each.closes}
            for each in at.timetable.open_now(case, at.now())
        ]
        return answer({"case": asked.case_id, "occasions": occasions})

    async def _notice(self, asked: Asked) -> Response:
        """Tell what is on the log of a notice, nothing of one that is not known; and where its case is now."""
        case = await self._receive().own(asked.client, asked.case_id)
        told = case.notices.get(asked.entry_id, Told())
        where = {"clinic": case.clinic, "group": case.group}
        return answer({**where, "recipients": told.recipients, "settled": told.settled, "is_over": told.is_over})

    def _stating(self, statement: Statement) -> Handle:
        async def handle(asked: Asked) -> Response:
            said = await object_of(asked.http, asked.loan)
            at = self._receive()
            origin = at.origin(asked)
            facts = [self._stated(statement, said, asked.case_id, origin)]
            await self._recorded(origin, await self._with_sessions(facts, await self._joining(facts, origin), origin))
            return answer({"case": asked.case_id, "fact": facts[0].fact.id}, HTTPStatus.CREATED)

        return handle

    async def _batch(self, asked: Asked) -> Response:
        """Record several facts together, or none of them."""
        body = await object_of(asked.http, asked.loan)
        said = body.pop("facts", None)
        if not isinstance(said, list) or not 0 < len(said) <= BATCH_AT_MOST:
            raise Problem(problems.INVALID, Fault("/facts", f"a list of 1 to {BATCH_AT_MOST} facts"))
        if body:
            # When something happened, say, is said by each fact: beside them it would be passed over.
            raise Problem(problems.INVALID, Fault("", "no other fields than facts"))
        at = self._receive()
        origin = at.origin(asked)
        parts: Counter[str] = Counter()
        facts = [self._of_batch(place, each, origin, parts) for place, each in enumerate(said)]
        stated = await self._with_sessions(facts, await self._joining(facts, origin), origin)
        _require_room(fact for fact, *_ in stated)
        await self._recorded(origin, stated)
        recorded = [{"case": fact.subject, "fact": fact.id} for fact, *_ in facts]
        return answer({"facts": recorded}, HTTPStatus.CREATED)

    async def _joining(self, facts: Iterable[Stated], origin: Origin) -> Mapping[str, Registered]:
        """Give what is known of those of the client's cases that are to join another group."""
        moved = {each.fact.subject for each in facts if isinstance(each.fact.data, CaseTransferred)}
        cases = await self._receive().cases.registered(moved) if moved else {}
        return {case_id: case for case_id, case in cases.items() if case.enrolled and origin.client.sees(case.clinic)}

    def _of_batch(self, place: int, said: object, origin: Origin, parts: Counter[str]) -> Stated:
        """Read a fact of a batch. parts: counts those about each case whose ids are made from the key."""
        pointer = f"/facts/{place}"
        if not isinstance(said, dict):
            raise Problem(problems.INVALID, Fault(pointer, "an object"))
        body = dict(said)
        case_id, name = body.pop("case", None), body.pop("state", None)
        if not isinstance(case_id, str) or not CASE.fullmatch(case_id):
            raise Problem(problems.INVALID, Fault(f"{pointer}/case", "the id of a case"))
        statement = STATEMENTS.get(name) if isinstance(name, str) else None
        if statement is None:
            raise Problem(problems.INVALID, Fault(f"{pointer}/state", f"one of {', '.join(STATEMENTS)}"))
        if origin.client.role not in statement.roles:
            raise Problem(problems.NOT_ALLOWED, Fault(f"{pointer}/state", "a fact that the client's role may state"))
        part = parts[case_id]
        parts[case_id] += body.get("id") is None
        return self._stated(statement, body, case_id, origin, pointer, part)

    def _stated(
        self,
        statement: Statement,
        said: Mapping[str, Any],
        case_id: str,
        origin: Origin,
        pointer: str = "",
        part: int = 0,
    ) -> Stated:
        def before() -> Iterator[Event[Data]]:
            for name, kind in statement.refers.items():
                for ref in _meant(self._receive().definitions, kind, said.get(name)):
                    yield self._fact(statement, {**said, name: ref}, case_id, origin, pointer, part)

        return Stated(self._fact(statement, said, case_id, origin, pointer, part), pointer, before)

    def _fact(
        self, statement: Statement, said: Mapping[str, Any], case_id: str, origin: Origin, pointer: str, part: int
    ) -> Event[Data]:
        try:
            return stated(statement, said, case_id, origin, self._receive().definitions, part)
        except ValidationError as error:
            raise problems.invalid(error, statement.fields, within=self._items(), pointer=pointer) from None
        except Misstated as wrong:
            raise Problem(problems.INVALID, Fault(f"{pointer}/{wrong.place}", wrong.expected)) from None
        except Unpublished as unknown:
            raise unpublished(unknown.place, pointer=pointer) from None
        except Unnamed:
            raise Problem(problems.KEY_EXPECTED) from None

    def _items(self) -> set[str]:
        """Name every question that an instrument asks: it is a place in a body, and nothing that somebody said."""
        return {item.id for _, asks in self._receive().definitions.of_kind(Instrument) for item in asks.items}


def _joining(enrolment: Enrolment, enrolled: Event[Data], origin: Origin) -> list[Stated]:
    """State that a case whose sessions are named joins its group: by a transfer, which alone can say so.

    Raises Misstated, Unnamed.
    """
    if not enrolment.sessions:
        return []
    if enrolment.group is None:
        raise Misstated("group", "a group, since its sessions are named")
    data = CaseTransferred(group=enrolment.group, sessions=enrolment.sessions)
    given_id = None if enrolment.id is None else _joins_by(enrolment.id)
    return [Stated(origin.event(enrolled.subject, data, enrolled.time, given_id, part=1))]


def _joins_by(enrolment_id: str) -> str:
    """Give the id of the fact by which a case joins its group that is enrolled under an id with its sessions named."""
    return name_based_id(FACT_ID, enrolment_id, CaseTransferred.wire_name)


def _require_room(facts: Iterable[Event[Data]]) -> None:
    """Make sure that what is stated about a case can be recorded together. Raises Problem."""
    sizes: Counter[str] = Counter()
    for fact in facts:
        # Sealed, a text has four characters for three bytes, and a name for its key beside it.
        sizes[fact.subject] += Record(fact.subject, encode(fact)).size * 4 // 3 + 100
    if max(sizes.values()) > GROUP_BYTES:
        raise Problem(problems.TOO_LARGE)


def _meant(definitions: Catalogue, kind: type[Definition], name: str | None) -> list[str]:
    """Give what a name can have meant at any time: any definition if none is named, and any version of an id.

    Nothing if it is named with its version: that has always meant the same.
    """
    return [ref for ref, model in definitions.of_kind(kind) if name in (None, model.id)]
