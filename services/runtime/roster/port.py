"""What the services need of a roster. It is not history: what it holds is what is so now, and can be changed."""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Annotated, Final, Protocol, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contracts.definitions.definition import Language
from contracts.events.fields import AT_ONCE, DefinitionRef, Instant, Name, SessionName
from services.runtime.unavailable import Unavailable


class RosterUnavailable(Unavailable):
    """The roster cannot be reached, read or written just now; the same call can be tried again."""


@cache
def _zones() -> Collection[str]:
    """Name the time zones that there are; asking for them reads the whole of their database."""
    return available_timezones()


def _require_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("a time zone such as Europe/Copenhagen")
    return name


ZoneName = Annotated[str, AfterValidator(_require_zone)]
"""A time zone of the IANA database, such as Europe/Copenhagen."""

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS: Final = rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*$"
"""A mailbox as RFC 5321 has it, without quotes: one mailbox, however a mail server reads it."""

Address = Annotated[str, Field(pattern=ADDRESS, max_length=254)]


class Entry(BaseModel):
    """Something of a clinic. Immutable; what takes its place is written whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    clinic: Name
    id: Name


USUAL: Final[Language] = "da"
"""The language of a clinic that says nothing."""


class Clinic(Entry):
    """A clinic, which is its own only entry: `id` is that of the clinic.

    zone: by whose clock its sessions are; the region's, if it says nothing
    protocol, policy: of cases that are enrolled without naming theirs
    supervisors: those of its therapists who are told of reports that nobody has looked at
    """

    zone: ZoneName | None = None
    language: Language = USUAL
    protocol: DefinitionRef | None = None
    policy: DefinitionRef | None = None
    supervisors: Annotated[tuple[Name, ...], Field(max_length=AT_ONCE)] = ()


class Group(Entry):
    """A group. sessions: session -> when it begins; therapists: who leads it now.

    Neither has a default: what takes its place is written whole, and whoever only means to say who leads a group would
    take its sessions from it, and cancel them in every case.
    """

    sessions: dict[SessionName, Instant]
    therapists: Annotated[tuple[Name, ...], Field(max_length=AT_ONCE)]


class Therapist(Entry):
    """Somebody who leads groups. address: where mail goes; language: of that mail; the clinic's, if it says nothing."""

    address: Address
    language: Language | None = None


EntryT = TypeVar("EntryT", bound=Entry)
KINDS: Final[Sequence[type[Entry]]] = (Clinic, Group, Therapist)


def kind_of(entry: type[Entry]) -> str:
    """Name a kind of entry where it is stored."""
    return entry.__name__.lower()


def read_each(kind: type[EntryT], bodies: Iterable[tuple[str, str]]) -> tuple[Sequence[EntryT], AbstractSet[str]]:
    """Read entries as they are stored, each with its clinic; give those that can be read, and whose the others are."""
    found: list[EntryT] = []
    others: set[str] = set()
    for clinic, body in bodies:
        try:
            found.append(kind.model_validate_json(body))
        except ValidationError:
            others.add(clinic)
    return sorted(found, key=lambda entry: (entry.clinic, entry.id)), others


def zone_of(clinic: Clinic) -> ZoneInfo | None:
    """Give the zone that a clinic has of its own."""
    return None if clinic.zone is None else ZoneInfo(clinic.zone)


class Roster(Protocol):
    """Entries by kind, clinic and id. Every call can raise RosterUnavailable."""

    async def put(self, entry: Entry) -> None:
        """Write an entry, in the place of the one that is there. It is durable when this returns."""

    async def find(self, kind: type[EntryT], clinic: str, entry_id: str) -> EntryT | None:
        """Give an entry; None if it is not there."""

    async def all(self, kind: type[EntryT], clinic: str | None = None) -> Sequence[EntryT]:
        """Give the entries of a kind, of every clinic or of one, by clinic and id."""

    async def readable(self, kind: type[EntryT]) -> tuple[Sequence[EntryT], AbstractSet[str]]:
        """Give the entries of a kind that can be read, by clinic and id, and the clinics that have others."""

    async def remove(self, kind: type[Entry], clinic: str, entry_id: str) -> bool:
        """Remove an entry; tell whether it was there."""


async def language_of(roster: Roster, therapist: Therapist) -> Language:
    """Give the language of a therapist. Raises RosterUnavailable."""
    if therapist.language is not None:
        return therapist.language
    clinic = await roster.find(Clinic, therapist.clinic, therapist.clinic)
    return USUAL if clinic is None else clinic.language
