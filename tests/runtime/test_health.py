"""How a service says that it is."""

from services.runtime.health import Health


class Seconds:
    """Seconds that are counted by hand."""

    passed = 0.0

    def __call__(self) -> float:
        return self.passed


def test_what_lasts_for_a_while_is_over_then_unless_it_is_said_again() -> None:
    # given something that is wrong for a while, and something that is wrong until somebody says that it is not
    seconds = Seconds()
    health = Health(waits_for=[], clock=seconds)
    health.set("requests", "the disk is full", is_elsewhere=True, lasts=60)
    health.set("stages", "the log has a gap")

    # when it is said again, and then no more
    seconds.passed = 59
    health.set("requests", "the disk is full", is_elsewhere=True, lasts=60)
    told = []
    for seconds.passed in (60, 118, 119):
        told.append(health.ready())

    # then it is told as long as it lasts, to whoever asks whether it is ready; the other one to everybody
    both = ["stages: the log has a gap", "requests: the disk is full"]
    assert told == [both, both, both[:1]]
    assert health.alive() == both[:1]
