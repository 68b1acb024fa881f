"""The AsyncAPI document: in one piece with the schemas that it refers to, and true of what stands on the log."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import Data, Event
from contracts.schemas.asyncapi import KEPT_FOR_EVER
from contracts.topics import ACCESS, CASES, DEAD_LETTERS, DEFINITIONS, SCORES, TOPICS, Topic, partition_of
from services.embedded import EmbeddedHome
from services.runtime.log import topics as of_cluster
from services.runtime.log.port import Record
from tests.contracts.fitting import Schema, faults
from tests.support.clinic import a_case
from tests.support.events import events_of
from tests.support.histories import History

ROOT: Final = Path(__file__).parents[2]
KEY: Final = CaseKey(bytes(range(64)))
WHOLE: Final = Schema.of("asyncapi.json")
DOCUMENT: Final[dict[str, Any]] = WHOLE.says
USED: Final = [topic for topic in TOPICS.values() if topic.events]
PLACES: Final = [(topic, kind) for topic in USED for kind in topic.events]

a_few = settings(max_examples=6, deadline=None)
each_place = pytest.mark.parametrize(
    ("topic", "kind"), PLACES, ids=lambda each: each.name if isinstance(each, Topic) else each.__name__
)


def message(topic: Topic, name: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["channels"][topic.name]["messages"][name]
    return found


def wrong_with(topic: Topic, name: str, record: bytes) -> list[str]:
    """Say what is wrong with a record as a message of a name."""
    return faults(WHOLE.part(message(topic, name)["payload"]), json.loads(record))


def fitting(topic: Topic, record: bytes) -> list[str]:
    """Name the messages of a topic that a record is."""
    return [name for name in DOCUMENT["channels"][topic.name]["messages"] if not wrong_with(topic, name, record)]


def wrong_with_key(topic: Topic, name: str, key: str) -> list[str]:
    """Say what is wrong with the key of a record of a name."""
    bound = WHOLE.referred(message(topic, name)["bindings"]["$ref"])
    return faults(bound.part(bound.says["kafka"]["key"]), key)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part[name] for name in part if name == "$ref")
        part = list(part.values())
    if isinstance(part, list):
        yield from (reference for each in part for reference in references(each))


# In one piece


def test_every_topic_is_a_channel_as_the_table_has_it() -> None:
    assert DOCUMENT["channels"].keys() == TOPICS.keys()
    for name, topic in TOPICS.items():
        channel = DOCUMENT["channels"][name]
        assert channel["address"] == name
        assert channel["summary"].lower() == f"{topic.says}.".lower()
        assert channel["bindings"]["kafka"]["partitions"] == topic.partitions


@each_place
def test_every_event_of_a_topic_is_a_message_there_and_refers_to_what_it_says(topic: Topic, kind: type[Data]) -> None:
    found = message(topic, kind.type())
    (_, own) = found["payload"]["allOf"]
    assert (found["name"], found["title"]) == (kind.type(), kind.__name__)
    assert found["summary"].endswith(".")
    assert set(references(own)) == {f"events/{kind.type()}.json"}


def test_no_channel_has_a_message_that_its_topic_does_not_carry() -> None:
    for topic in TOPICS.values():
        assert DOCUMENT["channels"][topic.name]["messages"].keys() == {kind.type() for kind in topic.events}


def test_every_reference_leads_to_something() -> None:
    # given the document and every schema that it refers to, and those that these refer to
    left, seen = [(WHOLE, reference) for reference in references(DOCUMENT)], set[tuple[str, str]]()
    while left:
        # when each reference is followed, once
        start, reference = left.pop()
        if (start.file, reference) in seen:
            continue
        seen.add((start.file, reference))
        found = start.referred(reference)

        # then something is there
        assert isinstance(found.says, dict)
        left += [(found, inner) for inner in references(found.document)]
    assert {("asyncapi.json", f"events/{kind.type()}.json") for _, kind in PLACES} <= seen


DRAFT_07: Final = {
    *("$schema", "$id", "$ref", "title", "description", "default", "type", "enum", "const", "format", "anyOf"),
    *("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "items"),
    *("pattern", "minLength", "maxLength", "maxItems", "minimum", "maximum"),
}
"""What the schemas of events use, as far as it means the same in JSON Schema draft 07, of which AsyncAPI's is made."""


def test_what_an_event_says_is_described_in_words_that_mean_the_same_in_asyncapi() -> None:
    for kind in {kind for _, kind in PLACES}:
        # given a schema that the document refers to, and every schema in it
        for part in parts(Schema.of(f"events/{kind.type()}.json").says):
            # then draft 07 has its keywords too, and nothing stands beside a reference, where draft 07 overlooks it
            assert part.keys() - {"$defs"} <= DRAFT_07
            assert "$ref" not in part or len(part) == 1


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Give a schema and all schemas in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, inner in schema.items():
        if keyword in {"$defs", "properties", "patternProperties"}:
            yield from (part for each in inner.values() for part in parts(each))
        elif keyword == "anyOf":
            yield from (part for each in inner for part in parts(each))
        elif keyword in {"items", "additionalProperties", "propertyNames"}:
            yield from parts(inner)


def test_the_document_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", project["version"])


# True of what is done


def test_history_is_kept_as_the_topics_of_a_cluster_keep_it() -> None:
    made = {name: ",".join(v) if isinstance(v, list) else str(v) for name, v in KEPT_FOR_EVER.items()}
    assert made == of_cluster.KEPT_FOR_EVER
    for channel in DOCUMENT["channels"].values():
        assert channel["bindings"]["kafka"]["topicConfiguration"] == KEPT_FOR_EVER


def test_what_a_service_writes_and_reads_is_what_it_sends_and_receives() -> None:
    written = {(service, "send", topic.name) for topic in TOPICS.values() for service in topic.written_by}
    read = {(service, "receive", topic.name) for topic in TOPICS.values() for service in topic.read_by}
    found = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"].removeprefix("#/channels/"))
        for operation in DOCUMENT["operations"].values()
    }
    assert found == written | read
    assert len(found) == len(DOCUMENT["operations"])


def test_a_reserved_topic_is_a_channel_that_nobody_uses() -> None:
    assert {topic for topic in TOPICS.values() if not topic.events} == {ACCESS}
    assert (ACCESS.written_by, ACCESS.read_by) == ((), ())
    assert DOCUMENT["channels"][ACCESS.name]["messages"] == {}


@each_place
@a_few
@given(data=st.data())
def test_whatever_goes_out_is_one_message_of_its_topic(topic: Topic, kind: type[Data], data: st.DataObject) -> None:
    # given any event of a type, as it goes out on a topic
    event: Event[Data] = data.draw(events_of(kind, numbered=topic.of_cases and topic is not CASES))
    ready = prepared(event, KEY, event.sequence) if topic.of_cases else event
    record = encode(ready)

    # when it is compared with the messages of the topic, then it is that of its type and no other
    assert wrong_with(topic, kind.type(), record) == []
    assert fitting(topic, record) == [kind.type()]

    # and what was sealed is what the document says of it
    if ready.sealed is not None:
        sealed = message(topic, kind.type())["payload"]["allOf"][1]["properties"]["data_base64"]["x-sealed"]
        assert faults(WHOLE.part(sealed), json.loads(ready.sealed.plain)) == []


async def test_everything_that_a_home_writes_is_a_message_under_the_key_that_is_described(tmp_path: Path) -> None:
    # given a home with a case that comes to a report, and with a record of facts that nobody can read
    history = History("case-1").enrolled().answered(0, 1, 1, 1, 1, 1).answered(1, 4, 4, 4, 4, 4).attended(1).closed()
    async with await EmbeddedHome.found(tmp_path / "home") as home:
        await home.intake.take_over(history.events)
        await home.log.append(CASES, partition_of("foreign"), [Record("foreign", b"no event")])
        await home.catch_up()

        # when everything that stands on a topic is read
        for topic in USED:
            places = range(topic.partitions)
            records = [record for place in places for record in await home.log.read(topic, place, 0, 1_000)]
            events = [(record, json.loads(record.value)) for record in records if record.value != b"no event"]

            # then each record is the one message that its type says, under its key
            for record, event in events:
                assert fitting(topic, record.value) == [event["type"]]
                assert wrong_with_key(topic, event["type"], record.key) == []
                assert not topic.of_cases or record.key == event["subject"]

            # and whoever writes the topic has said something there
            assert {f"urn:ontrack:{service}" for service in topic.written_by} <= {
                event["source"] for _, event in events
            }


# And of nothing else


def a_score(**changed: object) -> bytes:
    """The record of a score, sealed, with something changed; None takes a field away."""
    event = next(event for event in a_case(12).scored(9).scoring.out if event.type == "ontrack.score-computed.v1")
    wire = json.loads(encode(prepared(event, KEY, 3)))
    return json.dumps({name: value for name, value in (wire | changed).items() if value is not None}).encode()


def test_the_record_that_the_next_test_spoils_is_a_message() -> None:
    assert fitting(SCORES, a_score()) == ["ontrack.score-computed.v1"]


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "ontrack.unheard-of.v1"},
        {"dataschema": "urn:ontrack:schema:score-revised.v1"},
        {"specversion": "0.3"},
        {"sequence": None},
        {"keyid": None},
        {"data_base64": None},
        {"data_base64": None, "keyid": None, "data": {}},
        {"data": {}},
        {"subject": ""},
    ],
    ids=lambda changed: json.dumps(changed)[:60],
)
def test_what_never_goes_out_is_no_message(changed: dict[str, object]) -> None:
    assert fitting(SCORES, a_score(**changed)) == []


def test_a_fact_has_no_number_and_is_not_opened() -> None:
    fact = a_case(12).facts[0]
    assert fitting(CASES, encode(prepared(fact, KEY))) == [fact.type]
    assert fitting(CASES, encode(prepared(fact, KEY, 1))) == []
    assert fitting(CASES, encode(fact)) == []


def test_a_log_speaks_of_itself_under_one_key() -> None:
    assert wrong_with_key(DEFINITIONS, "ontrack.log-founded.v1", "log") == []
    assert wrong_with_key(DEFINITIONS, "ontrack.log-founded.v1", "case-1") != []
    assert wrong_with_key(DEAD_LETTERS, "ontrack.fact-unreadable.v1", "case-1") == []
