"""What is checked of the files by which a region's servers and we know each other: how long their certificates hold."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from services.cli.doctor.checked import Check, Checked, certificate, looked
from services.runtime.settings import RegionSettings

_RENEW_AUTHORITY: Final = (
    "from then on nobody trusts the servers that it vouches for: make another one before; deploy/README.md says how"
)
_RENEW_OURS: Final = "from then on the brokers do not let its owner in: replace it before; deploy/README.md says how"


async def of_files(settings: RegionSettings) -> AsyncIterator[Checked]:
    """Look how long the certificates hold that stand in our own files: who vouches for servers, and who we are."""
    named = {settings.kafka_ca_file: _RENEW_AUTHORITY, settings.mongodb_ca_file: _RENEW_AUTHORITY}
    for file, do in {**named, settings.kafka_certificate_file: _RENEW_OURS}.items():
        if file is not None:
            yield await looked(Check(f"file {file}", partial(_file, file, do)))


async def _file(file: Path, do: str) -> Checked:
    """Look at the certificate of a file that expires first."""
    expires = min(each.not_valid_after_utc for each in load_pem_x509_certificates(file.read_bytes()))
    return certificate(f"file {file}", expires, datetime.now(UTC), do)
