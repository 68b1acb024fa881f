"""What was derived, laid beside what stands there: whatever that is, it is compared, and what differs is found."""

import pytest

from contracts.topics import NOTICES, SCORES, TRACKS, Topic, partition_of
from services.auditor.beside import Beside
from services.auditor.domain.findings import Findings
from services.runtime.log.port import Record, StoredRecord
from tests.auditor.tampering import Tampering


@pytest.mark.parametrize("topic", [SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_every_bit_that_was_flipped_is_found(tampering: Tampering, p1: str, topic: Topic) -> None:
    # given what follows from the facts of a case first
    sound = tampering.record(topic, p1, 0)
    derived = Record(p1, sound, tampering.event(topic, p1, 0))
    for bit in range(8 * len(sound)):
        # when the same stands there, but for one bit
        value = bytearray(sound)
        value[bit // 8] ^= 1 << bit % 8
        found = Findings()
        beside = Beside(topic, partition_of(p1), found, compares_bytes=True)
        beside.derive([derived])
        beside.meet([StoredRecord(0, p1, bytes(value))], tampering.keys)
        beside.end(before=1, offset=1, published=None)

        # then that is found
        assert found.counts.total(), bit
