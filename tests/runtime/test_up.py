"""A clinic in one process goes on by itself when what has kept its stages from that is over."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.events.facts import CaseEnrolled
from contracts.events.scores import ScoreComputed
from contracts.topics import SCORES
from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Tokens
from services.ingest.cases import Cases
from services.ingest.domain.register import Register
from services.ingest.door import Door
from services.mailer.ingest import NotRecorded
from services.runtime.faults import MEND_DAMAGE
from services.runtime.store.port import StoreUnavailable, Write
from services.up import OwnIngest, Up
from tests.support.asgi import started
from tests.support.clock import Clock
from tests.support.histories import GRYESTEN, OPEN_ENDED, History
from tests.support.open_clinic import NOW, RESPONSE, Clinic, halted
from tests.support.said import said_on

CASE = "case-1"
PATIENCE = 30.0


class Stumbling(EmbeddedHome):
    """A home whose stages something keeps from going on, some times."""

    failures: list[Exception]

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        if self.failures:
            raise self.failures.pop()
        await super().catch_up(progress)


async def test_who_was_told_to_end_before_it_could_hear_that_ends_in_order(tmp_path: Path) -> None:
    home = await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW))
    up = Up(home, Tokens(tmp_path / "home" / TOKENS))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with asyncio.timeout(PATIENCE):
            await up.serve(listening, lambda: True)

    # and others can have its directory
    async with await EmbeddedHome.open(tmp_path / "home", write=True) as again:
        assert again.log_id == home.log_id


@pytest.mark.parametrize("failure", [StoreUnavailable("the disk is full"), ValueError("something unforeseen")])
async def test_what_was_recorded_is_processed_though_nothing_comes_after_it(tmp_path: Path, failure: Any) -> None:
    # given stages that something keeps from going on when the last response of a day has come
    home = await Stumbling.found(tmp_path / "home", clock=Clock(NOW))
    home.failures = []
    tokens = Tokens(tmp_path / "home" / TOKENS)
    up = Up(home, tokens)
    app = up.app()
    async with started(app):
        clinic = Clinic(app, home, tokens, Clock(NOW))
        case_id = await clinic.enrolled()
        home.failures = [failure, failure]
        answer = await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE)
        assert answer.status == 201

        # when it is over, then the response is scored, and it tells of nothing any more
        async with asyncio.timeout(PATIENCE):
            while up.health.alive() or not await said_on(home.log, home.keyring, SCORES, ScoreComputed):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
    assert home.failures == []


DAMAGED: Final = f"the database is damaged (database disk image is malformed). To mend it: {MEND_DAMAGE}"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (sqlite3.DatabaseError("database disk image is malformed"), DAMAGED),
        # Nobody is to give up a database of which nothing is wrong.
        (sqlite3.IntegrityError("UNIQUE constraint failed"), "a fault of OnTrack"),
    ],
    ids=["damage", "a rule of the database that is broken"],
)
async def test_of_damage_it_is_told_what_mends_it_and_a_fault_of_ours_is_not_taken_for_it(
    tmp_path: Path, failure: Exception, told: str
) -> None:
    # given a clinic whose database fails
    home = await Stumbling.found(tmp_path / "home", clock=Clock(NOW))
    home.failures = [failure] * 1_000
    up = Up(home, Tokens(tmp_path / "home" / TOKENS))
    async with started(up.app()), asyncio.timeout(PATIENCE):
        # when a stage comes upon that, then it is told in the words of the commands
        while not up.health.alive():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    (why,) = up.health.alive()
    assert why.startswith(f"stages: {told}")


async def test_the_mailer_is_told_of_a_case_of_which_not_all_is_known(tmp_path: Path) -> None:
    # given a case that the register has halted, in a process that does not have it at hand
    home = await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW))
    tokens = Tokens(tmp_path / "home" / TOKENS)
    app = Up(home, tokens).app()
    async with started(app):
        clinic = Clinic(app, home, tokens, Clock(NOW))
        case_id = await clinic.enrolled()
        ingest = OwnIngest(await halted(clinic, case_id), Door(home.intake))

        # when the mailer asks what came of a notice of it
        # then it is told that this is not known, and not that nothing came of it
        with pytest.raises(NotRecorded, match=f"case {case_id} is halted in register"):
            await ingest.told(case_id, "a notice")


async def test_the_mailer_is_told_why_nothing_is_known_of_a_case(tmp_path: Path) -> None:
    # given a case of which what the register knows cannot be read
    enrolled = CaseEnrolled(clinic="north", group="g1", protocol=OPEN_ENDED, policy=GRYESTEN)
    async with await EmbeddedHome.found(tmp_path / "home") as home:
        await home.intake.take_over(History(CASE).say(enrolled).events)
        await home.catch_up()
        stored = (await home.store.load(Register.name, [CASE]))[CASE]
        await home.store.remove(Register.name, [CASE])
        await home.store.save(Register.name, [Write(CASE, None, replace(stored, body=b"something else"))])
        ingest = OwnIngest(Cases(home.log, home.store, home.keyring), Door(home.intake))

        # when the mailer asks what came of a notice of it
        # then it is told that, and what mends it, and not that there is no such case
        with pytest.raises(NotRecorded, match=f"case {CASE} cannot be read: ontrack rebuild register"):
            await ingest.told(CASE, "a notice")
