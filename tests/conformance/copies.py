"""What every `Copies` promises. An adapter's tests inherit `CopiesSuite` and give it an empty one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from services.runtime.copies.port import Copies, CopiesUnavailable, Copy, made_here
from tests.conformance.away import TakenAway, is_told_at_every_call

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOME = "another home"
BACKUP = made_here("backup", Path("/kept/monday.backup"), AT, HOME)
KEYS = made_here("keys", Path("/kept/monday.backup"), AT, HOME)
ELSEWHERE = Copy(kind="backup", path="/kept/monday.backup", host="another.example", at=AT, home=HOME)
OF_ONE = made_here("opened", Path("/kept/one"), AT, HOME, "a" * 32)


class CopiesSuite:
    """The promises."""

    async def test_nothing_is_known_at_first(self, copies: Copies) -> None:
        assert list(await copies.all()) == []
        await copies.forget([BACKUP])
        assert list(await copies.all()) == []

    async def test_what_was_noted_is_given_each_once(
        self, copies: Copies, connected: Callable[[], Awaitable[Copies]]
    ) -> None:
        # given copies that were noted, one of them twice
        for copy in (OF_ONE, BACKUP, KEYS, ELSEWHERE, BACKUP.model_copy(update={"at": AT.replace(day=6)})):
            await copies.note(copy)

        # when somebody else asks, then all are there, in order, and the one as it was noted last
        later = BACKUP.model_copy(update={"at": AT.replace(day=6)})
        expected = sorted([OF_ONE, later, KEYS, ELSEWHERE], key=lambda copy: copy.name)
        assert list(await (await connected()).all()) == expected

    async def test_what_was_replaced_is_known_beside_what_is_there_now(self, copies: Copies) -> None:
        # given two backups that were made under one name before a third, and of something else two that were about one
        later = BACKUP.model_copy(update={"at": AT.replace(day=6)})
        before = [copy.model_copy(update={"replaced": True}) for copy in (BACKUP, later, OF_ONE)]
        last = before[-1].model_copy(update={"at": AT.replace(day=7)})
        for copy in (*before, last, BACKUP):
            await copies.note(copy)

        # when they are asked for, then each backup is known by itself, and of the other that there was one
        assert set(await copies.all()) == {*before[:2], last, BACKUP}

    async def test_only_what_is_forgotten_is_gone(self, copies: Copies) -> None:
        for copy in (BACKUP, KEYS, ELSEWHERE):
            await copies.note(copy)
        await copies.forget([BACKUP, OF_ONE])
        assert set(await copies.all()) == {KEYS, ELSEWHERE}

    async def test_what_was_noted_since_under_the_same_name_is_not_forgotten(self, copies: Copies) -> None:
        later = BACKUP.model_copy(update={"at": AT.replace(day=6)})
        for copy in (BACKUP, later):
            await copies.note(copy)
        await copies.forget([BACKUP])
        assert set(await copies.all()) == {later}

    async def test_what_is_noted_in_the_place_of_others_stays_though_one_has_its_name(self, copies: Copies) -> None:
        later = BACKUP.model_copy(update={"at": AT.replace(day=6)})
        for copy in (BACKUP, ELSEWHERE):
            await copies.note(copy)
        await copies.forget([BACKUP, ELSEWHERE], instead=[later, KEYS])
        assert set(await copies.all()) == {later, KEYS}

    async def test_many_are_noted_at_once(self, copies: Copies, connected: Callable[[], Awaitable[Copies]]) -> None:
        # given two who note copies at one moment
        others = [copies, await connected()]
        made = [made_here("backup", Path(f"/kept/{number:02}"), AT, HOME) for number in range(20)]

        # when they do, then none is lost
        await asyncio.gather(*(others[number % 2].note(copy) for number, copy in enumerate(made)))
        assert list(await copies.all()) == made

    async def test_copies_that_are_away_say_so_at_every_call(self, copies: Copies, away: TakenAway) -> None:
        await copies.note(BACKUP)
        calls: list[Callable[[], Awaitable[object]]] = [
            copies.all,
            lambda: copies.note(KEYS),
            lambda: copies.forget([BACKUP]),
        ]
        assert await is_told_at_every_call(away, CopiesUnavailable, calls)
        assert list(await copies.all()) == [KEYS]
