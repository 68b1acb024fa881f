"""Whether what there is to read is read: a partition is stuck when it stays where it is although something came."""

from services.runtime.progress import PASSED_OVER, STUCK, Progress


def test_a_partition_that_stays_where_it_is_although_something_came_is_stuck() -> None:
    # given a partition at whose position something has come
    progress = Progress()
    progress.seen(0, {3: 10, 4: 7}, {3: 11, 4: 7})

    # when it is still there a while later
    progress.seen(STUCK, {3: 10, 4: 7}, {3: 15, 4: 7})

    # then it is stuck, and one where nothing came is not
    assert progress.stuck(STUCK) == [3]
    assert progress.stuck(STUCK - 1) == []
    assert progress.stuck(STUCK, after=STUCK + 1) == []


def test_a_partition_that_gets_on_is_not_stuck_however_far_its_end_is() -> None:
    progress = Progress()
    for moment in range(20):
        progress.seen(moment, {3: moment}, {3: 1_000})
    assert progress.stuck(20 + STUCK - 2) == []


def test_a_partition_with_something_in_hand_is_not_stuck() -> None:
    # given a partition that has been where it is for long
    progress = Progress()
    progress.seen(0, {3: 10}, {3: 11})

    # when its events are in hand, so that it waits for none
    progress.seen(STUCK, {}, {3: 11})

    # then it is not stuck, and not at once when it waits again
    assert progress.stuck(STUCK) == []
    progress.seen(STUCK + 1, {3: 10}, {3: 11})
    assert progress.stuck(STUCK + 1) == []


def test_a_partition_that_waits_while_others_are_in_hand_is_not_stuck_however_long_that_takes() -> None:
    # given a partition where something came, and others that are in hand for long
    progress = Progress()
    for moment in range(10):
        progress.seen(moment * STUCK, {3: 10}, {3: 11}, turns=moment, is_free=False)
        assert progress.stuck(moment * STUCK) == []

    # when nothing is in hand any more, and nothing comes
    progress.seen(10 * STUCK, {3: 10}, {3: 11}, turns=9)
    assert progress.stuck(10 * STUCK) == []
    progress.seen(11 * STUCK, {3: 10}, {3: 11}, turns=9)

    # then it is stuck
    assert progress.stuck(11 * STUCK) == [3]


def test_a_partition_is_stuck_although_something_came_to_another_one_meanwhile() -> None:
    # given two partitions where something came
    progress = Progress()
    progress.seen(0, {3: 10, 4: 7}, {3: 11, 4: 9}, turns=1)

    # when one of them gets on, and the other does not
    progress.seen(STUCK, {3: 10, 4: 8}, {3: 11, 4: 9}, turns=2)

    # then that is stuck
    assert progress.stuck(STUCK) == [3]


def test_a_partition_that_is_passed_over_again_and_again_is_stuck_although_something_is_always_in_hand() -> None:
    # given a partition where something came, and others that are always in hand
    progress = Progress()
    progress.seen(0, {3: 10}, {3: 11}, turns=7, is_free=False)

    # when these are read so often that its events cannot wait behind theirs
    progress.seen(STUCK, {3: 10}, {3: 11}, turns=7 + PASSED_OVER - 1, is_free=False)
    assert progress.stuck(STUCK) == []
    progress.seen(STUCK, {3: 10}, {3: 11}, turns=7 + PASSED_OVER, is_free=False)

    # then it is stuck
    assert progress.stuck(STUCK) == [3]
    assert progress.stuck(STUCK - 1) == []


def test_a_partition_that_does_not_get_on_stands_still_whatever_is_in_hand() -> None:
    # given a partition where something came, and one that gets on, while something is always in hand
    progress = Progress()
    for moment in range(4):
        progress.seen(moment, {3: 10, 4: moment}, {3: 11, 4: 9}, is_free=False)

    # when somebody asks, then the first stands still from when it was seen there
    assert progress.still(3, after=3) == [3]
    assert progress.still(3, after=4) == []

    # and no more when it has got on, or nothing is left to be read
    progress.seen(4, {3: 11, 4: 9}, {3: 11, 4: 9}, is_free=False)
    assert progress.still(9, after=3) == []
