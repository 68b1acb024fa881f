"""The roster over HTTP: what a clinic is, its groups and its therapists; the cases of a group follow its times."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from services.ingest.domain.admission import UNCLEAR
from services.ingest.following import Keeps
from services.ingest.http import problems
from services.ingest.http.bodies import object_of
from services.ingest.http.faults import Fault
from services.ingest.http.problems import Problem
from services.ingest.http.reception import Asked, Handle, Receive, answer, read, unpublished
from services.ingest.statements import PLANNED, can_be_planned
from services.runtime.roster.port import Clinic, Entry, Group, Therapist


class RosterDesk:
    """What is asked and said about clinics, groups and therapists."""

    def __init__(self, receive: Receive) -> None:
        """Hand on to what there is."""
        self._receive = receive

    def handlers(self) -> Mapping[str, Handle]:
        """Give the handlers of its operations, by name."""
        return {
            "get-clinic": self._clinic,
            "put-clinic": self._put_clinic,
            "put-groups": self._put_group,
            "put-therapists": self._put_therapist,
            **self._of("groups", Group),
            **self._of("therapists", Therapist),
            "delete-groups": self._delete_group,
            "group-cases": self._cases_of_group,
        }

    def _of(self, name: str, kind: type[Entry]) -> Mapping[str, Handle]:
        """Give what lists, gives and removes entries of a kind."""

        async def every(asked: Asked) -> Response:
            entries = await self._receive().roster.all(kind, asked.client.clinic)
            return answer({name: [_shown(entry) for entry in entries]})

        async def one(asked: Asked) -> Response:
            entry = await self._receive().roster.find(kind, asked.client.clinic, asked.entry_id)
            if entry is None:
                raise Problem(problems.NOT_FOUND)
            return answer(_shown(entry))

        async def remove(asked: Asked) -> Response:
            await self._receive().roster.remove(kind, asked.client.clinic, asked.entry_id)
            return Response(status_code=HTTPStatus.NO_CONTENT)

        return {f"list-{name}": every, f"get-{name}": one, f"delete-{name}": remove}

    async def _clinic(self, asked: Asked) -> Response:
        """Give what the roster says of the client's clinic."""
        name = asked.client.clinic
        return answer(_shown(await self._receive().roster.find(Clinic, name, name) or Clinic(clinic=name, id=name)))

    async def _put_clinic(self, asked: Asked) -> Response:
        """Say by whose clock a clinic goes, its language, and what its cases are enrolled with."""
        said = await _said(asked, asked.client.clinic)
        at = self._receive()
        unknown: list[str] = []
        for kind in (Protocol, Policy):
            place = kind.__name__.lower()
            if isinstance(named := said.get(place), str):
                entry = at.definitions.named(kind, named)
                said[place] = None if entry is None else entry.ref
                unknown += [place] if entry is None else []
        clinic = read(Clinic, said)
        if unknown:
            raise unpublished(*unknown)
        await at.roster.put(clinic)
        return answer(_shown(clinic))

    async def _put_therapist(self, asked: Asked) -> Response:
        """Say where mail of a therapist goes."""
        therapist = read(Therapist, await _said(asked, asked.entry_id))
        await self._receive().roster.put(therapist)
        return answer(_shown(therapist))

    async def _put_group(self, asked: Asked) -> Response:
        """Say when the sessions of a group are and who leads it; the cases of the group follow."""
        group = read(Group, await _said(asked, asked.entry_id))
        wrong = [name for name, at in group.sessions.items() if not can_be_planned(at)]
        if wrong:
            raise Problem(problems.INVALID, *(Fault(f"/sessions/{name}", PLANNED) for name in wrong))
        await self._receive().following.put(group)
        return answer(_shown(group))

    async def _cases_of_group(self, asked: Asked) -> Response:
        """List the cases whose courses go on in a group."""
        at, clinic = self._receive(), asked.client.clinic
        if await at.roster.find(Group, clinic, asked.entry_id) is None:
            raise Problem(problems.NOT_FOUND)
        cases = await at.following.cases_of(clinic, asked.entry_id)
        if cases is None:
            raise problems.refused([("", UNCLEAR)])
        return answer({"cases": cases})

    async def _delete_group(self, asked: Asked) -> Response:
        """Remove a group in which no course goes on."""
        match await self._receive().following.remove(asked.client.clinic, asked.entry_id):
            case Keeps.COURSE:
                raise Problem(problems.GROUP_IN_USE)
            case Keeps.UNCLEAR:
                raise problems.refused([("", UNCLEAR)])
        return Response(status_code=HTTPStatus.NO_CONTENT)


async def _said(asked: Asked, entry_id: str) -> dict[str, Any]:
    """Give what is said of an entry, with whose it is; what says another id or clinic was meant for another entry."""
    said = await object_of(asked.http, asked.loan)
    if said.get("id", entry_id) != entry_id:
        raise Problem(problems.INVALID, Fault("/id", "the id by which it is given, or none"))
    if "clinic" in said:
        raise Problem(problems.INVALID, Fault("/clinic", "nothing: the credential says it"))
    return {**said, "clinic": asked.client.clinic, "id": entry_id}


def _shown(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"clinic"})
