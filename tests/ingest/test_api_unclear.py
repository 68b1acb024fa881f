"""What the API tells of a case of which not all is known: to its own clinic, for as long as that is so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contracts.topics import partition_of
from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Tokens
from services.up import Up
from tests.support.asgi import started
from tests.support.clock import Clock
from tests.support.open_clinic import ENROLMENT, NOW, RESPONSE, Clinic, fails, halted


@asynccontextmanager
async def running(home: EmbeddedHome, tokens: Tokens) -> AsyncIterator[Clinic]:
    """A clinic in a process of its own, which begins with what its home holds."""
    app = Up(home, tokens).app()
    async with started(app):
        yield Clinic(app, home, tokens, Clock(NOW))


async def test_of_a_case_that_the_register_has_lost_clients_are_told_to_come_again(tmp_path: Path) -> None:
    # given cases that the register has read, and of one of them its state is gone
    tokens = Tokens(tmp_path / TOKENS)
    home = await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW))
    async with running(home, tokens) as clinic:
        lost, other = await clinic.enrolled(number="1"), await clinic.enrolled(number="2")
    home = await EmbeddedHome.open(tmp_path / "home", write=True, clock=Clock(NOW))
    await home.catch_up()
    await home.store.remove(home.register.name, [lost])

    # when something is said of them
    async with running(home, tokens) as clinic:
        before = await clinic.facts()
        answers = {
            case_id: await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE, key=case_id)
            for case_id in (lost, other)
        }
        again = await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": "1"}, key="again")

        # then nothing is taken of that one, not even that it begins; clients keep what they have, and come again
        assert answers[lost].problem == again.problem == (503, "case-unclear")
        assert "retry-after" in answers[lost].headers
        assert (await clinic.ask("GET", f"/v1/cases/{lost}")).problem == (503, "case-unclear")

        assert answers[other].status == 201
        after = await clinic.facts()
        assert [fact.subject for fact in after if fact not in before] == [other]

        # and for all others it is as ready as ever
        assert (await clinic.ask("GET", "/ready", role="ehr")).status == 200


async def test_of_a_case_that_the_register_has_halted_its_own_clinic_is_told_and_no_other(tmp_path: Path) -> None:
    # given a group, and a case of it that the register has halted, in a process that does not have it at hand
    tokens = Tokens(tmp_path / TOKENS)
    home = await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW))
    async with running(home, tokens) as clinic:
        await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
        case_id = await clinic.enrolled()
        await halted(clinic, case_id)
    home = await EmbeddedHome.open(tmp_path / "home", write=True, clock=Clock(NOW))
    fails(home.register, case_id)
    async with running(home, tokens) as clinic:
        # when clients ask for it, then those of its clinic are told, and for others it does not exist
        for path in (f"/v1/cases/{case_id}", f"/v1/cases/{case_id}/open"):
            assert (await clinic.ask("GET", path)).problem == (503, "case-unclear")
            assert (await clinic.ask("GET", path, clinic="south")).problem == (404, "unknown-case")
        path = f"/v1/cases/{case_id}/response-submitted"
        assert (await clinic.ask("POST", path, RESPONSE)).problem == (503, "case-unclear")
        assert (await clinic.ask("POST", path, RESPONSE, clinic="south")).problem == (404, "unknown-case")

        # and who is in a group that it may have joined is told when that is known again, and to others at once
        await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []}, clinic="south")
        assert (await clinic.ask("GET", "/v1/groups/mondays/cases")).problem == (503, "case-unclear")
        assert (await clinic.ask("GET", "/v1/groups/mondays/cases", clinic="south")).json == {"cases": []}

        # and a group that it may have joined stays
        kept = await clinic.ask("DELETE", "/v1/groups/mondays")
        assert (kept.problem, "retry-after" in kept.headers) == ((503, "case-unclear"), True)
        assert (await clinic.ask("GET", "/v1/groups/mondays")).status == 200


async def test_an_enrolment_that_was_broken_off_is_taken_when_it_comes_again(tmp_path: Path) -> None:
    # given a log that the register has read, and cases that have a key and are not on it, as when a process is killed
    tokens = Tokens(tmp_path / TOKENS)
    home = await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW))
    async with running(home, tokens) as clinic:
        cases = [await clinic.enrolled(number=str(number)) for number in range(30)]
        async with asyncio.timeout(60):
            while await home.waiting([home.register]):  # noqa: ASYNC110 - it reads in its own time
                await asyncio.sleep(0.01)
        known = {partition_of(case_id) for case_id in cases}
        numbers = [f"late-{number}" for number in range(100)]
        ids = await home.people.case_ids("north", numbers)
        (one, other, *_) = (number for number in numbers if partition_of(ids[number]) in known)
        await home.keyring.create([ids[one], ids[other]])

    # when the enrolment of one comes again to a process that reads nothing again while others wait
    home = await EmbeddedHome.open(tmp_path / "home", write=True, clock=Clock(NOW))
    async with running(home, tokens) as clinic:
        home.cases.looks_back_for = 0

        # then it is taken at once, also when it comes twice at a time, and one that does not come again is not known
        answers = await asyncio.gather(
            *(clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": one}) for _ in range(2))
        )
        assert sorted(answer.status for answer in answers) == [201, 409]
        assert {answer.json["case"] for answer in answers if answer.status == 201} == {ids[one]}
        assert (await clinic.ask("GET", f"/v1/cases/{ids[other]}")).problem == (404, "unknown-case")
