"""Part of a history: some cases, those of a group, what had been recorded by a moment; for every command the same."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import id_of
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import CaseTransferred, NeedsStated, ReportSeen, ResponseCorrected
from contracts.events.fields import instant
from contracts.topics import CASES, NOTICES, SCORES, TOPICS, TRACKS, Topic, partition_of
from services.auditor.domain.narrowing import Outside, Part, Then, known_at
from services.auditor.fold import Keys
from services.auditor.narrowed import Narrowed, known
from services.auditor.replay import History
from services.auditor.verify import Verified, verified
from services.cli.audit.group import audit as commands
from services.cli.history import history
from services.cli.shelf import shelf
from services.embedded import EmbeddedHome
from services.runtime.copies.file import COPIES
from services.runtime.log.port import Log, Record, StoredRecord
from tests.auditor.tampering import Tampering, renamed
from tests.cli.homes import day_of, events_of, imported, reports_of, spread, written
from tests.docs.markdown import DOCS, Row, table
from tests.support.command import Ran, ontrack, succeeded
from tests.support.histories import History as Told
from tests.support.histories import in_turn

ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
THEN: Final = datetime(2026, 3, 1, tzinfo=UTC)
COURSES: Final = {"W": {0: 12, 1: 15, 2: 12}, "V": {0: 10, 1: 13, 2: 9}, "U": {0: 12, 1: 10}}


def recorded(home: Path, case: str, data: Data, at: datetime) -> None:
    """Record a fact by a clock that says what it is told."""

    async def record() -> None:
        async with await EmbeddedHome.open(home, write=True, clock=lambda: at) as opened:
            (case_id,) = await opened.cases_named(case)
            name = fact_id("clinic", "test", f"{case}/{data.type()}/{at}")
            fact = new_fact(data, case_id=case_id, fact_id=name, source="urn:ontrack:clinic:test", happened=day_of(3))
            considered = await opened.intake.consider([fact])
            assert not considered.refused
            await opened.intake.record(considered.new)
            await opened.catch_up()

    asyncio.run(record())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Courses of which more was recorded later, once by a clock that was behind."""
    folder = tmp_path_factory.mktemp("narrowed")
    made = imported(folder / "home", written(folder / "answers.csv", COURSES, "odsis"))
    (report,) = [each["report"] for each in reports_of(made) if each["case"] == "W"]
    begun = datetime.now(UTC)
    answered = next(
        event["id"]
        for event in events_of(made, "W")
        if event["event"] == "ontrack.response-submitted.v1" and event["data"]["session"] == 1
    )
    answers = dict(zip(ITEMS, spread(13, 4), strict=True))
    recorded(made, "V", CaseTransferred(group="B"), begun + timedelta(hours=1))
    recorded(made, "W", ReportSeen(report=report, by="anna"), begun + timedelta(hours=3))
    corrected = ResponseCorrected(response=answered, answers=answers, reason="a slip", by="anna")
    recorded(made, "W", corrected, begun + timedelta(hours=2))
    recorded(made, "V", CaseTransferred(group="C"), begun + timedelta(hours=4))
    return made


def moments(home: Path) -> list[str]:
    """Every moment at which something was recorded."""
    return sorted({str(event["recorded"]) for case in COURSES for event in rows(home, case)})


def rows(home: Path, case: str, *options: str) -> list[dict[str, Any]]:
    ran = succeeded("audit", "history", case, "--data", home, "--format", "json", *options)
    found: list[dict[str, Any]] = orjson.loads(ran.out)
    return found


def audit(home: Path, *arguments: str) -> Ran:
    command, *options = arguments
    return ontrack("audit", command, "--data", home, *options)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 4))), st.integers(0, 4))
def test_of_each_case_what_stands_before_the_first_fact_that_was_not_known_is_known(
    facts: Sequence[tuple[str, int]], until: int
) -> None:
    def at(minute: int) -> datetime:
        return THEN + timedelta(minutes=minute)

    # given facts of cases, each recorded at some moment, in the order of the log
    outsides = [
        Outside(case, place, f"fact-{place}", f"fact-{place}", None, instant(at(minute)))
        for place, (case, minute) in enumerate(facts)
    ]

    # when it is asked what was known by a moment
    then = Then(at(until))
    knew = [then.knew(CASES, outside) for outside in outsides]
    part = Part(until=at(until), overtaken=frozenset(then.overtaken), ends=then.ends)

    # then of each case it is its beginning
    assert [part.has(CASES, outside) for outside in outsides] == knew
    for case in "AB":
        of_case = [minute for each, minute in facts if each == case]
        first = next((place for place, minute in enumerate(of_case) if minute > until), len(of_case))
        known = [each for each, outside in zip(knew, outsides, strict=True) if outside.case == case]
        assert known == [True] * first + [False] * (len(of_case) - first)


def _odd() -> Sequence[Told]:
    """Cases whose facts do not come as one expects."""
    twice = Told("a" * 32).enrolled().answered(0, 1, 1, 1, 1, 1).answered(1, 4, 4, 4, 4, 4).answered(2).again(2)
    # A clock was behind when another fact came under an id that is taken.
    twice.say(NeedsStated(seen_by="patient", needs=("motivation",), by="p1"), named="answers to 1").attended(2)
    twice.events[5] = twice.events[5]._replace(recordedtime=twice.events[2].recordedtime)
    before = Told("b" * 32).enrolled().answered(0, 1, 1, 1, 1, 1).corrected(1, 4, 4, 4, 4, 4).attended(1)
    before.answered(1, 1, 1, 1, 1, 1).answered(2)
    # A clock was ahead when the correction was recorded.
    ahead = Told("c" * 32).enrolled().corrected(1, 4, 4, 4, 4, 4).answered(0).answered(1).answered(2)
    ahead.events[1] = ahead.events[1]._replace(recordedtime=ahead.events[3].recordedtime)
    return twice, before, ahead


def _by(moment: datetime, case: Told) -> list[Event[Data]]:
    """The facts of a case before the first one that was recorded later."""
    return list(takewhile(lambda event: event.recordedtime <= moment, case.events))


async def _made(directory: Path, facts: Sequence[Event[Data]]) -> EmbeddedHome:
    home = await EmbeddedHome.found(directory)
    await home.intake.take_over(facts)
    await home.catch_up()
    return home


async def _ids(log: Log, case_id: str) -> list[list[str | None]]:
    """Which events of a case stand on each topic."""
    number = partition_of(case_id)
    records = [await log.read(topic, number, 0, 1_000) for topic in (CASES, SCORES, TRACKS, NOTICES)]
    return [[id_of(record.value) for record in some if record.key == case_id] for some in records]


async def test_what_was_known_at_a_moment_is_what_stood_there_then(tmp_path: Path) -> None:
    # given a fact that stands there twice, changes that came before what they change, and a clock that was ahead
    cases = _odd()
    async with await _made(tmp_path / "all", in_turn(*cases)) as home:
        for number, moment in enumerate(sorted({event.recordedtime for case in cases for event in case.events})):
            # when it is asked what was known at a moment, which a home knows that was told nothing else
            part = (await known(home.log, Keys(home.keyring), moment, lambda _: None)).part
            log = Narrowed(home.log, part)
            told = [event for case in cases for event in _by(moment, case)]
            async with await _made(tmp_path / f"then-{number}", told) as then:
                for case in cases:
                    # then the same stands in both
                    assert await _ids(log, case.case_id) == await _ids(then.log, case.case_id), moment
                # and the same is told of them, but where what waits for another fact is what was recorded later
                for case in cases[:2]:
                    at_hand = known_at(moment, await history(home, case.case_id))
                    there = await history(then, case.case_id) if await then.keyring.keys([case.case_id]) else []
                    assert [event.id for event in at_hand] == [event.id for event in there]

            # and nothing is found in it
            of = History(log, home.keyring, home.log_id, home.stages, definitions=home.definitions, is_whole=False)
            async with shelf() as empty:
                assert (await verified(of, empty, lambda _: None)).findings.kept == []


def test_what_was_known_at_any_moment_verifies(home: Path, tmp_path: Path) -> None:
    """Also where a fact was recorded by a clock that was behind: nothing is found that is not wrong."""
    succeeded("audit", "export", "--data", home, "--output", tmp_path / "bundle", "--keys", tmp_path / "keys")
    for moment in moments(home):
        ran = audit(home, "verify", "--until", moment)
        assert (ran.exit_code, "What was looked at verifies" in ran.told) == (0, True), ran.said
        assert "States were not compared" in ran.told
        sealed = ontrack("audit", "verify", "--bundle", tmp_path / "bundle", "--until", moment)
        assert (sealed.exit_code, "What can be seen without keys is right" in sealed.told) == (0, True), sealed.said


def test_what_was_not_known_yet_is_in_no_command(home: Path) -> None:
    # given the moment before the report was seen; the correction, recorded by then, stands behind that
    seen = next(event["recorded"] for event in rows(home, "W") if event["event"] == "ontrack.report-seen.v1")
    before = (datetime.fromisoformat(seen) - timedelta(milliseconds=1)).isoformat()

    # then neither is in the history of the case, by either name of the option
    assert rows(home, "W", "--until", before) == rows(home, "W", "--as-of", before)
    left_out = {event["event"] for event in rows(home, "W") if event not in rows(home, "W", "--until", before)}
    assert {"ontrack.report-seen.v1", "ontrack.response-corrected.v1"} <= left_out

    # nor in what is verified or replayed
    whole, part = (audit(home, "verify", *options).told for options in ((), ("--until", before)))
    assert f"{CASES.name}: {len_of(whole, CASES.name) - 3:,} events" in part
    replayed = audit(home, "replay", "--until", before, "--format", "json")
    assert replayed.exit_code == 0
    assert [each["equal"] for each in orjson.loads(replayed.out)] == [None] * 4
    assert "Nothing is compared" in replayed.told

    # nor in what came of reports
    listed = [
        orjson.loads(audit(home, "loop", "--list", "--format", "json", *options).out)
        for options in ((), ("--until", before))
    ]
    assert [next(each["seen_after_hours"] for each in some if each["case"] == "W") is None for some in listed] == [
        False,
        True,
    ]


def len_of(told: str, topic: str) -> int:
    """How many events of a topic were read."""
    (number,) = [line.split()[1] for line in told.splitlines() if line.startswith(topic)]
    return int(number.replace(",", ""))


def test_a_group_is_of_those_who_were_ever_in_it_until_then(home: Path) -> None:
    (came, left) = [event["recorded"] for event in rows(home, "V") if event["event"] == "ontrack.case-transferred.v1"]

    # a case that moved on was in it all the same
    assert "Looked at: 1 case" in audit(home, "verify", "--group", "B").told
    assert (
        audit(home, "verify", "--group", "B").told.splitlines()[:3]
        == audit(home, "verify", "--case", "V").told.splitlines()[:3]
    )

    # and nobody was before somebody came
    assert audit(home, "verify", "--group", "C", "--until", left).exit_code == 0
    never = audit(home, "verify", "--group", "C", "--until", came)
    assert (never.exit_code, "no patient was ever in C by" in never.told) == (1, True)
    assert "W was never in B" in audit(home, "verify", "--group", "B", "--case", "W").told


def test_of_a_case_whose_key_is_not_here_it_is_not_said_that_it_was_in_no_group(home: Path, tmp_path: Path) -> None:
    # given a home in which the only case that was ever in a group was erased, and a bundle without the key of that case
    erased = Path(shutil.copytree(home, tmp_path / "home", ignore=shutil.ignore_patterns(COPIES)))
    bundle, keys = tmp_path / "bundle", tmp_path / "keys"
    succeeded("audit", "export", "--data", home, "--output", bundle, "--keys", keys)
    keys.write_bytes(
        b"".join(line for line in keys.read_bytes().splitlines(True) if orjson.loads(line)["number"] != "V")
    )
    succeeded("erase", "V", "--ground", "asked-for", "--by", "kim", "--confirm", "V", "--data", erased)

    # when that group is asked for, then it is said of how many cases that is not known
    for source in (("--data", erased), ("--bundle", bundle, "--keys", keys)):
        ran = ontrack("audit", "verify", *source, "--group", "B")
        assert (ran.exit_code, "; of 1 case that is sealed, without a key here" in ran.told) == (1, True), ran.told

    # and so it is where the case is asked for too
    ran = ontrack("audit", "verify", "--data", erased, "--group", "B", "--case", "V")
    assert (ran.exit_code, "in which groups V was is sealed, and its key is not here" in ran.told) == (1, True), (
        ran.told
    )


def test_what_was_done_to_other_cases_or_later_is_not_found_and_that_is_not_claimed(home: Path, tmp_path: Path) -> None:
    # given a home of which the last conclusion about a case was changed
    tampering = Tampering(Path(shutil.copytree(home, tmp_path / "home")))
    last = rows(home, "W")[-1]
    (w,) = {event["case"] for event in of_tracks(home, "W")}
    place = len(tampering.offsets(TRACKS, w)) - 1
    tampering.put(TRACKS, w, place, renamed(tampering.record(TRACKS, w, place), source="urn:ontrack:other"))

    # then it is found where that case is looked at, and in no part without it
    before = (datetime.fromisoformat(last["recorded"]) - timedelta(hours=1)).isoformat()
    for options, code in (((), 1), (("--case", "W"), 1), (("--group", "B"), 0), (("--until", before), 0)):
        ran = audit(tampering.home, "verify", *options)
        assert (ran.exit_code, "The history verifies" in ran.told) == (code, False), ran.said

    # and the same when both histories are laid side by side
    for options, code in (((), 1), (("--case", "W"), 1), (("--group", "B"), 0), (("--until", before), 0)):
        assert ontrack("audit", "diff", home, tampering.home, *options).exit_code == code


def of_tracks(home: Path, case: str) -> list[dict[str, Any]]:
    ran = succeeded("export", "--data", home, "--case", case, "--topic", TRACKS.name)
    return [{"case": orjson.loads(line)["subject"]} for line in ran.out.splitlines()]


def test_of_a_part_states_of_its_cases_are_compared(home: Path, tmp_path: Path) -> None:
    # given a home in which a stage knows something else of a case
    tampering = Tampering(Path(shutil.copytree(home, tmp_path / "home")))
    (w,) = {event["case"] for event in of_tracks(home, "W")}
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'scoring' AND case_id = ?", w)

    # then it is told where that case is looked at
    for command in ("verify", "replay"):
        codes = [audit(tampering.home, command, *options).exit_code for options in (("--case", "W"), ("--case", "V"))]
        assert codes == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "--swap", "--case", "W"), "all that the stages know is made anew"),
        (("replay", "--into", "fresh", "--until", "2026-03-01T09:00"), "all that the stages know is made anew"),
        (("loop", "--case", "W"), "a single case is not summed up"),
        (("verify", "--until", "soon"), "a moment was expected"),
        (("verify", "--case", "nobody"), "the number of a case was expected"),
    ],
)
def test_what_cannot_be_meant_is_told(home: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = audit(home, *arguments)
    assert (ran.exit_code, says in ran.told) == (2, True), ran.told


@pytest.mark.parametrize("row", table(DOCS / "auditor.md", "narrowing"), ids=lambda row: row["command"])
def test_the_page_says_by_what_each_command_is_narrowed(row: Row) -> None:
    command = commands.commands[row["command"].strip("`")]
    taken = {option for each in command.params for option in each.opts}
    for option in ("--case", "--group", "--until"):
        assert (option in taken) == (row[f"`{option}`"] not in ("no", "is of one case"))


def test_by_whose_clock_times_are_told_is_said(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who goes by another clock than the clinic
    monkeypatch.setenv("ONTRACK_TIME_ZONE", "Asia/Kolkata")
    for command in ("history W", "why W --session 2", "why W --session 2 --as-of 2199-01-01T12:00+02:00"):
        # when a case is told, then it says so
        told = succeeded("audit", *command.split(), "--data", home).out.decode()
        assert "Times are by the clock of Asia/Kolkata." in told

    # and a moment that stands alone is told with how far it is from UTC, and can be given so again
    for moment in ("2199-01-01T12:00+02:00", "2199-01-01 15:30+05:30"):
        told = audit(home, "verify", "--until", moment).told
        assert "recorded by 2199-01-01 15:30+05:30" in told
    for language, says in (("en", "Times are by the clock of Asia/Kolkata."), ("da", "efter uret i Asia/Kolkata.")):
        page = tmp_path / f"{language}.html"
        why = ("audit", "why", "W", "--session", "2", "--data", home)
        succeeded(*why, "--language", language, "--write", page)
        assert says in page.read_text("utf-8")


def test_a_moment_is_told_as_finely_as_it_was_given(home: Path, tmp_path: Path) -> None:
    # given moments to the second, and finer
    for seconds in (":48", ":48.250000"):
        moment, told = f"2199-01-01T12:30{seconds}+01:00", f"2199-01-01 12:30{seconds}+01:00"

        # when somebody asks what was known then, then no more and no less is told
        for command in ("verify --until", "history W --as-of", "why W --session 2 --as-of"):
            ran = audit(home, *command.split(), moment)
            assert told in ran.told + ran.out.decode(), command
        past = audit(home, "why", "W", "--session", "2", "--as-of", f"2000-01-01T12:30{seconds}+01:00")
        assert f"by 2000-01-01 12:30{seconds}+01:00" in past.told

    # and the page tells it to the second too
    for language, says in (("en", "1 January 2199, 12:30:48"), ("da", "1. januar 2199 kl. 12.30.48")):
        page = tmp_path / f"{language}.html"
        succeeded(
            *("audit", "why", "W", "--session", "2", "--data", home, "--as-of", "2199-01-01T12:30:48+01:00"),
            *("--language", language, "--write", page),
        )
        assert says in page.read_text("utf-8")


def test_nothing_is_claimed_of_a_time_when_nothing_was_recorded(home: Path) -> None:
    ran = audit(home, "verify", "--until", "2000-01-01T00:00")
    assert ran.exit_code == 1
    assert "There was nothing to verify" in ran.told
    assert "verifies" not in ran.told


def test_nothing_is_claimed_of_two_histories_when_nothing_was_recorded(home: Path) -> None:
    ran = ontrack("audit", "diff", home, home, "--until", "2000-01-01T00:00", "--case", "W")
    assert (ran.exit_code, "Both say the same" in ran.told) == (0, False)
    assert "Nothing was there to be compared" in ran.told


def test_a_bundle_tells_which_cases_belong_to_a_group_to_whoever_has_the_keys(home: Path, tmp_path: Path) -> None:
    bundle, keys = tmp_path / "bundle", tmp_path / "keys"
    succeeded("audit", "export", "--data", home, "--output", bundle, "--keys", keys)
    refused = ontrack("audit", "diff", home, bundle, "--group", "B")
    assert (refused.exit_code, "--keys-b FILE" in refused.told) == (2, True)
    assert "Both say the same" in succeeded("audit", "diff", home, bundle, "--keys-b", keys, "--group", "B").told
    assert "Looked at: 1 case" in succeeded("audit", "verify", "--bundle", bundle, "--keys", keys, "--group", "B").told


class Ended:
    """A log that goes on while it is read: it ended where somebody was told that it does."""

    is_read_here = False

    def __init__(self, log: Log, ends: Mapping[tuple[str, int], int]) -> None:
        self.log = log
        self.ends = ends

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        await self.log.append(topic, partition, records)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        return await self.log.read(topic, partition, offset, limit)

    async def end(self, topic: Topic, partition: int) -> int:
        return self.ends[topic.name, partition]


def test_what_comes_while_a_part_is_read_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a partition that ends with another case than the one that is asked for
    made = imported(
        tmp_path / "home", written(tmp_path / "answers.csv", {f"C{n}": {0: 12, 1: 11} for n in range(13)}, "odsis")
    )
    monkeypatch.setattr("services.auditor.replay.BATCH", 1)

    async def last_of_partitions() -> tuple[dict[tuple[str, int], int], dict[str, str], Mapping[str, str]]:
        async with await EmbeddedHome.open(made) as home:
            ends = {
                (topic.name, number): await home.log.end(topic, number)
                for topic in TOPICS.values()
                for number in range(topic.partitions)
            }
            names = await home.names()
            last: dict[str, str] = {}
            for case_id in names:
                number = partition_of(case_id)
                (record,) = await home.log.read(CASES, number, ends[CASES.name, number] - 1, 1)
                last[case_id] = record.key
            return ends, last, names

    ends, last, names = asyncio.run(last_of_partitions())
    case_id = next(each for each in names if last[each] != each)
    facts = len([event for event in rows(made, names[case_id]) if event["is"] == "fact"])

    # when more is recorded of it after somebody has asked where the log ends
    recorded(made, names[case_id], CaseTransferred(group="B"), datetime.now(UTC))

    async def verify() -> Verified:
        async with await EmbeddedHome.open(made) as home, shelf() as empty:
            log = Narrowed(Ended(home.log, ends), Part(frozenset([case_id])))
            history = History(log, home.keyring, home.log_id, home.stages, definitions=home.definitions)
            return await verified(history, empty, lambda _: None, [case_id])

    found = asyncio.run(verify())

    # then that is not looked at, and nothing is found
    assert found.counted[CASES.name].events == facts
    assert found.findings.kept == []
