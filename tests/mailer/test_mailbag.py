"""What is to be sent of a case: requested minus sent and failed, whatever comes in between."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.event import Data, Event, name_based_id
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from services.mailer import post
from services.mailer.domain.delivery import (
    FIRST_RETRY,
    LAST_RETRY,
    TRIED_FOR,
    Delivery,
    begun,
    fact_of,
    given_back,
    not_there,
    put_off,
    settled,
    still_nobody,
    tried,
    without_recipient,
)
from services.mailer.domain.mailbag import AT_ONCE, NEWS_FOR, Mailbag, Mailbags, Notice
from services.runtime.settings import RegionSettings

NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
REPORT: Final = name_based_id(b"", "report")
ONE, OTHER = (name_based_id(b"", "notice", str(number)) for number in range(2))


def event(event_id: str, data: Data, *, happened: datetime = NOW, recorded: datetime | None = None) -> Event[Data]:
    recorded = recorded or happened
    return Event(event_id, "urn:test", "case", happened, recorded, event_id, None, data, sequence=1)


def request(notice_id: str = ONE, **times: datetime) -> Event[Data]:
    data = NoticeRequested(report=REPORT, kind="not", reason="issued", to="therapists", clinic="north", group="mondays")
    return event(notice_id, data, **times)


def sent(recipient: str, *recipients: str, notice: str = ONE) -> Event[Data]:
    return event(f"{notice}-{recipient}", NoticeSent(notice=notice, recipient=recipient, recipients=recipients))


def failed(recipient: str | None, *recipients: str, notice: str = ONE) -> Event[Data]:
    data = NoticeFailed(notice=notice, recipient=recipient, recipients=recipients, attempts=3, reason="gave-up")
    return event(f"{notice}-{recipient}", data)


def bag(events: Iterable[Event[Data]]) -> Mailbag:
    stage = Mailbags()
    state = stage.initial("case")
    for each in events:
        state, said = stage.step(state, each)
        assert not said
    return state


def waiting(*events: Event[Data]) -> Sequence[Notice]:
    return list(bag(events).notices.values())


def test_a_requested_notice_is_to_be_sent_at_once() -> None:
    later = NOW + timedelta(minutes=5)
    state = bag([request(recorded=later)])
    assert state.notices == {ONE: Notice(REPORT, "therapists", NOW, later)}
    assert Mailbags().due(state) == AT_ONCE
    assert Mailbags().due(bag([])) is None


def test_a_notice_is_done_when_each_of_its_recipients_has_an_outcome() -> None:
    (left,) = waiting(request(), sent("anna", "anna", "bo"))
    assert (left.recipients, left.settled) == (("anna", "bo"), ("anna",))
    assert not waiting(request(), sent("anna", "anna", "bo"), failed("bo", "anna", "bo"))


def test_a_notice_for_nobody_is_done_at_once() -> None:
    assert not waiting(request(), failed(None))
    assert not waiting(request(), sent("anna", "anna", "bo"), failed(None))


def test_what_came_of_another_notice_changes_nothing() -> None:
    assert waiting(request(), sent("anna", "anna", notice=OTHER)) == waiting(request())


def test_history_that_is_imported_is_told_to_nobody() -> None:
    assert waiting(request(recorded=NOW + NEWS_FOR))
    assert not waiting(request(recorded=NOW + NEWS_FOR + timedelta(milliseconds=1)))


@given(st.permutations([sent(each, "anna", "bo", "carl") for each in ("anna", "bo", "carl")]), st.integers(0, 3))
def test_what_is_left_is_requested_minus_settled_in_any_order(outcomes: list[Event[Data]], number: int) -> None:
    left = waiting(request(), *outcomes[:number])
    done = {each.data.recipient for each in outcomes[:number] if isinstance(each.data, NoticeSent)}
    assert ({"anna", "bo", "carl"} == done) == (not left)
    assert all(set(each.settled) == done for each in left)


# Deliveries


def delivery(*recipients: str) -> Delivery:
    return begun("case", ONE, recipients or ["anna"], NOW)[0]


def test_each_recipient_has_a_delivery_of_their_own_that_knows_the_others() -> None:
    deliveries = begun("case", ONE, ["bo", "anna", "bo"], NOW)
    assert [each.recipient for each in deliveries] == ["anna", "bo"]
    assert {each.recipients for each in deliveries} == {("anna", "bo")}
    assert len({each.fact_id for each in deliveries}) == 2


def test_a_try_belongs_to_whoever_began_it_for_longer_than_it_can_take() -> None:
    longest_write = next(
        field.le for field in RegionSettings.model_fields["mongodb_timeout"].metadata if hasattr(field, "le")
    )
    steps = post.STEP_WITHIN * 2 + post.TAKES_WITHIN
    assert tried(delivery(), NOW).next_try - NOW > timedelta(seconds=longest_write + steps + 60)


def test_tries_are_put_off_twice_as_long_each_time_up_to_four_hours() -> None:
    tries, waits = delivery(), []
    for number in range(1, 11):
        tries = put_off(tried(tries, NOW), NOW, "smtp-450")
        assert (tries.tries, tries.reason) == (number, "smtp-450")
        waits.append((tries.next_try - NOW) / FIRST_RETRY)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]
    assert LAST_RETRY == 120 * FIRST_RETRY


def test_tries_end_after_four_days_and_the_last_answer_is_kept() -> None:
    tries, now = put_off(tried(delivery(), NOW), NOW, "smtp-450"), NOW
    while tries.outcome is None:
        now = tries.next_try
        tries = put_off(tried(tries, now), now, "smtp-450")
    assert TRIED_FOR <= now - NOW < TRIED_FOR + LAST_RETRY
    assert (tries.outcome, tries.reason) == ("failed", "gave-up:smtp-450")


def test_every_change_has_a_revision_of_its_own() -> None:
    first = delivery()
    counted = tried(first, NOW)
    back = given_back(first, counted, "sender-refused", NOW + timedelta(minutes=1))
    assert [each.revision for each in (first, counted, back, put_off(counted, NOW, "x"))] == [0, 1, 2, 2]
    assert (back.tries, back.next_try, back.reason) == (first.tries, NOW + timedelta(minutes=1), "sender-refused")


def test_whatever_came_of_a_delivery_is_one_fact() -> None:
    later = NOW + timedelta(minutes=1)
    counted = tried(delivery(), NOW)
    well, ill = (fact_of(settled(counted, *each), later) for each in (("sent", later), ("failed", later, "smtp-550")))
    assert well.id == ill.id == counted.fact_id
    assert well.data == NoticeSent(notice=ONE, recipient="anna", recipients=("anna",), attempts=1)
    assert ill.data == NoticeFailed(notice=ONE, recipient="anna", recipients=("anna",), attempts=1, reason="smtp-550")
    assert (well.time, well.subject) == (later, "case")


def test_for_four_days_it_is_looked_for_somebody_to_whom_a_notice_can_go() -> None:
    nobody = without_recipient("case", ONE, NOW)
    while (nobody := still_nobody(nobody, nobody.next_try)).outcome is None:
        assert nobody.next_try <= NOW + TRIED_FOR
    assert nobody.at == NOW + TRIED_FOR
    assert fact_of(nobody, nobody.at).data == NoticeFailed(notice=ONE, recipient=None, attempts=0, reason="nobody")


def test_for_four_days_it_is_looked_for_an_address() -> None:
    (waits,) = begun("case", ONE, ["anna"], NOW)
    while (waits := not_there(waits, waits.next_try, "no-address")).outcome is None:
        assert (waits.tries, waits.reason) == (0, "no-address")
        assert waits.next_try <= NOW + TRIED_FOR
    assert (waits.at, waits.reason) == (NOW + TRIED_FOR, "gave-up:no-address")
