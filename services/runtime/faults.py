"""What keeps a stage from going on, said without a word of what a patient wrote."""

import traceback
from collections.abc import Iterable
from typing import Final

NEW_HOME: Final = (
    "export the log (ontrack export --output DIR --keys FILE) and import it into an empty home "
    "(ontrack import DIR --keys FILE)"
)
"""What mends a home whose log contradicts itself."""

RECORDS_BACK: Final = f"restore the last backup into an empty place (ontrack restore); without one, {NEW_HOME}"
"""What mends a home whose log has lost records: whoever goes on with what is left makes that final, and hides it."""

RESTORE: Final = (
    "restore the last backup into another directory, which holds a copy of master.key and nothing else "
    "(ontrack restore FILE --data OTHER)"
)
"""What mends a directory that has lost its database."""

MEND_DAMAGE: Final = (
    f"end what runs there, and {RESTORE}; keep the damaged one: "
    "without a backup, .recover of sqlite3 may read some of it"
)
"""What mends a directory whose database is damaged."""


def rebuild(stage: str) -> str:
    """Say what mends states that are gone, or that do not go with the log."""
    return f"ontrack rebuild {stage} makes them anew from the log"


class StageStopped(Exception):
    """A partition cannot go on: what is there contradicts itself. Says why, and what mends it."""

    def __init__(self, stage: str, partition: int, why: str, mend: str) -> None:
        """Name the stage, the partition, the reason and the way out."""
        super().__init__(f"{stage} stops at partition {partition}: {why}. To mend it: {mend}.")
        self.stage = stage
        self.partition = partition


class PartitionLost(Exception):
    """Another runner of the same stage has taken this partition: it is theirs until it is opened again."""


def place_of(error: BaseException) -> str:
    """Say what kind of error came from where; its message could hold an answer, so it stays unsaid."""
    frames: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    *_, last = frames
    return f"{type(error).__name__} in {last.name}, line {last.lineno}"


def fault_of_ours(error: BaseException) -> str:
    """Tell of an error that nobody has foreseen."""
    return f"a fault of OnTrack ({place_of(error)})"
