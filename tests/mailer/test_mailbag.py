"""What is to be sent of a case: requested minus sent and failed, whatever comes in between."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.event import Data, Event, name_based_id
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from services.mailer.domain.delivery import (
    FIRST_RETRY,
    LAST_RETRY,
    TRIED_FOR,
    begun,
    fact_of,
    is_over,
    settled,
    tried,
    undeliverable,
)
from services.mailer.domain.mailbag import NEWS_FOR, Mailbag, Mailbags, Notice

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


def test_a_requested_notice_is_to_be_sent_from_then_on() -> None:
    later = NOW + timedelta(minutes=5)
    state = bag([request(recorded=later)])
    assert state.notices == {ONE: Notice(REPORT, "therapists", "north", "mondays", NOW, later)}
    assert Mailbags().due(state) == later


def test_the_earliest_of_several_says_when_to_look() -> None:
    state = bag([request(OTHER, recorded=NOW + timedelta(hours=1)), request()])
    assert Mailbags().due(state) == NOW
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


def test_each_recipient_has_a_delivery_of_their_own_that_knows_the_others() -> None:
    deliveries = begun("case", ONE, ["bo", "anna", "bo"], NOW)
    assert [each.recipient for each in deliveries] == ["anna", "bo"]
    assert {each.recipients for each in deliveries} == {("anna", "bo")}
    assert len({each.fact_id for each in deliveries}) == 2


def test_tries_are_put_off_twice_as_long_each_time_up_to_an_hour() -> None:
    (delivery,) = begun("case", ONE, ["anna"], NOW)
    waits = []
    for number in range(1, 10):
        delivery = tried(delivery, NOW)
        assert delivery.tries == number
        waits.append((delivery.next_try - NOW) / FIRST_RETRY)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert LAST_RETRY == 30 * FIRST_RETRY


def test_tries_end_after_four_days() -> None:
    (delivery,) = begun("case", ONE, ["anna"], NOW)
    assert not is_over(delivery, NOW + TRIED_FOR - timedelta(seconds=1))
    assert is_over(delivery, NOW + TRIED_FOR)


def test_whatever_came_of_a_delivery_is_one_fact() -> None:
    (delivery,) = begun("case", ONE, ["anna"], NOW)
    later = NOW + timedelta(minutes=1)
    well, ill = (
        fact_of(settled(tried(delivery, NOW), *how)) for how in (("sent", later), ("failed", later, "smtp-550"))
    )
    assert well.id == ill.id == delivery.fact_id
    assert well.data == NoticeSent(notice=ONE, recipient="anna", recipients=("anna",), attempts=1)
    assert ill.data == NoticeFailed(notice=ONE, recipient="anna", recipients=("anna",), attempts=1, reason="smtp-550")
    assert (well.time, well.subject) == (later, "case")


def test_a_notice_waits_four_days_for_somebody_to_whom_it_can_go() -> None:
    notice = Notice(REPORT, "therapists", "north", "mondays", NOW, NOW)
    assert undeliverable("case", ONE, notice, NOW + TRIED_FOR - timedelta(seconds=1)) is None
    ended = undeliverable("case", ONE, notice, NOW + TRIED_FOR)
    assert ended is not None
    assert fact_of(ended).data == NoticeFailed(notice=ONE, recipient=None, attempts=0, reason="nobody")


def test_a_notice_of_what_happened_long_ago_goes_to_nobody_any_more() -> None:
    notice = Notice(REPORT, "therapists", "north", "mondays", NOW, NOW + timedelta(days=29))
    assert undeliverable("case", ONE, notice, NOW + NEWS_FOR) is None
    ended = undeliverable("case", ONE, notice, NOW + NEWS_FOR + timedelta(seconds=1))
    assert ended is not None
    assert ended.reason == "too-late"
