"""`ontrack audit verify` finds definitions that are gone, changed or said twice, and claims nothing beyond them."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.events.facts import ResponseSubmitted
from contracts.topics import CASES, DEFINITIONS
from services.embedded import EmbeddedHome
from services.runtime.database import table_of
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import Tampering
from tests.support.command import ontrack


def test_where_a_definition_is_gone_that_an_event_names_a_case_is_not_told_and_it_is_said_why(
    tampering: Tampering, p1: str
) -> None:
    # given a log without the instrument that was answered
    answered = tampering.event(CASES, p1, tampering.place_of(CASES, p1, ResponseSubmitted)).data
    assert isinstance(answered, ResponseSubmitted)
    ref, table = answered.instrument, table_of(DEFINITIONS, 0)
    tampering.do(f"DELETE FROM {table} WHERE CAST(value AS TEXT) LIKE ?", f'%"ref":"{ref}"%')  # noqa: S608 - ours

    # when a case is asked for, then it is said which one, and who tells more
    for command in (("case", "P1"), ("audit", "history", "P1"), ("audit", "why", "P1", "--session", "2")):
        for form in ("table", "json"):
            ran = ontrack(*command, "--data", tampering.home, "--format", form)
            assert ran.exit_code == 1, ran.told
            assert f"the definition {ref} is not known here, and an event names it: ontrack audit verify" in ran.told
    assert "definition-missing" in kinds(findings(tampering.home))


def test_a_definition_that_is_gone_is_found_by_the_hole_where_it_stood(tampering: Tampering) -> None:
    # given a log without a definition that nothing names
    tampering.do(f'DELETE FROM {table_of(DEFINITIONS, 0)} WHERE "offset" = 3')  # noqa: S608 - ours

    # when the history is verified, also of one case
    for options in ((), ("--case", "P1")):
        holes = [each for each in findings(tampering.home, *options) if each["finding"] == "gap"]

        # then the hole is found where it is
        assert [(each["topic"], each["says"]) for each in holes] == [
            (DEFINITIONS.name, "offset 3 was expected before offset 4")
        ]


def test_two_definitions_of_one_name_and_version_are_found(tampering: Tampering) -> None:
    # given a policy, and another content under its name and version
    policy = next(entry for entry in library() if entry.ref.startswith("gryesten-2023@1#"))
    other = entry_of({**policy.body, "persistent_after": 9})

    async def publish() -> None:
        async with await EmbeddedHome.open(tampering.home, write=True) as home:
            await home.publish([other])

    asyncio.run(publish())

    # when the history is verified, then the second one is found
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"]) == ("definition-ambiguous", DEFINITIONS.name)
    assert found["says"] == f"one gryesten-2023@1 was expected; {policy.ref} stands before it"


def _content_changed(body: dict[str, Any]) -> None:
    body["title"]["en"] += "!"


def _kind_changed(body: dict[str, Any]) -> None:
    del body["title"]


@pytest.mark.parametrize("change", [_content_changed, _kind_changed])
def test_a_definition_that_is_not_what_it_says_is_found_and_nothing_else_is_claimed(
    tampering: Tampering, change: Callable[[dict[str, Any]], None]
) -> None:
    # given a definition whose content was changed where it was published
    table = table_of(DEFINITIONS, 0)
    ((offset, value),) = tampering.do(f'SELECT "offset", value FROM {table} WHERE "offset" = 3')  # noqa: S608 - ours
    record = orjson.loads(value)
    change(record["data"]["body"])
    tampering.do(f'UPDATE {table} SET value = ? WHERE "offset" = ?', orjson.dumps(record), offset)  # noqa: S608 - ours

    # when the history is verified
    (found,) = findings(tampering.home, "--case", "P1")

    # then that is the finding, and nothing is said of what rests on it
    assert (found["finding"], found["topic"], found["partition"]) == ("definition-altered", DEFINITIONS.name, 0)
    assert (found["offset"], found["event"]) == (offset, record["id"])
    assert orjson.loads(found["fields"][0]["found"]) == record["data"]["ref"]
    assert "Nothing else was verified" in ontrack("audit", "verify", "--data", tampering.home).told


def test_a_definition_that_cannot_be_read_is_told_without_fields_that_nobody_knows(tampering: Tampering) -> None:
    tampering.do(f'UPDATE {table_of(DEFINITIONS, 0)} SET value = ? WHERE "offset" = 3', b"garbage")  # noqa: S608 - ours
    (found,) = findings(tampering.home)
    assert (found["finding"], found["topic"], found["offset"]) == ("unreadable", DEFINITIONS.name, 3)
    assert found["fields"] == []
    assert "Nothing else was verified" in ontrack("audit", "verify", "--data", tampering.home).told
