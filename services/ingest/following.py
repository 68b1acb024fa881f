"""The cases of a group follow its times: they come to what the roster says, whatever was broken off or overtaken."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from enum import Enum, auto

from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from services.ingest.cases import Cases
from services.ingest.domain.admission import outside
from services.ingest.domain.register import Registered, Unclear
from services.ingest.domain.schedule import changes
from services.ingest.door import Door
from services.ingest.intake import Request
from services.ingest.statements import group_fact
from services.runtime.logger import logger
from services.runtime.roster.port import Group, Roster


class Keeps(Enum):
    """What keeps a group: a course that goes on in it, or a case of which not all is known, which may."""

    COURSE = auto()
    UNCLEAR = auto()


class Following:
    """Brings cases to the times of their groups."""

    def __init__(
        self, cases: Cases, roster: Roster, door: Door, definitions: Catalogue, now: Callable[[], datetime]
    ) -> None:
        """Bring `cases` to what `roster` says, through `door`."""
        self._cases = cases
        self._roster = roster
        self._door = door
        self._definitions = definitions
        self._now = now
        self._one_after_the_other: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def put(self, group: Group) -> None:
        """Enter a group, and bring every case of it to its times. Raises Unavailable, and goes on when it comes again.

        The roster comes first: a case that joins meanwhile looks there once more when it has (`joined`).
        Raises DefinitionMissing if the protocol of a case is not known, when all others have been brought there.
        """
        missing: DefinitionMissing | None = None
        async with self._one_after_the_other[group.clinic]:
            await self._roster.put(group)
            async for cases in self._cases.all():
                for case_id, case in cases.items():
                    if (case.clinic, case.group) == (group.clinic, group.id):
                        try:
                            await self.brought(case_id, case, group)
                        except DefinitionMissing as unknown:
                            missing = unknown
        if missing is not None:
            raise missing

    async def remove(self, clinic: str, group_id: str) -> Keeps | None:
        """Remove a group, unless courses go on in it, or may; tell what keeps it.

        A course can join it at that moment. So it is looked at again afterwards, and by who joins (`joined`): whoever
        sees that puts the group back.
        """
        async with self._one_after_the_other[clinic]:
            keeps = await self._keeps(clinic, group_id)
            group = await self._roster.find(Group, clinic, group_id)
            if keeps is None and group is not None:
                await self._roster.remove(Group, clinic, group_id)
                keeps = await self._keeps(clinic, group_id)
                # Another process can have entered it anew meanwhile.
                if keeps is not None and await self._roster.find(Group, clinic, group_id) is None:
                    await self._roster.put(group)
        return keeps

    async def _keeps(self, clinic: str, group_id: str) -> Keeps | None:
        is_unclear = False
        async for _, case in self._going_on():
            if (case.clinic, case.group) == (clinic, group_id):
                return Keeps.COURSE
            # What is not known of it may say that it has joined since, also from another clinic.
            is_unclear |= isinstance(case, Unclear)
        return Keeps.UNCLEAR if is_unclear else None

    async def cases_of(self, clinic: str, group_id: str) -> Sequence[str] | None:
        """Give the cases whose courses go on in a group; None where one of which not all is known may be in it."""
        found: list[str] = []
        async for case_id, case in self._going_on():
            if isinstance(case, Unclear) and case.clinic in (None, clinic):
                return None
            if (case.clinic, case.group) == (clinic, group_id):
                found.append(case_id)
        return sorted(found)

    async def _going_on(self) -> AsyncIterator[tuple[str, Registered]]:
        """Give every case whose course is not over. Raises Unavailable, at the end at the latest."""
        now = self._now()
        async for cases in self._cases.all():
            for case_id, case in cases.items():
                if _goes_on(case, now):
                    yield case_id, case

    async def joined(self, case_id: str, entered: Group | None) -> None:
        """Bring a case to the times of the group that it has just joined: these can have changed at that moment.

        entered: the group as it was when it joined
        """
        case = (await self._cases.registered([case_id])).get(case_id)
        if case is None:
            return
        group = await self._group_of(case)
        if group is None and entered is not None and (entered.clinic, entered.id) == (case.clinic, case.group):
            await self._roster.put(entered)
            group = entered
        if group is not None:
            await self.brought(case_id, case, group)

    async def brought(self, case_id: str, case: Registered, group: Group) -> Registered:
        """Bring a case to the times of its group; give how it stands then.

        When something was said, the roster is looked at again: somebody in another process can have entered other times
        by then, or have transferred the case, and have brought it to those before.
        """
        while _goes_on(case, now := self._now()):
            follows = [
                data for data in changes(case, group.sessions) if not any(outside(case, data, self._definitions))
            ]
            if not follows:
                break
            facts = [group_fact(case_id, case, data, now) for data in follows]
            taken = await self._door.take(Request(facts, group.clinic, now))
            for _, refusal in taken.refused:
                logger.warning("group-not-followed", case=case_id, why=refusal.code)
            before = case, group
            case = (await self._cases.registered([case_id])).get(case_id, case)
            entered = await self._group_of(case)
            if entered is None or (taken.refused and (case, entered) == before):
                break
            group = entered
        return case

    async def _group_of(self, case: Registered) -> Group | None:
        """Give the group that a case is in, as the roster has it now."""
        if case.clinic is None or case.group is None:
            return None
        return await self._roster.find(Group, case.clinic, case.group)


def _goes_on(case: Registered, now: datetime) -> bool:
    """Tell whether a course is not over: it can be said ahead when it will be."""
    return not case.erased and (case.closed_at is None or case.closed_at > now)
