"""What whoever brings facts to the door is promised, however many come at once and whatever is away meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.codec import id_of
from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import CaseEnrolled, ResponseSubmitted, SessionAttended
from contracts.topics import CASES, Topic
from services.ingest.cases import Cases, KeyMissing
from services.ingest.domain.register import Register, Registered
from services.ingest.door import Door, DoorBusy
from services.ingest.intake import Intake, Request, Taken
from services.runtime.log.port import Journal, LogUnavailable, Record
from services.runtime.unavailable import Unavailable
from tests.support.clinic import definitions, instrument, odsis, policy_like, protocol_like
from tests.support.faults import Away, Trouble, TroubledKeyring, TroubledLog, When
from tests.support.said import said_on
from tests.support.workbench import Workbench, cases_of

MOMENT: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE: Final = cases_of(0, 1)[0]
MANY: Final = 64
SOON: Final = 0.2
"""Seconds."""

AWAY: Final[Sequence[tuple[str, When]]] = (
    ("log.append_each", "before"),
    ("log.append_each", "after"),
    ("log.ends", "before"),
)


def fact(data: Data, case_id: str = CASE, *, key: str = "1", at: datetime = MOMENT) -> Event[Data]:
    name = f"{data.type()}\x1f{key}"
    return new_fact(data, case_id=case_id, fact_id=fact_id("c1", case_id, name), source="urn:test", happened=at)


def enrolled(case_id: str = CASE, clinic: str = "c1") -> Event[Data]:
    return fact(CaseEnrolled(clinic=clinic, protocol=protocol_like("open-ended"), policy=policy_like()), case_id)


def answered(session: int, case_id: str = CASE, total: int = 8) -> Event[Data]:
    ref, _ = instrument("odsis")
    data = ResponseSubmitted(
        session=session, instrument=ref, answers=odsis(total), answered_at=MOMENT, entered_by="patient"
    )
    return fact(data, case_id, key=str(session))


class StallingLog(TroubledLog):
    """A log that can be made to answer nothing for a while, and keeps what was brought to it.

    came: somebody waits for it; groups: what was to be appended together or not at all
    away: whether it fails, before anything is there or when it is
    """

    away: When | None = None

    def __init__(self, log: Journal, trouble: Trouble) -> None:
        super().__init__(log, trouble)
        self.groups: list[Sequence[Record]] = []
        self.goes_on, self.came = asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    async def append_each(
        self, topic: Topic, groups: Mapping[int, Sequence[Sequence[Record]]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        self.groups += chain.from_iterable(groups.values())
        self.came.set()
        await self.goes_on.wait()
        appended = {} if self.away == "before" else await super().append_each(topic, groups)
        return dict.fromkeys(groups, LogUnavailable("away")) if self.away else appended


class Entrance:
    """A door over a file, open."""

    def __init__(self, bench: Workbench, known: Catalogue, **limits: Any) -> None:
        self.bench = bench
        log = self.log = StallingLog(bench.log, bench.trouble)
        keyring = TroubledKeyring(bench.keyring, bench.trouble)
        cases = Cases(log, bench.store, keyring)
        intake = Intake(log, cases, keyring, known, lambda: MOMENT)
        self.door = Door(intake, **limits)

    async def bring(self, *facts: Event[Data], clinic: str | None = "c1") -> Taken:
        return await self.door.take(Request(facts, clinic))

    async def on_log(self) -> list[Event[Data]]:
        """Every fact on the log."""
        return await said_on(self.bench.log, self.bench.keyring, CASES)


@asynccontextmanager
async def an_entrance(folder: Path, trouble: Trouble | None = None, **limits: Any) -> AsyncIterator[Entrance]:
    with Workbench.on(folder / "bench.db", trouble) as bench:
        entrance = Entrance(bench, definitions(), **limits)
        async with entrance.door.opened():
            yield entrance


def ids(facts: Sequence[Event[Data]]) -> set[str]:
    return {each.id for each in facts}


async def test_what_is_answered_is_on_the_log(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        facts = [enrolled(), answered(1)]
        assert await entrance.bring(*facts) == Taken(2)
        assert ids(await entrance.on_log()) == ids(facts)


async def test_a_response_is_taken_as_soon_as_the_enrolment_is_answered(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        for case_id in cases_of(3, MANY):
            await entrance.bring(enrolled(case_id))
            assert await entrance.bring(answered(1, case_id)) == Taken(1)


async def test_what_a_request_says_of_a_case_is_appended_together_or_not_at_all(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        # given requests that say several things of two cases, in turn
        one, other = CASE, "case-2"
        requests = [[answered(n, who) for n in (2 * at + 1, 2 * at + 2) for who in (one, other)] for at in range(2)]
        await entrance.bring(enrolled(one), enrolled(other))

        # when they come at the same time
        entrance.log.groups.clear()
        await asyncio.gather(*(entrance.bring(*request) for request in requests))

        # then what each says of a case is one group, in its order
        expected = [
            [each.id for each in request if each.subject == who] for request in requests for who in (one, other)
        ]
        assert sorted([id_of(each.value) for each in group] for group in entrance.log.groups) == sorted(expected)


async def test_what_comes_again_is_taken_once_and_answered_alike(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await entrance.bring(enrolled())

        # when many bring the same at once, and somebody again later
        outcomes = await asyncio.gather(*(entrance.bring(answered(1)) for _ in range(MANY)))
        again = await entrance.bring(answered(1))

        # then it is on the log once
        assert sorted(each.new for each in outcomes) == [0] * (MANY - 1) + [1]
        assert again == Taken(0)
        assert len(await entrance.on_log()) == 2


async def test_of_two_that_contradict_each_other_at_once_one_is_taken(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await entrance.bring(enrolled())
        outcomes = await asyncio.gather(entrance.bring(answered(1, total=8)), entrance.bring(answered(1, total=9)))
        assert [[refusal.code for _, refusal in each.refused] for each in outcomes] == [[], ["id_reused"]]
        assert len(await entrance.on_log()) == 2


async def test_of_a_request_with_a_fact_that_is_refused_nothing_is_recorded(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await entrance.bring(enrolled())

        # when a request brings a good answer, and one to a session that was answered in the same request
        other = replace_id(answered(1, total=9))
        taken = await entrance.bring(answered(1), other)

        # then neither is recorded, and the place of the one that is refused is told
        assert [(place, refusal.code) for place, refusal in taken.refused] == [(1, "occasion_answered")]
        assert len(await entrance.on_log()) == 1

        # and the good one can come by itself
        assert await entrance.bring(answered(1)) == Taken(1)


async def test_a_case_of_another_clinic_is_not_there(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await entrance.bring(enrolled())
        strange = await entrance.bring(answered(1), clinic="c2")
        nowhere = await entrance.bring(answered(1, cases_of(0, 2)[1]), clinic="c2")
        assert strange.refused == nowhere.refused
        assert [refusal.code for _, refusal in strange.refused] == ["unknown_case"]


async def test_a_fact_that_is_known_is_not_told_to_another_clinic(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await entrance.bring(enrolled(), answered(1))
        strange = await entrance.bring(answered(1), clinic="c2")
        assert [refusal.code for _, refusal in strange.refused] == ["unknown_case"]


async def test_those_who_come_while_others_are_recorded_are_recorded_together(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        await asyncio.gather(*(entrance.bring(enrolled(case_id)) for case_id in cases_of(3, MANY)))
        assert entrance.bench.trouble.calls.count("log.append_each") <= 2


async def test_of_many_who_come_again_none_is_recorded_alone(tmp_path: Path) -> None:
    async with an_entrance(tmp_path, linger=0.5) as entrance:
        cases = cases_of(3, MANY)

        async def comes_again(place: int, case_id: str) -> None:
            await entrance.bring(enrolled(case_id))
            # Each comes a turn of the loop later than the one before.
            for _ in range(place):
                await asyncio.sleep(0)
            await entrance.bring(answered(1, case_id))

        # when many come together, and again one after the other
        await asyncio.gather(*(comes_again(place, case_id) for place, case_id in enumerate(cases)))

        # then they are recorded together again
        assert entrance.bench.trouble.calls.count("log.append_each") <= 3


async def test_who_comes_alone_waits_for_nobody(tmp_path: Path) -> None:
    async with an_entrance(tmp_path, linger=600, patience=10) as entrance:
        assert await entrance.bring(enrolled()) == Taken(1)
        assert await entrance.bring(answered(1)) == Taken(1)


async def test_while_the_log_is_away_those_who_come_are_told_and_may_come_again(tmp_path: Path) -> None:
    for call, when in AWAY:
        folder = tmp_path / f"{call}-{when}"
        folder.mkdir()
        trouble = Away(call=call, when=when)
        async with an_entrance(folder, trouble) as entrance:
            # given a log that is away for a moment
            with pytest.raises(Unavailable):
                await entrance.bring(enrolled(), answered(1))

            # when the same comes again
            await entrance.bring(enrolled(), answered(1))

            # then it is there once
            assert ids(await entrance.on_log()) == ids([enrolled(), answered(1)])
            assert len(await entrance.on_log()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_repeats_what_still_waits_is_told_no_more_than_the_first(tmp_path: Path, when: When) -> None:
    async with an_entrance(tmp_path) as entrance:
        # given a log that is slow, and a response that waits for it
        await entrance.bring(enrolled())
        entrance.log.goes_on.clear()
        entrance.log.came.clear()
        slow = asyncio.create_task(entrance.bring(answered(1)))
        await entrance.log.came.wait()
        waiting = [asyncio.create_task(entrance.bring(answered(2)))]

        # when it comes again, and another answer under its id, and then the log fails
        waiting += [asyncio.create_task(entrance.bring(each)) for each in (answered(2), answered(2, total=3))]
        await asyncio.sleep(0)
        entrance.log.away = when
        entrance.log.goes_on.set()

        # then nobody is told that it stands there, nor that it is refused because it does
        told = await asyncio.gather(slow, *waiting, return_exceptions=True)
        assert [type(each) for each in told] == [LogUnavailable] * 4

        # and whoever comes again is told how it is
        entrance.log.away = None
        await entrance.bring(answered(1), answered(2))
        assert [code.code for _, code in (await entrance.bring(answered(2, total=3))).refused] == ["id_reused"]
        assert ids(await entrance.on_log()) == ids([enrolled(), answered(1), answered(2)])


async def test_a_case_that_was_just_spoken_of_needs_no_keyring(tmp_path: Path) -> None:
    trouble = Away(call="keyring.keys", times=0)
    async with an_entrance(tmp_path, trouble) as entrance:
        # given a case of which something was recorded
        await entrance.bring(enrolled())
        await entrance.bring(answered(1))

        # when the keyring is away for good, then more of the case is recorded all the same
        trouble.times = MANY
        assert await entrance.bring(answered(2)) == Taken(1)

        # and nothing of another case
        other = cases_of(0, 2)[1]
        with pytest.raises(Unavailable):
            await entrance.bring(enrolled(other))
    assert trouble.calls.count("keyring.create") == 1


async def test_when_too_much_waits_those_who_come_are_told_at_once(tmp_path: Path) -> None:
    async with an_entrance(tmp_path, waiting_at_most=MANY) as entrance:
        waiting = [asyncio.create_task(entrance.bring(enrolled(case_id))) for case_id in cases_of(3, MANY)]
        await asyncio.sleep(0)
        with pytest.raises(DoorBusy):
            await entrance.bring(enrolled(cases_of(3, MANY + 1)[-1]))
        assert await asyncio.gather(*waiting) == [Taken(1)] * MANY


async def test_while_the_log_answers_nothing_those_who_come_wait_for_a_bounded_time(tmp_path: Path) -> None:
    async with an_entrance(tmp_path, patience=SOON) as entrance:
        await entrance.bring(enrolled())

        # given a log that answers nothing any more, to a caller whose turn it is
        entrance.log.goes_on.clear()
        entrance.log.came.clear()
        first = asyncio.create_task(entrance.bring(answered(1)))
        await entrance.log.came.wait()

        # when another one comes, then it is told that nothing was recorded, and the first that this is not known
        with pytest.raises(DoorBusy):
            await entrance.bring(answered(2))
        with pytest.raises(Unavailable, match="as far as is known"):
            await first

        # and when the log goes on, what the first had brought is there, and the other can come again
        entrance.log.goes_on.set()
        assert await entrance.bring(answered(1)) == Taken(0)
        assert await entrance.bring(answered(2)) == Taken(1)
        assert len(await entrance.on_log()) == 3


async def test_what_is_wrong_with_one_case_is_told_to_nobody_else(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        # given two cases, and a keyring that has lost the key of one
        good, bad = cases_of(0, 2)
        for each in (good, bad):
            await entrance.bench.know(each)
            await entrance.bring(enrolled(each))
        await entrance.bench.run(Register())
        with Workbench.on(tmp_path / "other.db") as other:
            await other.know(good)
            entrance.bench.keyring = other.keyring
            fresh = Entrance(entrance.bench, definitions())

            # when facts of both come at once
            async with fresh.door.opened():
                outcomes = await asyncio.gather(
                    fresh.bring(answered(1, good)), fresh.bring(answered(1, bad)), return_exceptions=True
                )

        # then that of the other one is recorded
        assert outcomes[0] == Taken(1)
        assert isinstance(outcomes[1], KeyMissing)


async def test_a_fact_that_the_register_cannot_take_is_kept_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_entrance(tmp_path) as entrance:
        # given a register with a fault, which one kind of fact brings to light
        await entrance.bring(enrolled())
        step = Register.step

        def faulty(self: Register, state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
            assert not isinstance(event.data, SessionAttended)
            return step(self, state, event)

        monkeypatch.setattr(Register, "step", faulty)

        # when such a fact is brought, alone and with others
        attended = fact(SessionAttended(session=1))
        for facts in ([attended], [answered(1), attended]):
            with pytest.raises(AssertionError):
                await entrance.bring(*facts)

        # then nothing of it is there, and more can be said of the case
        assert await entrance.bring(answered(2)) == Taken(1)
        assert ids(await entrance.on_log()) == ids([enrolled(), answered(2)])


async def test_who_has_been_waiting_when_the_door_closes_is_answered(tmp_path: Path) -> None:
    async with an_entrance(tmp_path) as entrance:
        waiting = [asyncio.create_task(entrance.bring(enrolled(case_id))) for case_id in cases_of(3, MANY)]
        await asyncio.sleep(0)
    assert [await task for task in waiting] == [Taken(1)] * MANY


def replace_id(event: Event[Data]) -> Event[Data]:
    return event._replace(id="11111111-2222-5333-8444-555555555555", time=event.time + timedelta(hours=1))
