"""`ontrack audit verify` finds what is gone from a log by the hole where it stood, or by what the stages have read."""

from contracts.topics import CASES, NOTICES, SCORES, TRACKS, partition_of
from services.runtime.database import table_of
from services.runtime.log.port import after
from tests.auditor.found import findings, kinds
from tests.auditor.tampering import Tampering
from tests.support.command import ontrack


def test_a_fact_that_is_gone_with_all_that_followed_is_found_by_the_hole_where_it_stood(
    tampering: Tampering, p1: str
) -> None:
    # given a fact that was removed, and nothing of its partition but facts
    offset, number = tampering.offsets(CASES, p1)[3], partition_of(p1)
    tampering.do(f'DELETE FROM {table_of(CASES, number)} WHERE "offset" = ?', offset)  # noqa: S608 - ours
    for topic in (SCORES, TRACKS, NOTICES):
        tampering.do(f"DELETE FROM {table_of(topic, number)}")  # noqa: S608 - ours
    tampering.do("DELETE FROM states WHERE case_id = ?", p1)
    tampering.do("DELETE FROM positions WHERE partition = ?", number)

    # when all that follows is to be made anew, then that is refused, and nothing is put on the log
    swapped = ontrack("audit", "replay", "--swap", "--data", tampering.home)
    assert swapped.exit_code == 1
    assert "The log lacks records" in swapped.told
    assert not tampering.offsets(SCORES, p1)

    # and the hole is found where it is
    holes = [each for each in findings(tampering.home) if each["finding"] == "gap"]
    assert [(each["topic"], each["partition"], each["says"]) for each in holes] == [
        (CASES.name, number, f"offset {offset} was expected before offset {after(offset)}")
    ]


def test_conclusions_that_nobody_can_conclude_again_are_found_by_the_hole_where_they_stood(
    tampering: Tampering, p1: str
) -> None:
    # given a case whose key was taken away, and a conclusion of it on each topic, with others behind it
    tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", p1)
    tampering.do("DELETE FROM states WHERE case_id = ?", p1)
    number, holes = partition_of(p1), []
    for topic in (SCORES, TRACKS, NOTICES):
        offset = tampering.offsets(topic, p1)[0]
        tampering.do(f'DELETE FROM {table_of(topic, number)} WHERE "offset" = ?', offset)  # noqa: S608 - ours
        holes.append((topic.name, number, f"offset {offset} was expected before offset {after(offset)}"))

    # when the history is verified, then each hole is found where it is
    found = [each for each in findings(tampering.home) if each["says"].startswith("offset ")]
    assert {each["finding"] for each in found} == {"gap"}
    assert [(each["topic"], each["partition"], each["says"]) for each in found] == holes


def test_a_log_of_which_the_end_was_cut_off_is_found_by_what_the_stages_have_read(
    tampering: Tampering, p1: str
) -> None:
    # given a log without its last fact and all that was concluded from it
    tampering.cut_off(p1)

    # when the history is verified
    found = findings(tampering.home)

    # then it is told how far each stage has read, and what is known of the case by what is gone
    assert kinds(found).keys() == {"log-cut", "state-ahead"}
    cuts = [each for each in found if each["finding"] == "log-cut"]
    assert [each["topic"] for each in cuts] == [CASES.name, CASES.name, SCORES.name, TRACKS.name]
    assert [each["stage"] for each in cuts] == ["register", "scoring", "not_detector", "notifier"]
    assert {each["partition"] for each in found} == {partition_of(p1)}
    first, *_ = cuts
    assert first["says"].startswith(f"register has read up to offset {after(first['offset'])}, ")
