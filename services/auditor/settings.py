"""What is set from outside for `ontrack serve auditor`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import DirectoryPath, Field

from services.auditor.sealing import RECORDS, TIME, Rhythm
from services.runtime.settings import Expected, ServiceSettings


class AuditorSettings(ServiceSettings):
    """The settings of this service."""

    seal_key_file: Annotated[
        Path,
        Field(description="The private key that checkpoints are signed with; `ontrack audit key` makes it."),
        Expected("the path of a file"),
    ]
    seal_directory: Annotated[
        DirectoryPath,
        Field(description="Where each checkpoint is kept besides, for somebody else to fetch."),
        Expected("a directory that is there"),
    ]
    seal_records: Annotated[
        int,
        Field(ge=1, description="After so many new records a checkpoint is signed."),
        Expected("a whole number from 1 on"),
    ] = RECORDS
    seal_minutes: Annotated[
        float,
        Field(gt=0, description="After so many minutes too, if anything was recorded."),
        Expected("a number above 0"),
    ] = TIME.total_seconds() / 60

    def rhythm(self) -> Rhythm:
        """Give when a checkpoint is signed."""
        return Rhythm(self.seal_records, timedelta(minutes=self.seal_minutes))
