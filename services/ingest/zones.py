"""Where clinics are, by the clock: a time of day in a protocol is one of the clinic's."""

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

DENMARK: Final = ZoneInfo("Europe/Copenhagen")


class Zones:
    """The time zone of every clinic: the region's, unless the directory says another one."""

    def __init__(self, region: ZoneInfo = DENMARK) -> None:
        """Know the region's."""
        self._region = region
        self._clinics: Mapping[str, ZoneInfo] = {}

    def of(self, clinic: str | None) -> ZoneInfo:
        """Give the zone of a clinic."""
        return self._clinics.get(clinic or "", self._region)

    def learn(self, clinics: Mapping[str, ZoneInfo]) -> set[str]:
        """Know the clinics that have one of their own, and no others; give those that had another one so far."""
        before, self._clinics = self._clinics, dict(clinics)
        return {name for name in clinics.keys() | before.keys() if clinics.get(name) != before.get(name)}
