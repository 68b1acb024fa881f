"""Cases that halt and facts that cannot be read, in a region: listing them, and going on."""

import asyncio
from pathlib import Path

import orjson

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.events.facts import CaseEnrolled
from contracts.topics import CASES, partition_of
from services.distributed import DistributedHome
from services.embedded import EmbeddedHome
from services.runtime.documents import Documents
from services.runtime.keyring.mongo import KEYS
from services.runtime.log.port import Record
from tests.support.command import succeeded
from tests.support.contents import begun_under, contents, same
from tests.support.histories import GRYESTEN, OPEN_ENDED, History
from tests.support.region import Region, wait_until


def with_a_clinic(region: Region, folder: Path) -> Region:
    """A region at work that has read a small clinic."""
    file = folder / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "5", "--output", file)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    region.succeeded("import", file, "--enrol")
    return region


def the_first_case(region: Region) -> tuple[str, str]:
    """The id of a case, and its number."""

    async def ask(home: DistributedHome) -> tuple[str, str]:
        return min((await home.names()).items(), key=lambda entry: entry[1])

    return region.asked(ask)


def test_a_case_that_halts_is_listed_and_goes_on_when_it_is_asked_to(region: Region, tmp_path: Path) -> None:
    # given a region in which a case has lost its key
    with_a_clinic(region, tmp_path)
    case_id, number = the_first_case(region)

    async def take_key(_: DistributedHome) -> bytes:
        async with Documents(region.server) as documents:
            (held,) = await documents.find(KEYS, [case_id])
            await documents.remove_where(KEYS, {"_id": case_id})
        return bytes(held["wrapped"])

    async def write_a_fact(home: DistributedHome) -> None:
        """Write a fact of the case once more, as an import does that was interrupted."""
        records = await home.log.read(CASES, partition_of(case_id), 0, 10_000)
        mine = next(record for record in records if record.key == case_id)
        await home.log.append(CASES, partition_of(case_id), [Record(case_id, mine.value)])

    wrapped = region.asked(take_key)
    region.asked(write_a_fact)

    # when its next fact comes
    scoring = region.processes[0]
    scoring.wait_until(lambda: b'ontrack_halted_cases{stage="scoring"} 1.0' in scoring.asked("/metrics")[1], "it halts")

    # then it is listed with the reason, and trying it again does not help
    (row,) = orjson.loads(region.succeeded("halted", "list", "--format", "json").out)
    assert (row["stage"], row["reason"]) == ("scoring", "key-missing")
    tried = region.ontrack("halted", "resume")
    assert tried.exit_code == 1
    assert "still halts in scoring: key-missing" in tried.told

    # and the service logs which case that was, and why, and nothing else of it
    (line,) = (line for line in scoring.log.read_text().splitlines() if "case-halts-again" in line)
    fields = dict(field.split("=") for field in line.split("case-halts-again")[1].split())
    assert fields.keys() == {"stage", "case", "partition", "offset", "reason"}
    assert (fields["stage"], fields["case"], fields["reason"]) == ("scoring", case_id, "key-missing")

    # and when the key is back, it goes on
    async def give_key(_: DistributedHome) -> None:
        async with Documents(region.server) as documents:
            await documents.put(KEYS, {case_id: {"wrapped": wrapped}})

    region.asked(give_key)
    resumed = region.succeeded("halted", "resume", number)
    assert resumed.told.strip() == f"{number} is not halted."
    assert region.succeeded("halted", "list").told.strip() == "No case is halted."


def test_a_case_goes_on_when_the_definition_that_it_waits_for_is_published(region: Region, tmp_path: Path) -> None:
    # given a region at work, and a case under a policy that is not on the log
    body = next(entry.body for entry in library() if entry.ref == GRYESTEN)
    policy = entry_of({**body, "id": "of-the-clinic"})
    enrolled = CaseEnrolled(clinic="clinic", group="g1", protocol=OPEN_ENDED, policy=policy.ref)
    facts = History("c" * 32).say(enrolled).answered(0, 1, 1, 1, 1, 1).answered(1, 4, 4, 4, 4, 4).attended(1).closed()
    region.provision()
    for process in region.serve():
        process.wait_until_ready()

    async def take() -> None:
        async with await DistributedHome.open(region.settings(), write=True) as home:
            await home.intake.take_over(facts.events)
            await home.catch_up()

    asyncio.run(take())

    # when the services come to it
    # then it is listed with what it waits for
    wait_until(lambda: reasons(region) == {f"definition-missing {policy.ref}"}, "the case halts")

    # and when that is published, it goes on by itself
    async def publish(home: DistributedHome) -> None:
        await home.publish([policy])

    region.asked(publish)
    wait_until(lambda: reasons(region) == set(), "no case is halted")
    region.wait_until_settled()

    # and everything is as in a home that knew it from the start
    directory = begun_under(tmp_path / "home", region.master_key.read_bytes())

    async def in_a_home() -> None:
        async with await EmbeddedHome.found(directory) as home:
            await home.publish([policy])
            await home.intake.take_over(facts.events)
            await home.catch_up()

    asyncio.run(in_a_home())
    assert same(region.contents(), contents(directory))


def reasons(region: Region) -> set[str]:
    """Why cases are halted."""
    return {row["reason"] for row in orjson.loads(region.succeeded("halted", "list", "--format", "json").out)}


def test_facts_that_can_be_read_again_are_taken_in_once_and_are_as_if_they_always_could(
    region: Region, tmp_path: Path
) -> None:
    # given facts that the services have not read yet, and a case whose key was exchanged for another one
    file = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--sessions", "3", "--seed", "5", "--output", file)
    region.provision()
    region.succeeded("import", file, "--enrol")
    case_id, _ = the_first_case(region)
    right = region.asked(lambda home: exchanged_key(region, home, case_id))

    # when the services read them
    for process in region.serve():
        process.wait_until_ready()

    # then all facts of that case are put aside, and none is taken in as long as it cannot be read
    letters = orjson.loads(region.succeeded("dlq", "list", "--format", "json").out)
    assert {(letter["reason"], letter["status"]) for letter in letters} == {("other-key", "unreadable")}
    assert region.succeeded("dlq", "redrive", "--all").told.strip() == "0 facts taken in."

    # and when the right key is back, each is taken in, once
    region.asked(lambda _: put_key(region, case_id, right))
    assert statuses(region) == {"readable"}
    assert region.succeeded("dlq", "redrive", "--all").told.strip() == f"{len(letters)} facts taken in."
    assert statuses(region) == {"redriven"}
    assert region.succeeded("dlq", "redrive", "--all").told.strip() == "0 facts taken in."
    again = region.ontrack("dlq", "redrive", letters[0]["letter"])
    assert again.exit_code == 1
    assert "it was taken in before" in again.told

    # and everything is as in a home in which they could always be read
    directory = begun_under(tmp_path / "home", region.master_key.read_bytes())
    succeeded("import", file, "--enrol", "--data", directory)
    found = region.contents()
    assert same(found, contents(directory))
    assert found.repeats == len(letters)
    assert len(found.histories[CASES.name][case_id]) == len(letters) > 10


def statuses(region: Region) -> set[str]:
    return {letter["status"] for letter in orjson.loads(region.succeeded("dlq", "list", "--format", "json").out)}


async def exchanged_key(region: Region, home: DistributedHome, case_id: str) -> bytes:
    """Give a case another key; give the wrapped one that it had."""
    async with Documents(region.server) as documents:
        (held,) = await documents.find(KEYS, [case_id])
        await documents.remove_where(KEYS, {"_id": case_id})
    await home.keyring.create([case_id])
    return bytes(held["wrapped"])


async def put_key(region: Region, case_id: str, wrapped: bytes) -> None:
    async with Documents(region.server) as documents:
        await documents.put(KEYS, {case_id: {"wrapped": wrapped}})


def test_a_fact_that_could_not_be_read_is_listed_and_shown_and_taken_in_when_it_can_be(
    region: Region, tmp_path: Path
) -> None:
    # given a region that meets a fact under the key of a case that it does not know yet, and one that is none
    with_a_clinic(region, tmp_path)
    case_id, _ = the_first_case(region)

    async def write(home: DistributedHome) -> None:
        await home.log.append(CASES, partition_of(case_id), [Record(case_id, b"nonsense with a secret")])

    region.asked(write)
    scoring = region.processes[0]
    scoring.wait_until(
        lambda: b'ontrack_dead_letters_total{stage="scoring"} 1.0' in scoring.asked("/metrics")[1], "a letter"
    )

    # when it is listed and shown
    (row,) = orjson.loads(region.succeeded("dlq", "list", "--format", "json").out)
    shown = region.succeeded("dlq", "show", row["letter"])
    revealed = region.succeeded("dlq", "show", row["letter"], "--reveal")

    # then its place and the reason are told, and what it holds only to whoever asks for that
    assert (row["reason"], row["status"], row["bytes"]) == ("not-an-event", "unreadable", 22)
    assert b"secret" not in shown.out
    assert b"nonsense with a secret" in revealed.out

    # and it is not taken in as long as it cannot be read
    refused = region.ontrack("dlq", "redrive", row["letter"])
    assert refused.exit_code == 1
    assert "it still cannot be read (not-an-event)" in refused.told
    assert region.succeeded("dlq", "redrive", "--all").told.strip() == "0 facts taken in."
