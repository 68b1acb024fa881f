"""The codec: every event comes back as it went, byte for byte, and whatever else comes is refused without a word."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.codec import (
    CaseKey,
    Unreadable,
    UnreadableReason,
    canonical,
    content_digest,
    decode,
    encode,
    ending,
    glance,
    is_canonical,
    plain_data,
    prepared,
    renumbered,
    schema_name,
    tail,
)
from contracts.events.event import Data, Event
from contracts.events.facts import (
    BaselineSet,
    CaseErased,
    NeedsStated,
    OccasionOpened,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import instant
from contracts.events.publications import DefinitionPublished, LogFounded
from contracts.events.scores import ScoreComputed
from contracts.events.tracks import TrackEvaluated
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from tests.support.events import ZONES, events_of, moments

SECRET: Final = bytes(range(64))
OTHER_SECRET: Final = bytes(range(64, 128))

TOPIC_OF: Final = {kind: topic for topic in TOPICS.values() for kind in topic.events}
KINDS: Final = sorted(TOPIC_OF, key=lambda kind: kind.type())
OF_CASES: Final = [kind for kind in KINDS if TOPIC_OF[kind].of_cases]

COMMENT: Final = "I cannot sleep since Karen left"
ANSWERS: Final = {"frequency": 4, "intensity": 3}
ODSIS: Final = f"odsis@1#{'0' * 64}"
NOON: Final = datetime(2024, 2, 29, 12, tzinfo=UTC)

REASONS: Final = set(get_args(UnreadableReason))

ENDLESS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON, with numbers as large as anybody likes, and numbers that are none."""

FITTING = st.sampled_from(
    [
        "99999999-8888-4777-8666-555555555555",
        "2026-01-05T09:00:00.000Z",
        "urn:ontrack:elsewhere",
        *(kind.type() for kind in KINDS),
    ]
)
"""What one field of a record or another can hold."""

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
each_kind_of_cases = pytest.mark.parametrize("kind", OF_CASES, ids=lambda kind: kind.__name__)
a_few = settings(max_examples=8, deadline=None)


def key_for(topic: Topic, secret: bytes = SECRET) -> CaseKey | None:
    """The key that records of a topic stand under."""
    return CaseKey(secret) if topic.of_cases else None


def an_event(data: Data, *, sequence: int | None = 7) -> Event[Data]:
    return Event(
        id="11111111-2222-3333-4444-555555555555",
        source="urn:ontrack:ingest",
        subject="0123456789abcdef0123456789abcdef",
        time=NOON,
        recordedtime=NOON + timedelta(seconds=90, milliseconds=5),
        correlationid="66666666-7777-8888-9999-aaaaaaaaaaaa",
        causationid=None,
        data=data,
        sequence=sequence,
    )


def a_response(comment: str | None = COMMENT, *, at: datetime = NOON, **answers: int) -> ResponseSubmitted:
    return ResponseSubmitted(
        session=3,
        instrument=ODSIS,
        answers=answers or ANSWERS,
        comment=comment,
        answered_at=at,
        entered_by="patient",
    )


def record_of(event: Event[Data], key: CaseKey | None, sequence: int | None = None) -> bytes:
    """An event as it stands on a log: sealed under its case's key, if it is one of a case."""
    return encode(event if key is None else prepared(event, key, sequence or event.sequence))


def a_record(data: Data | None = None) -> bytes:
    return record_of(an_event(data or a_response()), CaseKey(SECRET))


def an_open_record() -> bytes:
    return encode(an_event(LogFounded(log="11111111-2222-3333-4444-555555555555")))


def changed(record: bytes, **new: object) -> bytes:
    """The record with other fields; None takes one away."""
    wire = {**json.loads(record), **new}
    return json.dumps({name: value for name, value in wire.items() if value is not None}).encode()


def read(record: bytes, topic: Topic = SCORES, key: CaseKey | None = None) -> Event[Data] | Unreadable:
    """What decode makes of a record; if it refuses, then with one of its reasons and nothing else."""
    result = decode(record, topic, key or key_for(topic))
    if isinstance(result, Unreadable):
        assert [field.name for field in fields(result)] == ["reason"]
        assert result.reason in REASONS
    return result


# What goes out comes back


@each_kind
@a_few
@given(data=st.data())
def test_an_event_comes_back_as_it_went(kind: type[Data], data: st.DataObject) -> None:
    # given any event of a type
    event, topic = data.draw(events_of(kind)), TOPIC_OF[kind]

    # when it is encoded, and decoded with the same key
    came = read(record_of(event, key_for(topic)), topic)

    # then it is the same
    assert isinstance(came, Event)
    assert came._replace(sealed=None) == event


@each_kind_of_cases
@a_few
@given(data=st.data())
def test_an_event_comes_back_from_an_export_that_may_be_read(kind: type[Data], data: st.DataObject) -> None:
    # given any event of a case
    event, topic = data.draw(events_of(kind)), TOPIC_OF[kind]

    # when it is encoded without a key, and decoded
    came = decode(encode(event), topic, None)

    # then it is the same
    assert came == event


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_a_topic_reads_every_event_that_stands_on_it(topic: Topic) -> None:
    # given a topic
    # when it is asked for its events by their wire names
    found = tuple(topic.type_named(kind.type()) for kind in topic.events)

    # then it knows them all
    assert found == topic.events


@each_kind
@a_few
@given(data=st.data())
def test_a_record_is_canonical(kind: type[Data], data: st.DataObject) -> None:
    # given any event of a type
    event, topic = data.draw(events_of(kind)), TOPIC_OF[kind]
    key = key_for(topic)

    # when it is encoded
    record = record_of(event, key)

    # then its fields, and those of its data, are sorted, without a space between them
    for text in (record, plain_data(event.data)):
        assert text.decode() == json.dumps(
            json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )

    # and it is encoded the same again, also from what was read of it
    came = read(record, topic)
    assert isinstance(came, Event)
    assert record_of(event, key) == record_of(event, key_for(topic)) == record_of(came, key_for(topic)) == record


@each_kind
def test_no_event_has_a_float(kind: type[Data]) -> None:
    # given the schema of what an event says
    schema = json.dumps(kind.model_json_schema(mode="serialization"))

    # then no number in it has a fraction: those are strings
    assert '"type": "number"' not in schema


def test_a_decimal_keeps_its_digits() -> None:
    # given a number with a zero at its end
    event = an_event(BaselineSet(instrument="odsis", scale="total", value=Decimal("12.50"), reason="so", by="t1"))

    # when it is encoded
    # then it stands there as written
    assert b'"value":"12.50"' in encode(event)


# Moments


@settings(deadline=None)
@given(moment=moments())
def test_a_moment_is_written_in_utc_with_milliseconds(moment: datetime) -> None:
    # given a moment in any zone
    # when it is written
    text = instant(moment)

    # then the same moment stands there in UTC with milliseconds
    assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) == moment
    assert len(text) == len("2024-02-29T12:00:00.000Z")


@pytest.mark.parametrize(
    "says",
    [
        lambda at: SessionScheduled(session=1, scheduled=at),
        lambda at: SessionMoved(session=1, scheduled=at),
        lambda at: SessionDue(session=1, scheduled=at),
        lambda at: OccasionOpened(session=1, instrument=ODSIS, closes=at),
        lambda at: a_response(at=at),
    ],
    ids=["scheduled", "moved", "due", "opened", "answered"],
)
@settings(deadline=None, max_examples=20)
@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES))  # noqa: DTZ001 - gets a zone
def test_a_moment_inside_the_data_is_written_in_utc_to_the_millisecond(
    says: Callable[[datetime], Data], moment: datetime
) -> None:
    # given a fact that names a moment, in any zone and with any precision
    wire = moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1_000 * 1_000)

    # when its data is written
    written = plain_data(says(moment))

    # then the same moment stands there in UTC, to the millisecond, however it was said
    assert written == plain_data(says(wire))
    (text,) = (value for value in json.loads(written).values() if isinstance(value, str) and value.endswith("Z"))
    assert datetime.fromisoformat(text) == wire


def test_the_same_moment_in_another_zone_is_the_same_content() -> None:
    # given a session that is scheduled, said in two zones
    here, there = NOON, NOON.astimezone(timezone(timedelta(hours=2)))
    said = [an_event(SessionScheduled(session=1, scheduled=moment)) for moment in (here, there)]
    assert said[0] == said[1]

    # when their contents are compared
    # then they are one
    assert content_digest(said[0]) == content_digest(said[1])


# Canonical form


@pytest.mark.parametrize("kind", KINDS)
@a_few
@given(data=st.data())
def test_what_is_written_here_is_canonical_and_nothing_else_that_says_the_same(
    kind: type[Data], data: st.DataObject
) -> None:
    # given a record of any event
    record = encode(data.draw(events_of(kind, numbered=TOPIC_OF[kind].of_cases)))
    wire = json.loads(record)

    # then it is canonical
    assert is_canonical(record)

    # and what says the same in other bytes is not
    moment = datetime.fromisoformat(wire["recordedtime"]).astimezone(timezone(timedelta(hours=-1))).isoformat()
    others = (
        json.dumps(wire).encode(),
        canonical(dict(reversed(wire.items())))[:-1] + b" }",
        record[:-1] + b',"type":' + canonical(wire["type"]) + b"}",
        canonical({**wire, "recordedtime": moment}),
    )
    assert not any(map(is_canonical, others))


# Seals


@pytest.mark.parametrize("kind", [ResponseSubmitted, NeedsStated, ScoreComputed, TrackEvaluated])
@a_few
@given(data=st.data())
def test_the_outside_of_a_record_does_not_depend_on_what_it_says(kind: type[Data], data: st.DataObject) -> None:
    # given two events that differ in nothing but what they say
    event = data.draw(events_of(kind))
    other = event._replace(data=data.draw(events_of(kind)).data)

    # when they are encoded
    outsides = [json.loads(record_of(each, CaseKey(SECRET))) for each in (event, other)]

    # then only the sealed texts differ
    texts = [wire.pop("data_base64") for wire in outsides]
    assert outsides[0] == outsides[1]
    assert (texts[0] == texts[1]) is (plain_data(event.data) == plain_data(other.data))


def test_nothing_of_a_response_can_be_read_from_its_record() -> None:
    # given a response with answers and a comment
    record = a_record(a_response())

    # when its bytes are searched
    # then none of them is there in plain
    for word in (COMMENT, "Karen", "frequency", "intensity", "answers", "comment", "odsis", "answered_at"):
        assert word.encode() not in record


def test_the_same_event_is_sealed_the_same_each_time_and_otherwise_under_another_key() -> None:
    # given one event, two keys
    event = an_event(a_response())

    # when it is sealed under both, twice
    first, again = record_of(event, CaseKey(SECRET)), record_of(event, CaseKey(SECRET))
    other = json.loads(record_of(event, CaseKey(OTHER_SECRET)))

    # then the key alone makes the difference
    assert first == again
    assert other["data_base64"] != json.loads(first)["data_base64"]
    assert other["keyid"] != json.loads(first)["keyid"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "11111111-2222-3333-4444-555555555556"}, "seal-broken"),
        ({"type": SessionScheduled.type(), "dataschema": schema_name(SessionScheduled.type())}, "seal-broken"),
        ({"keyid": CaseKey(OTHER_SECRET).keyid}, "other-key"),
        ({"keyid": None}, "not-sealed"),
        ({"data_base64": None}, "not-sealed"),
        ({"data_base64": ""}, "seal-broken"),
        ({"data_base64": "AAAA"}, "seal-broken"),
        ({"data_base64": "not base 64"}, "seal-broken"),
        ({"data_base64": "æøå="}, "seal-broken"),
        ({"data": {"session": 3}}, "not-sealed"),
        ({"data": {"session": 3}, "data_base64": None, "keyid": None}, "not-sealed"),
        ({"type": "ontrack.unheard-of.v1"}, "unknown-type"),
        ({"type": ResponseSubmitted.type().replace("v1", "v2")}, "unknown-type"),
        ({"type": LogFounded.type()}, "unknown-type"),
        ({"dataschema": "urn:ontrack:schema:unheard-of.v1"}, "wrong-schema"),
        ({"type": SessionScheduled.type()}, "wrong-schema"),
        ({"specversion": "0.3"}, "not-an-event"),
        ({"subject": ""}, "not-an-event"),
        ({"subject": None}, "not-an-event"),
        ({"time": "yesterday"}, "not-an-event"),
        ({"time": "2024-02-29T12:00:00"}, "not-an-event"),
        ({"sequence": "0"}, "not-an-event"),
        ({"sequence": "07"}, "not-an-event"),
        ({"sequence": 7}, "not-an-event"),
        ({"sequencetype": "Float"}, "not-an-event"),
        ({"id": "eleven"}, "not-an-event"),
    ],
)
def test_a_changed_record_is_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    # given a record of which one thing was changed
    record, key = a_record(), CaseKey(SECRET)

    # when it is read
    # then it is refused, and the reason says no more than it has to
    assert decode(changed(record, **change), SCORES, key) == Unreadable(reason)  # type: ignore[arg-type]


def test_another_key_opens_nothing_even_under_the_right_name() -> None:
    # given a record, and another key
    record, key = a_record(), CaseKey(OTHER_SECRET)

    # when it is read with that key, as it is and under that key's name
    # then it is refused
    assert decode(record, SCORES, key) == Unreadable("other-key")
    assert decode(changed(record, keyid=key.keyid), SCORES, key) == Unreadable("seal-broken")


def test_what_is_sealed_and_does_not_fit_its_type_is_refused() -> None:
    # given data that was sealed rightly, though it is none of its type
    event, key = an_event(a_response()), CaseKey(SECRET)
    text = key.seal(canonical({"comment": COMMENT}), event.id.encode(), event.type.encode())
    record = changed(a_record(), data_base64=b64encode(text).decode())

    # when it is read
    # then it is refused, without a word of it
    assert read(record) == Unreadable("invalid-data")
    assert COMMENT not in repr(read(record))


def test_what_is_sealed_and_cannot_be_written_again_is_refused() -> None:
    # given an answer of more than 64 bits, sealed rightly by whoever has the key
    event, key = an_event(a_response()), CaseKey(SECRET)
    said = json.loads(plain_data(event.data))
    plain = json.dumps({**said, "answers": {"frequency": 2**70}}).encode()
    text = key.seal(plain, event.id.encode(), event.type.encode())

    # when it is read
    came = read(changed(a_record(), data_base64=b64encode(text).decode()))

    # then it is refused: nothing could be handed on of it
    assert came == Unreadable("invalid-data")


def test_that_a_case_was_erased_is_read_without_its_key_and_stands_sealed_too() -> None:
    # given that a case was erased, as it stands on the log
    data = CaseErased(ground="asked-for", by="kim")
    record = a_record(data)
    with_key = read(record)

    # when it is read by whoever has no key
    without = decode(record, CASES, None)

    # then it says the same, and is handed on to the byte
    assert isinstance(with_key, Event)
    assert isinstance(without, Event)
    assert (with_key.data, without.data) == (data, data)
    assert encode(with_key) == encode(without) == record
    assert content_digest(with_key) == content_digest(without)


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"by": "kim", "ground": "ordered"}},
        {"data": {"by": "kim"}},
        {"data": {"by": "kim", "ground": 2**70}},
        {"data": {}},
        {"data_base64": None},
        {"data_base64": "AAAA"},
        {"data_base64": None, "keyid": None},
        {"keyid": CaseKey(OTHER_SECRET).keyid},
        {"id": "11111111-2222-3333-4444-555555555556"},
    ],
    ids=json.dumps,
)
def test_nobody_without_the_key_says_that_a_case_was_erased(change: dict[str, Any]) -> None:
    record = a_record(CaseErased(ground="asked-for", by="kim"))
    assert isinstance(read(changed(record, **change)), Unreadable)


def test_only_that_a_case_was_erased_may_stand_open_beside_its_seal() -> None:
    assert [kind for kind in KINDS if kind.stands_open] == [CaseErased]


@pytest.mark.parametrize("topic", [CASES, SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_a_record_of_a_case_is_not_read_without_its_key(topic: Topic) -> None:
    # given a sealed record of a type that stands on a topic
    record = a_record(ResponseWithdrawn(response="11111111-2222-3333-4444-555555555555", reason="so", by="t1"))
    if topic is NOTICES:
        record = changed(record, type="ontrack.report-overdue.v1", dataschema=schema_name("ontrack.report-overdue.v1"))

    # when it is read without a key
    # then it is refused
    assert decode(record, topic, None) == Unreadable("not-sealed")


# Whatever comes


@settings(deadline=None, max_examples=100)
@given(record=st.binary(max_size=200))
@example(record=b"")
@example(record=b"null")
@example(record=b"[" * 100_000)
@example(record=b'{"a":' * 100_000)
@example(record=b"\xff\xfe")
@example(record=b"\xef\xbb\xbf{}")
def test_any_bytes_are_refused_and_never_raise(record: bytes) -> None:
    # given any bytes
    for topic in TOPICS.values():
        # when they are read, with a key and without
        # then they are no event
        assert decode(record, topic, CaseKey(SECRET)) == decode(record, topic, None) == Unreadable("not-an-event")


@settings(deadline=None, max_examples=100)
@given(value=ENDLESS)
def test_any_json_is_refused_and_never_raises(value: object) -> None:
    # given any JSON
    record = json.dumps(value).encode()

    # when it is read as any topic
    # then it is no event
    for topic in (SCORES, DEFINITIONS):
        assert read(record, topic) == Unreadable("not-an-event")


@settings(deadline=None, max_examples=300)
@given(data=st.data(), value=ENDLESS | FITTING)
def test_a_record_with_anything_in_one_place_never_raises(data: st.DataObject, value: object) -> None:
    # given a record of a case, or of the log itself, with anything in place of one of its fields
    topic, right = data.draw(st.sampled_from([(SCORES, a_record()), (DEFINITIONS, an_open_record())]))
    name = data.draw(st.sampled_from([*json.loads(right), "data", "causationid"]))
    record = json.dumps({**json.loads(right), name: value}).encode()

    # when it is read
    came = read(record, topic)

    # then it is refused, or that was no part of what it says
    if isinstance(came, Event):
        original = read(right, topic)
        assert isinstance(original, Event)
        assert came.data == original.data


@pytest.mark.parametrize(
    "body",
    [
        f'{{"ref":"{ODSIS}","body":{{"kind":1180591620717411303424}}}}',
        '{"ref":1180591620717411303424}',
        '{"ref":-1180591620717411303424}',
        '{"ref":NaN}',
        '{"ref":1e999}',
        '{"ref":"\\ud800"}',
        '{"\\ud800":1}',
        '{"ref":' + "[" * 150 + "]" * 150 + "}",
        '{"ref":' + "[" * 5_000 + "]" * 5_000 + "}",
        "{}",
    ],
    ids=[
        "a number of 70 bits in a definition",
        "a number of 70 bits",
        "a negative one",
        "not a number",
        "infinity",
        "half a character",
        "half a character as a name",
        "deep",
        "endlessly deep",
        "nothing",
    ],
)
def test_open_data_that_is_no_event_is_refused_and_never_raises(body: str) -> None:
    # given a record of the log itself with data that cannot be written again
    published = DefinitionPublished.type()
    record = changed(an_open_record(), type=published, dataschema=schema_name(published), data=None)
    record = record[:-1] + b',"data":' + body.encode() + b"}"

    # when it is read
    # then it is refused
    assert read(record, DEFINITIONS) in {Unreadable("invalid-data"), Unreadable("not-an-event")}


def test_a_record_that_is_cut_off_is_no_event() -> None:
    # given a record
    record = a_record()

    # when it is cut off anywhere
    # then it is no event
    assert {read(record[:length]) for length in range(len(record))} == {Unreadable("not-an-event")}


def test_a_flipped_bit_never_makes_a_record_say_something_else() -> None:
    # given a record, and what it says
    record = a_record()
    original = read(record)
    assert isinstance(original, Event)

    for flipped in _with_each_bit_flipped(record):
        # when any bit of it is flipped
        came = read(flipped)

        # then it is refused, or says the same
        if isinstance(came, Event):
            assert (came.id, came.data) == (original.id, original.data)


def _with_each_bit_flipped(record: bytes) -> Iterator[bytes]:
    for place in range(len(record)):
        for bit in range(8):
            yield record[:place] + bytes([record[place] ^ 1 << bit]) + record[place + 1 :]


@pytest.mark.parametrize(
    ("name", "value"),
    [("note", COMMENT), ("datacontenttype", "application/json"), ("time", 1_700_000_000), ("recordedtime", "today")],
)
def test_an_attribute_that_is_not_the_contract_s_is_refused(name: str, value: object) -> None:
    # given a record with an attribute that nobody knows, or a moment in another form
    record = canonical({**json.loads(a_record()), name: value})

    # when it is read
    # then it is no event: it would be passed on as it came, open to anybody
    assert read(record, SCORES) == Unreadable("not-an-event")


def test_what_is_refused_is_not_repeated() -> None:
    # given a record that can be opened and does not fit its type, with a comment in it
    right = an_open_record()
    for name in ("data", "subject", "id", "type", "time"):
        # when it is refused for what it holds
        came = read(changed(right, **{name: {"comment": COMMENT}}), DEFINITIONS)

        # then the refusal holds nothing of it
        assert isinstance(came, Unreadable)
        assert COMMENT not in repr(came)


# The outside


@each_kind_of_cases
@a_few
@given(data=st.data(), before=st.none() | st.integers(1, 999_999_999), sequence=st.integers(1, 999_999_999))
def test_passing_on_changes_the_number_and_nothing_else(
    kind: type[Data], data: st.DataObject, before: int | None, sequence: int
) -> None:
    # given the record of any event of a case, with a number or without one
    event, topic = data.draw(events_of(kind))._replace(sequence=before), TOPIC_OF[kind]
    record = record_of(event, CaseKey(SECRET))

    # when it is passed on with another number, without being opened
    seen = tail(record)
    assert seen is not None
    passed_on = renumbered(record, seen, sequence)

    # then it is as if it had been opened and encoded with that number
    came = read(record, topic)
    assert isinstance(came, Event)
    assert passed_on == record_of(came, CaseKey(SECRET), sequence)

    # and only the number differs
    assert json.loads(passed_on) == {**json.loads(record), "sequence": str(sequence), "sequencetype": "Integer"}
    assert (seen.type, seen.subject, seen.sequence) == (event.type, event.subject, before or 0)
    assert record.endswith(ending(kind))


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(["type", "subject", "sequence", "sequencetype", "source", "specversion", "time", "zone"]),
    value=ENDLESS,
)
@example(name="source", value='"sequence":"7","sequencetype":"Integer","source":"')
@example(name="subject", value='c","subject":"d')
@example(name="sequence", value="07")
@example(name="sequence", value="1234567890")
def test_the_tail_of_a_record_says_what_reading_it_says_or_nothing(name: str, value: object) -> None:
    # given a canonical record with anything in place of what stands in its tail, or after it
    altered = {**json.loads(a_record()), name: value}
    record = json.dumps(altered, sort_keys=True, separators=(",", ":")).encode()

    # when its tail is looked at
    seen = tail(record)

    # then it is what stands there, or there is nothing to see
    if seen is not None:
        outside = json.loads(record)
        assert (seen.type, seen.subject) == (outside["type"], outside["subject"])
        assert str(seen.sequence or "") == outside.get("sequence", "")


@settings(deadline=None, max_examples=100)
@given(record=st.binary(max_size=100) | ENDLESS.map(lambda value: json.dumps(value).encode()))
@example(record=b'"source":"')
@example(record=b'"sequence":"1","sequencetype":"Integer","source":"a"}')
def test_what_is_no_record_has_no_tail(record: bytes) -> None:
    # given any bytes
    # when their end is looked at
    # then there is nothing to see
    assert tail(record) is None


@settings(deadline=None, max_examples=100)
@given(record=st.binary(max_size=100) | ENDLESS.map(lambda value: json.dumps(value).encode()))
@example(record=b"[" * 100_000)
@example(record=b'{"type":1,"subject":1,"sequence":1}')
def test_a_glance_at_what_is_no_record_shows_nothing_and_never_raises(record: bytes) -> None:
    # given any bytes
    # when they are looked at
    # then there is nothing to see
    assert glance(record) is None


@settings(deadline=None, max_examples=100)
@given(name=st.sampled_from(["type", "subject", "sequence"]), value=ENDLESS)
@example(name="type", value=[])
@example(name="type", value={})
@example(name="subject", value=3)
@example(name="sequence", value=True)
@example(name="sequence", value=1.5)
@example(name="sequence", value="0")
@example(name="sequence", value="-3")
@example(name="sequence", value=" 3 ")
@example(name="sequence", value="1_000")
@example(name="sequence", value="٣")
def test_a_glance_sees_no_more_in_a_record_than_reading_it_would(name: str, value: object) -> None:
    # given a record with anything in place of its type, its case or its number
    record = json.dumps({**json.loads(a_record()), name: value}).encode()

    # when it is looked at
    seen = glance(record)

    # then it is a record only if it has a text for a type, a text for a case, and a number from 1 written as such
    if seen is not None:
        assert isinstance(seen.type, str)
        assert isinstance(seen.subject, str)
        assert json.loads(record)["sequence"] == str(seen.sequence)
        assert seen.sequence >= 1


# Contents compared


def test_the_content_of_an_event_is_the_same_under_every_key_and_number() -> None:
    # given an event, and what was read of it under two keys and numbers
    event = an_event(a_response())
    came = [
        decode(record_of(event, CaseKey(secret), number), SCORES, CaseKey(secret))
        for secret, number in ((SECRET, 1), (OTHER_SECRET, 2))
    ]

    # when their contents are compared
    # then they are one
    assert {content_digest(each) for each in came if isinstance(each, Event)} == {content_digest(event)}


@pytest.mark.parametrize(
    "other",
    [
        an_event(a_response(frequency=4, intensity=2)),
        an_event(a_response(None)),
        an_event(a_response())._replace(time=NOON + timedelta(milliseconds=1)),
        an_event(SessionScheduled(session=3, scheduled=NOON)),
    ],
    ids=["other answers", "no comment", "another time", "another type"],
)
def test_another_content_is_told_apart(other: Event[Data]) -> None:
    # given two events that do not say the same
    # when their contents are compared
    # then they are two
    assert content_digest(other) != content_digest(an_event(a_response()))
