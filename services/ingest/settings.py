"""What is set from outside for `ontrack serve ingest`."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field

from services.runtime.settings import LAST_PORT, Expected, ServiceSettings


def _require_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError
    return name


class IngestSettings(ServiceSettings):
    """The settings of this service."""

    tokens_file: Annotated[
        Path,
        Field(description="The file of tokens by which clients are let in; `ontrack token` writes it."),
        Expected("the path of a file"),
    ]
    api_host: Annotated[
        str,
        Field(min_length=1, description="Where the API listens; 0.0.0.0 lets everybody ask."),
        Expected("a host name or an address"),
    ] = "127.0.0.1"
    api_port: Annotated[
        int,
        Field(ge=0, le=LAST_PORT, description="At which port; 0 takes any that is free, and the log says which."),
        Expected(f"a whole number from 0 to {LAST_PORT}"),
    ] = 8000
    time_zone: Annotated[
        str,
        AfterValidator(_require_zone),
        Field(description="By whose clock the region's clinics go, unless one says otherwise."),
        Expected("a time zone such as Europe/Copenhagen"),
    ] = "Europe/Copenhagen"

    def zone(self) -> ZoneInfo:
        """Give the zone."""
        return ZoneInfo(self.time_zone)
