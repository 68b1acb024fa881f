"""The store on MongoDB."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from contracts.events.fields import instant
from services.runtime.documents import Document, Documents, Replacement, Standing, told_as
from services.runtime.store.port import (
    Appointment,
    Halted,
    Held,
    Outcome,
    Position,
    StatesLost,
    StatesReplaced,
    StoredState,
    StoreUnavailable,
    Write,
)
from services.runtime.store.values import due_of, moment_of, position_of

POSITIONS = "positions"
HALTED = "halted"
DUE = "due"
_AT_ONCE = 1_000

_BEGUN = ""
"""A document beside the states, which goes when they go. No case has this id."""

_SHUT = "shut"
"""Set in that document while the states are replaced."""

_STATES = "states"
"""Names the place of the states that a position goes with."""


class MongoStore:
    """A `Store` in a collection of states for each stage, and the collections `positions` and `halted`."""

    def __init__(self, documents: Documents) -> None:
        """Use a database."""
        self._documents = documents

    async def begin(self, stage: str) -> str:
        """Make the place for the states of a stage, unless it is there; name it. From then on it has to be there."""
        with told_as(StoreUnavailable):
            await self._documents.put_new(states_of(stage), {_BEGUN: {"number": -1, "by": uuid4().hex}})
        place = await self.place(stage)
        if place is None:
            raise StatesLost(stage)
        return place

    async def place(self, stage: str) -> str | None:
        """Name the place for the states of a stage; None if it is not there."""
        with told_as(StoreUnavailable):
            return _named(stage, await self._documents.find(states_of(stage), [_BEGUN]))

    async def clear(self, stage: str) -> None:
        """Forget everything of a stage: states, positions and halted cases."""
        with told_as(StoreUnavailable):
            # The states last: a position that outlived them would say that they are there.
            await self._documents.remove_where(POSITIONS, {"stage": stage})
            await self._documents.remove_where(HALTED, {"stage": stage})
            await self._documents.remove_all(states_of(stage))

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        """Give the states of some cases; a case without one is absent."""
        if not case_ids:
            return {}
        with told_as(StoreUnavailable):
            found = await self._documents.find(states_of(stage), [_BEGUN, *case_ids])
        place = _named(stage, found)
        if place is None or states not in (None, place):
            raise StatesLost(stage)
        return {
            each["_id"]: StoredState(
                each["number"], each["read"], each["written"], each["schema"], each["body"], due_of(each.get(DUE))
            )
            for each in found
            if each["_id"] != _BEGUN
        }

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write states, each on its condition; the outcomes are in the order of the writes."""
        with told_as(StoreUnavailable):
            standing = await self._documents.replace(states_of(stage), [_replacement(write) for write in writes])
        return [_outcome(write, each) for write, each in zip(writes, standing, strict=True)]

    async def cases(self, stage: str) -> AsyncIterator[str]:
        """Give the cases that a stage has a state of, in order."""
        with told_as(StoreUnavailable):
            async for case_id in self._documents.ids(states_of(stage)):
                if case_id != _BEGUN:
                    yield case_id

    async def appointments(
        self, stage: str, until: datetime, limit: int, after: Appointment | None = None
    ) -> Sequence[Appointment]:
        """Give the cases that are to be looked at by then, the earliest first, at most so many."""
        read: list[Appointment] = []
        beyond = None if after is None else (instant(after.due), after.case_id)
        while wanted := limit - len(read):
            with told_as(StoreUnavailable):
                found = await self._documents.find_up_to(states_of(stage), DUE, instant(until), wanted, beyond)
            moments = [(moment_of(each[DUE]), each) for each in found]
            read += [Appointment(due, each["_id"], each["number"]) for due, each in moments if due is not None]
            if len(found) < wanted:
                break
            beyond = found[-1][DUE], found[-1]["_id"]
        return read

    async def postpone(self, stage: str, appointment: Appointment, due: datetime | None) -> None:
        """Let a case be looked at later, or no more, unless its state was written since."""
        wanted = {"_id": appointment.case_id, DUE: instant(appointment.due), "number": appointment.offset}
        with told_as(StoreUnavailable):
            await self._documents.set_where(states_of(stage), wanted, {DUE: None if due is None else instant(due)})

    async def hold(self, stage: str, partition: int, owner: str) -> Held:
        """Take a partition, and give how the stage stands there."""
        # Nothing is written while the place is shut: see `_go_on`.
        await self.place(stage)
        identity = f"{stage}/{partition}"
        with told_as(StoreUnavailable):
            await self._documents.put(POSITIONS, {identity: {"stage": stage, "owner": owner}})
        # In this order: where other states have taken their place in between, their name is not the one that is given.
        place = await self.place(stage)
        with told_as(StoreUnavailable):
            [document] = await self._documents.find(POSITIONS, [identity]) or [{}]
            if document.get(_STATES) is None:
                await self._documents.set_where(POSITIONS, {"_id": identity, "owner": owner}, {_STATES: place})
        # A position says nothing of other states than those that it came with: they may have been begun anew since, by
        # a partition where nothing had been done yet.
        is_theirs = document.get(_STATES) in (None, place)
        return Held(_position_in(document), place if is_theirs else None)

    async def position(self, stage: str, partition: int) -> Position | None:
        """Give how far a stage has come."""
        return (await self.positions(stage, [partition])).get(partition)

    async def positions(self, stage: str, partitions: Iterable[int]) -> Mapping[int, Position]:
        """Give how far a stage has come in some partitions."""
        names = {f"{stage}/{partition}": partition for partition in partitions}
        with told_as(StoreUnavailable):
            documents = await self._documents.find(POSITIONS, names)
        found = ((names[each["_id"]], _position_in(each)) for each in documents)
        return {partition: position for partition, position in found if position is not None}

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        """Say how far a stage has come, unless somebody else has taken the partition."""
        identity = f"{stage}/{partition}"
        fields = {"stage": stage, "log": position.log, "offset": position.offset}
        with told_as(StoreUnavailable):
            if owner is None:
                await self._documents.put(POSITIONS, {identity: fields})
                return Outcome.APPLIED
            is_ours = await self._documents.set_where(POSITIONS, {"_id": identity, "owner": owner}, fields)
        return Outcome.APPLIED if is_ours else Outcome.LOST

    async def halt(self, stage: str, halted: Sequence[Halted]) -> None:
        """Record where cases halt and why; what was recorded of an earlier halt is replaced."""
        documents = {
            f"{stage}/{each.case_id}": {
                "stage": stage,
                "case_id": each.case_id,
                "partition": each.partition,
                "offset": each.offset,
                "reason": each.reason,
                "retry": False,
                "mark": uuid4().hex,
            }
            for each in halted
        }
        with told_as(StoreUnavailable):
            await self._documents.put(HALTED, documents)

    async def retry(self, stage: str, case_id: str) -> bool:
        """Ask for a halted case to be tried again; tell whether it is halted."""
        with told_as(StoreUnavailable):
            return await self._documents.set_where(HALTED, {"_id": f"{stage}/{case_id}"}, {"retry": True})

    async def resume(self, stage: str, halted: Sequence[Halted]) -> None:
        """Forget that cases were halted, as they were listed."""
        listed = [{"_id": f"{stage}/{each.case_id}", "offset": each.offset, "mark": each.mark} for each in halted]
        with told_as(StoreUnavailable):
            await self._documents.remove_each(HALTED, listed)

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        """Give the cases that are halted, by case."""
        wanted = {"stage": stage} if partition is None else {"stage": stage, "partition": partition}
        with told_as(StoreUnavailable):
            found = await self._documents.find_where(HALTED, wanted)
        return [_halted(each) for each in found]

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        """Give those of some cases that are halted."""
        with told_as(StoreUnavailable):
            found = await self._documents.find(HALTED, [f"{stage}/{case_id}" for case_id in case_ids])
        return {each["case_id"]: _halted(each) for each in found}

    async def remove(self, stage: str, case_ids: Collection[str]) -> None:
        """Remove the states of some cases, and that they are halted."""
        with told_as(StoreUnavailable):
            await self._documents.remove_each(states_of(stage), [{"_id": case_id} for case_id in case_ids])
            await self._documents.remove_each(HALTED, [{"_id": f"{stage}/{case_id}"} for case_id in case_ids])

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        """Put what was kept under another name in the place of all that is known of a stage, and forget that name.

        Meanwhile the place is shut, and has another name afterwards. States are copied: a collection cannot be renamed
        on everything that speaks MongoDB's protocol.
        """
        source = await self.place(fresh)
        if source is None:
            raise StatesLost(fresh)
        name = uuid4().hex
        await self._shut(stage, name)
        for partition in positions:
            # Whoever has it now can no longer say how far it has come.
            with told_as(StoreUnavailable):
                await self._documents.put(POSITIONS, {f"{stage}/{partition}": {"stage": stage, "owner": uuid4().hex}})
        await self._require_ours(stage, name)
        with told_as(StoreUnavailable):
            await self._documents.remove_where(states_of(stage), {"_id": {"$ne": _BEGUN}})
            await self._documents.create_index(states_of(stage), DUE, unique=False)
            await self._documents.remove_where(HALTED, {"stage": stage})
        some: list[str] = []
        async for case_id in self.cases(fresh):
            some.append(case_id)
            if len(some) == _AT_ONCE:
                await self._copy(fresh, source, stage, name, some)
                some = []
        await self._copy(fresh, source, stage, name, some)
        await self.halt(stage, await self.halted(fresh))
        # States go at once, after all else of them, so these were all there.
        if await self.place(fresh) != source:
            raise StatesLost(fresh)
        await self._require_ours(stage, name)
        for partition, position in positions.items():
            await self._go_on(stage, partition, position, name)
        await self._open(stage, name)
        await self.clear(fresh)

    async def _require_ours(self, stage: str, name: str) -> None:
        """Make sure that the place is shut by this call. Raises StatesLost if another one has replaced the states too.

        Something of these may be gone then, if that is done already.
        """
        with told_as(StoreUnavailable):
            if await self._documents.count_where(states_of(stage), {"_id": _BEGUN, "by": name, _SHUT: True}):
                return
            await self._documents.set_where(states_of(stage), {"_id": _BEGUN, _SHUT: False}, {_SHUT: True})
        raise StatesLost(stage)

    async def _open(self, stage: str, name: str) -> None:
        """Let others go on with what is there. Raises StatesLost if it is another call that has shut the place."""
        with told_as(StoreUnavailable):
            is_ours = await self._documents.set_where(states_of(stage), {"_id": _BEGUN, "by": name}, {_SHUT: False})
        if not is_ours:
            await self._require_ours(stage, name)

    async def _shut(self, stage: str, name: str) -> None:
        """Give the place for the states of a stage a name, and let nobody go on with what is there.

        Only whoever replaces the states writes this document while it is there, so nobody's change of it can be lost.
        """
        with told_as(StoreUnavailable):
            await self._documents.put(states_of(stage), {_BEGUN: {"number": -1, "by": name, _SHUT: True}})

    async def _copy(self, fresh: str, source: str, stage: str, name: str, case_ids: Collection[str]) -> None:
        """Copy states that were kept under another name, whatever a batch under way has written there."""
        states = await self.load(fresh, case_ids, source)
        await self._require_ours(stage, name)
        replacements = [_replacement(Write(case_id, None, state)) for case_id, state in states.items()]
        documents = {each.id: {"number": each.number, "by": uuid4().hex, **each.fields} for each in replacements}
        with told_as(StoreUnavailable):
            await self._documents.put(states_of(stage), documents)

    async def _go_on(self, stage: str, partition: int, position: Position, states: str) -> None:
        """Say from where a stage goes on, with which states, until that stands there.

        Where a document is changed at the same moment, not every server keeps both changes: somebody may still be about
        to take the partition who came before the place was shut.
        """
        identity = f"{stage}/{partition}"
        fields = {"stage": stage, "log": position.log, "offset": position.offset, _STATES: states}
        with told_as(StoreUnavailable):
            while not await self._documents.count_where(POSITIONS, {"_id": identity, **fields}):
                await self._documents.put(POSITIONS, {identity: fields})


def states_of(stage: str) -> str:
    """Name the collection of a stage's states."""
    return f"states.{stage}"


def _position_in(document: Document) -> Position | None:
    return position_of(document["log"], document.get("offset")) if "log" in document else None


def _named(stage: str, documents: Sequence[Document]) -> str | None:
    """Name the place of the states, if what tells of it is among some documents. Raises StatesReplaced."""
    begun = next((each for each in documents if each["_id"] == _BEGUN), None)
    if begun is not None and begun.get(_SHUT):
        raise StatesReplaced(stage)
    return None if begun is None else str(begun["by"])


def _replacement(write: Write) -> Replacement:
    state = write.state
    due = None if state.due is None else instant(state.due)
    fields = {"read": state.read, "written": state.written, "schema": state.schema, "body": state.body, DUE: due}
    return Replacement(write.case_id, write.expected, state.offset, fields)


def _halted(found: Document) -> Halted:
    return Halted(found["case_id"], found["partition"], found["offset"], found["reason"], found["retry"], found["mark"])


def _outcome(write: Write, standing: Standing) -> Outcome:
    if standing.is_ours:
        return Outcome.APPLIED
    return Outcome.ALREADY_APPLIED if standing.number == write.state.offset else Outcome.LOST
