"""A request that comes again is recorded once and answered alike; another one under its key is refused."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest

from contracts.definitions.catalogue import Entry, entry_of
from contracts.definitions.files import library
from contracts.events.event import Data, Event, fact_id
from contracts.events.facts import CaseEnrolled, CaseTransferred, PolicyChanged, ResponseSubmitted, SessionAttended
from contracts.events.fields import WORDS_AT_MOST
from contracts.topics import partition_of
from services.ingest.domain.clock import SOURCE
from services.ingest.domain.register import OF_GROUP
from services.runtime.log.port import GROUP_BYTES, Record
from services.runtime.roster.port import Group
from tests.support.open_clinic import ENROLMENT, NOW, RESPONSE, Clinic

ANOTHER_POLICY: Final = {"policy": "gryesten-2023-window", "from_session": 2, "reason": "a try", "by": "anna"}


def newer(name: str) -> Entry:
    """A newer version of a definition that ships."""
    (entry,) = [each for each in library() if each.model.id == name]
    return entry_of({**entry.body, "version": entry.model.version + 1})


async def test_a_repeated_request_is_answered_alike_and_recorded_once(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    path = f"/v1/cases/{case_id}/response-submitted"

    # when the same comes many times at once, and later again
    answers = await asyncio.gather(*(clinic.ask("POST", path, RESPONSE, key="same") for _ in range(20)))
    answers.append(await clinic.ask("POST", path, RESPONSE, key="same"))

    # then all are answered alike
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def test_a_repeated_enrolment_is_answered_alike(clinic: Clinic) -> None:
    first = await clinic.ask("POST", "/v1/cases", ENROLMENT, key="same")
    again = await clinic.ask("POST", "/v1/cases", ENROLMENT, key="same")
    assert (first.status, first.body) == (again.status, again.body)
    assert len(await clinic.facts(CaseEnrolled)) == 1


@pytest.mark.parametrize(("name", "answered"), [("the-ehr", 201), ("another", 409)])
async def test_a_client_is_known_by_its_name_whatever_its_token_is(clinic: Clinic, name: str, answered: int) -> None:
    # given a response that was recorded, and a client that was given another token since
    case_id = await clinic.enrolled()
    path = f"/v1/cases/{case_id}/response-submitted"
    first = await clinic.ask("POST", path, RESPONSE, key="same", role="ehr")
    clinic.replace_token("ehr", "north", name)

    # when the same request comes again with that
    again = await clinic.ask("POST", path, RESPONSE, key="same", role="ehr")

    # then it is a repetition only if the client is called as before
    assert (first.status, again.status) == (201, answered)
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def stated(clinic: Clinic) -> list[Event[Data]]:
    """What clients have stated, and nobody else."""
    return [fact for fact in await clinic.facts() if fact.source != SOURCE and not fact.source.endswith(OF_GROUP)]


async def test_what_says_no_time_can_be_repeated_later(clinic: Clinic) -> None:
    # given a case of a group, and something said of it, all of it without a time
    sessions = {"sessions": {"1": "2026-02-02T09:00:00Z"}, "therapists": []}
    await clinic.ask("PUT", "/v1/groups/mondays", sessions)
    enrolled = await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "group": "mondays"}, key="enrolled")
    case_id = enrolled.json["case"]
    of_case = f"/v1/cases/{case_id}"
    said: list[tuple[str, object]] = [
        (f"{of_case}/session-attended", {"session": 1}),
        ("/v1/facts", {"facts": [{"case": case_id, "state": "session-absent", "session": 2}]}),
        (f"{of_case}/case-transferred", {"group": "mondays"}),
        ("/v1/cases", {**ENROLMENT, "group": "mondays"}),
    ]
    keys = ("attended", "absent", "transferred", "enrolled")
    first = [await clinic.ask("POST", *each, key=key) for each, key in zip(said, keys, strict=True)]
    recorded = await stated(clinic)

    # when the same comes again an hour later, and the group has other sessions by then
    clinic.clock.time += timedelta(hours=1)
    later = clinic.clock.time + timedelta(days=9)
    await clinic.home.roster.put(Group(clinic="north", id="mondays", sessions={"1": later}, therapists=()))
    again = [await clinic.ask("POST", *each, key=key) for each, key in zip(said, keys, strict=True)]

    # then each is answered alike, and nothing else is recorded
    assert [(each.status, each.body) for each in again] == [(201, each.body) for each in first]
    assert await stated(clinic) == recorded

    # and a time that is said is a part of what is said
    for at, status in (("2026-01-05T08:00:00Z", 201), ("2026-01-05T08:00:00Z", 201), ("2026-01-05T07:00:00Z", 409)):
        dated = {"session": 3, "at": at}
        assert (await clinic.ask("POST", f"{of_case}/session-attended", dated, key="dated")).status == status

    # even where none was said at first, or it is the very moment at which it is recorded
    now = clinic.clock.time
    for key, body, status in (
        ("attended", {"session": 1, "at": "2026-01-05T08:00:00Z"}, 409),
        ("this-moment", {"session": 4, "at": now.isoformat()}, 201),
        ("this-moment", {"session": 4, "at": now.isoformat()}, 201),
    ):
        assert (await clinic.ask("POST", f"{of_case}/session-attended", body, key=key)).status == status


async def test_what_names_a_definition_by_its_id_or_not_at_all_can_be_repeated_when_that_is_another_one(
    clinic: Clinic,
) -> None:
    # given a case by the clinic's defaults, and a response that names its instrument by its id
    defaults = {"protocol": "group-cbt-depression-14", "policy": "gryesten-2023"}
    await clinic.ask("PUT", "/v1/clinic", defaults)
    enrolment = {"number": "1001"}
    enrolled = await clinic.ask("POST", "/v1/cases", enrolment, key="enrolled")
    path = f"/v1/cases/{enrolled.json['case']}/response-submitted"
    answered = await clinic.ask("POST", path, RESPONSE, key="answered")
    assert (enrolled.status, answered.status) == (201, 201)

    # when there are another default and a newer version, and the same comes again
    await clinic.ask("PUT", "/v1/clinic", {**defaults, "policy": "gryesten-2023-window"})
    await clinic.home.publish([newer("odsis")])
    again = [
        await clinic.ask("POST", "/v1/cases", enrolment, key="enrolled"),
        await clinic.ask("POST", path, RESPONSE, key="answered"),
    ]

    # or there is no default any more
    await clinic.ask("PUT", "/v1/clinic", {})
    again.insert(1, await clinic.ask("POST", "/v1/cases", enrolment, key="enrolled"))

    # then it is answered alike, and something else under the same key is refused as ever
    expected = [(each.status, each.body) for each in (enrolled, enrolled, answered)]
    assert [(each.status, each.body) for each in again] == expected
    for where, body, key in (
        (path, {**RESPONSE, "comment": None}, "answered"),
        ("/v1/cases", {**enrolment, "group": "mondays"}, "enrolled"),
        ("/v1/cases", {**enrolment, "at": "2026-01-04T08:00:00Z"}, "enrolled"),
    ):
        assert (await clinic.ask("POST", where, body, key=key)).problem == (409, "key-reused")


async def test_facts_that_came_together_can_come_again_when_a_name_means_another_definition(clinic: Clinic) -> None:
    # given facts that name an instrument and a policy by their ids
    cases = [await clinic.enrolled(number=number) for number in ("1001", "1002")]
    said = [{"case": case_id, "state": "response-submitted", **RESPONSE} for case_id in cases]
    said.append({"case": cases[0], "state": "policy-changed", **ANOTHER_POLICY})
    with_id = {"facts": [{**said[1], "session": 2, "id": "11111111-2222-4333-8444-555555555555"}]}
    first = [await clinic.ask("POST", "/v1/facts", each, key="same") for each in ({"facts": said}, with_id)]
    assert [each.status for each in first] == [201, 201]
    recorded = await clinic.facts(ResponseSubmitted, PolicyChanged)

    # when there is a newer version of each, and the same comes again
    await clinic.home.publish([newer("odsis"), newer("gryesten-2023-window")])
    again = [await clinic.ask("POST", "/v1/facts", each, key="same") for each in ({"facts": said}, with_id)]

    # then it is answered alike, and nothing else is recorded
    assert [(each.status, each.body) for each in again] == [(201, each.body) for each in first]
    assert await clinic.facts(ResponseSubmitted, PolicyChanged) == recorded

    # and something else under the same key is refused as ever
    other = [{**said[0], "comment": None}, *said[1:]]
    refused = await clinic.ask("POST", "/v1/facts", {"facts": other}, key="same")
    assert (*refused.problem, refused.pointers) == (409, "key-reused", ["/facts/0"])


async def test_a_key_that_was_used_for_something_else_is_refused(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    path = f"/v1/cases/{case_id}/response-submitted"
    await clinic.ask("POST", path, RESPONSE, key="same")
    other = await clinic.ask("POST", path, {**RESPONSE, "comment": None}, key="same")
    assert other.problem == (409, "key-reused")
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def test_nobody_finds_a_key_by_the_id_that_it_made(clinic: Clinic) -> None:
    # given an enrolment under a key that is made of the patient's number
    case_id = await clinic.enrolled(number="1001")
    answer = await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE, key="1001")

    # when somebody who has the log, and not the master key, makes an id of every number
    tried = {fact_id("north", "the-admin", f"{case_id}\x1f{number}") for number in range(1_000, 1_010)}

    # then none is that of the fact
    assert answer.json["fact"] not in tried


async def test_the_id_of_an_event_takes_the_place_of_a_key(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    event_id = "11111111-2222-4333-8444-555555555555"
    path = f"/v1/cases/{case_id}/response-submitted"
    for _ in range(2):
        answer = await clinic.ask("POST", path, {**RESPONSE, "id": event_id})
        assert answer.json["fact"] == event_id
    assert len(await clinic.facts(ResponseSubmitted)) == 1


def attended(case_id: str, *sessions: int, **more: Any) -> dict[str, Any]:
    """A batch that says at which sessions a patient was."""
    return {"facts": [{"case": case_id, "state": "session-attended", "session": each, **more} for each in sessions]}


@pytest.mark.parametrize(("first", "then"), [((1,), (1, 2)), ((1, 2), (1, 2, 3)), ((1, 2), (1,)), ((1, 2), (2, 1))])
async def test_what_a_key_has_stated_about_a_case_is_one_set(
    clinic: Clinic, first: tuple[int, ...], then: tuple[int, ...]
) -> None:
    # given facts that came under a key
    case_id = await clinic.enrolled()
    taken = await clinic.ask("POST", "/v1/facts", attended(case_id, *first), key="same")
    assert taken.status == 201

    # when some of them come under the same key, or more
    refused = await clinic.ask("POST", "/v1/facts", attended(case_id, *then), key="same")

    # then nothing is recorded, and the first ones can still come again
    assert refused.problem == (409, "key-reused")
    assert set(refused.pointers) <= {f"/facts/{place}" for place in range(len(then))}
    assert len(await clinic.facts(SessionAttended)) == len(first)
    again = await clinic.ask("POST", "/v1/facts", attended(case_id, *first), key="same")
    assert (again.status, again.body) == (201, taken.body)


async def test_one_fact_alone_is_the_same_as_one_in_a_batch(clinic: Clinic) -> None:
    # given a fact about a case that came alone
    case_id, other = [await clinic.enrolled(number=number) for number in ("1001", "1002")]
    alone = await clinic.ask("POST", f"/v1/cases/{case_id}/session-attended", {"session": 1}, key="same")

    # when the same comes under its key with what is said of another case, then it is the same
    both = {"facts": [*attended(other, 1)["facts"], *attended(case_id, 1)["facts"]]}
    together = await clinic.ask("POST", "/v1/facts", both, key="same")
    assert (together.status, together.json["facts"][1]) == (201, alone.json)

    # and when more is said of its case, alone or not, nothing is recorded
    for body in (attended(case_id, 1, 2), {"facts": [*attended(other, 1)["facts"], *attended(case_id, 2)["facts"]]}):
        assert (await clinic.ask("POST", "/v1/facts", body, key="same")).problem == (409, "key-reused")
    absent = await clinic.ask("POST", f"/v1/cases/{other}/session-absent", {"session": 1}, key="same")
    assert absent.problem == (409, "key-reused")
    assert len(await clinic.facts(SessionAttended)) == 2


async def test_facts_with_ids_of_their_own_are_each_judged_by_themselves(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    one, two = (attended(case_id, each, id=f"{each}" * 8 + "-2222-4333-8444-555555555555")["facts"] for each in (1, 2))
    for facts, count in ((one, 1), ([*one, *two], 2), (two, 2), ([*two, *attended(case_id, 3)["facts"]], 3)):
        assert (await clinic.ask("POST", "/v1/facts", {"facts": facts}, key="same")).status == 201
        assert len(await clinic.facts(SessionAttended)) == count


async def test_no_more_is_taken_of_a_case_at_once_than_is_recorded_together(clinic: Clinic) -> None:
    # given more facts about a case than fit into one batch of the brokers, and as many about several
    cases = [await clinic.enrolled(number=str(number), protocol="open-ended") for number in range(4)]
    many = {"facts": [fact for each in range(400) for fact in attended(cases[0], each)["facts"]]}
    shared = {"facts": [fact for each in range(400) for fact in attended(cases[each % 4], each)["facts"]]}

    # then the first are refused, and of the others those of a case are one group of records
    assert (await clinic.ask("POST", "/v1/facts", many)).problem == (413, "body-too-large")
    assert await clinic.facts(SessionAttended) == []
    assert (await clinic.ask("POST", "/v1/facts", shared)).status == 201
    for case_id in cases:
        records = [each for each in await clinic.records(partition_of(case_id)) if each.key == case_id]
        assert len(records) == 101
        assert sum(Record(each.key, each.value).size for each in records) < GROUP_BYTES


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ({"state": "session-attended", "session": 1}, 300),
        ({"state": "problem-named", "problem": 1, "text": "a" * WORDS_AT_MOST}, 70),
        ({"state": "problem-named", "problem": 1, "text": "\U0001f600" * WORDS_AT_MOST}, 20),
    ],
)
async def test_as_much_is_taken_of_a_case_at_once_as_is_documented(
    clinic: Clinic, said: dict[str, Any], count: int
) -> None:
    facts = [{"case": await clinic.enrolled(), **said}] * count
    assert (await clinic.ask("POST", "/v1/facts", {"facts": facts})).status == 201


async def test_no_more_is_taken_at_once_than_can_wait_with_the_sessions_that_come_with_it(clinic: Clinic) -> None:
    # given a group with many sessions, and cases of which each would bring a fact for each of them
    starts = {str(each): (NOW + timedelta(days=7 * each)).isoformat() for each in range(1, 201)}
    assert (await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": starts, "therapists": []})).status == 200
    cases = [await clinic.enrolled(number=str(number), protocol="open-ended") for number in range(50)]
    joining = [{"case": each, "state": "case-transferred", "group": "mondays"} for each in cases]

    # when more of them join it at once than could ever wait to be recorded, then it is said that less has to come
    assert (await clinic.ask("POST", "/v1/facts", {"facts": joining})).problem == (413, "body-too-large")
    assert await clinic.facts(CaseTransferred) == []
    assert (await clinic.ask("POST", "/v1/facts", {"facts": joining[:20]})).status == 201
