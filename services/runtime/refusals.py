"""Why a home is not opened. Each says what to do."""

from collections.abc import Sequence


class NotAHome(Exception):
    """What is there is no home of OnTrack, or one of another version."""


class DefinitionUnfit(NotAHome):
    """What a log says of itself, or of a definition, is not what it says that it is.

    offset: where that stands; event: its id; found: the reference by which a definition is named there
    expected: the one that its content has; both None where it cannot be read at all
    """

    def __init__(
        self,
        says: str,
        offset: int,
        event: str | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        """Say what is wrong."""
        super().__init__(says)
        self.offset = offset
        self.event = event
        self.expected = expected
        self.found = found


class LogEmpty(NotAHome):
    """The log does not say which one it is: nothing stands there, not even its founding."""


class NotPermitted(Exception):
    """The system does not let this user open a file. Says who that is, and whose it is."""


class TopicsUnfit(Exception):
    """Topics are missing, or other than the table of topics says. Says which, and what was expected."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Name every fault."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class BrokersMissing(TopicsUnfit):
    """Topics cannot be made, because there are fewer brokers than copies are asked for."""


class SettingsWrong(Exception):
    """Settings are missing or wrong. Names each, and what was expected; never what stands there."""


class BackupUnusable(Exception):
    """A backup is not as it was made, or is none, or is one of another master key or version. Says which."""


class PlaceInUse(Exception):
    """A backup goes into an empty place, and this one holds something. Says what, and what to do."""
