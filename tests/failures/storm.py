"""A region that works while things go wrong, and what must hold when they are over."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from contracts.topics import CASES, SCORES, Topic
from services.distributed import DistributedHome
from services.runtime.unavailable import Unavailable
from tests.failures.seeds import Chance
from tests.support.command import PATIENCE
from tests.support.contents import Contents, same
from tests.support.episodes import episodes_of_all
from tests.support.region import Region, wait_until

SESSION_TIMEOUT: Final = 10.0
"""Seconds after which the group takes the partitions of a member that is silent."""


@dataclass(frozen=True)
class Clinic:
    """What is imported in a storm, and what must come of it.

    files: the responses of some weeks each, in order: so every case comes again and again
    expected: what an embedded home holds of it
    """

    files: Sequence[Path]
    master_key: Path
    expected: Contents

    @property
    def facts(self) -> int:
        """How many facts there are."""
        return sum(map(len, self.expected.histories[CASES.name].values()))


class Storm:
    """A region, an import that goes on until it has succeeded, and the services."""

    def __init__(self, region: Region, clinic: Clinic, seed: int) -> None:
        """Let `clinic` be imported into `region`. seed: of what happens by chance."""
        self.region = region
        self.clinic = clinic
        self.chance = Chance(seed)
        self.is_over = Event()
        self._failed: list[str] = []
        self._import = Thread(target=self._import_until_done, daemon=True)

    def begin(self) -> None:
        """Start the import."""
        self._import.start()

    def _import_until_done(self) -> None:
        """Import one file after the other."""
        all(self._imported(file) for file in self.clinic.files)

    def _imported(self, file: Path) -> bool:
        """Give the same command again until it succeeds, as it tells whoever gives it to do."""
        while not self.is_over.is_set():
            try:
                ran = self.region.ontrack("import", file, "--enrol")
            except subprocess.TimeoutExpired:
                self._failed.append(f"an import has not ended in {PATIENCE:.0f} s")
                break
            if ran.exit_code == 0:
                return True
            if "Nothing is lost" not in ran.told:
                self._failed.append(ran.told)
                break
        return False

    def wait_for(self, share: float, topic: Topic = SCORES) -> None:
        """Wait until a topic has a share of the events that it will have."""
        expected = sum(map(len, self.clinic.expected.histories[topic.name].values()))

        def is_written() -> bool:
            assert self._failed == []
            return self.events(topic) >= share * expected

        wait_until(is_written, f"{share:.0%} of {topic.name} written")

    def wait(self, seconds: float) -> None:
        """Wait until some time has gone by: only for what others wait for by the clock."""
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > seconds, f"{seconds} s gone by")

    def events(self, topic: Topic) -> int:
        """Count the events of a topic; 0 while that cannot be told."""

        async def count(home: DistributedHome) -> int:
            return sum([await home.log.end(topic, partition) for partition in range(topic.partitions)])

        try:
            return self.region.asked(count)
        except Unavailable:
            return 0

    def ends_well(self, within: float = PATIENCE) -> Contents:
        """Wait until everything has been processed, and compare: with what an embedded home made of the same facts."""
        wait_until(self._is_imported, "everything imported", within)
        assert self._failed == []
        wait_until(self._is_processed, "everything processed", within)
        found = self.region.contents()
        assert same(found, self.clinic.expected)
        assert episodes_of_all(found.histories) > 0, "nobody was not on track, so no report was looked at"
        assert self.halted() == 0
        return found

    def _is_imported(self) -> bool:
        """Tell whether the import has ended."""
        self._require_no_gap()
        return not self._import.is_alive()

    def _is_processed(self) -> bool:
        """Tell whether nothing is left."""
        self._require_no_gap()
        return self.left() == 0

    def _require_no_gap(self) -> None:
        """Fail at once if a service has found that something is missing: it waits for that for ever."""
        running = [process for process in self.region.processes if not process.has_ended]
        gaps = [why for process in running for why in process.why_not("alive") if "has a gap" in why]
        assert not gaps, gaps[0]

    def left(self) -> int:
        """Count the events that the services have not processed yet; 1 while that cannot be told."""
        try:
            return self.region.asked(lambda home: home.left())
        except Unavailable:
            return 1

    def halted(self) -> int:
        """Count the cases that cannot go on."""

        async def count(home: DistributedHome) -> int:
            return len(await home.halted())

        return self.region.asked(count)


@contextmanager
def storm(region: Region, clinic: Clinic, seed: int) -> Iterator[Storm]:
    """Provision a region that names its cases as the clinic does."""
    region.master_key.write_bytes(clinic.master_key.read_bytes())
    region.master_key.chmod(0o600)
    region.provision()
    weather = Storm(region, clinic, seed)
    try:
        yield weather
    finally:
        weather.is_over.set()
