"""The files of a listener with TLS."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tls:
    """PEM files: a certificate with those that vouch for it, and its key in PKCS #8 without a password.

    With an authority, clients must show a certificate of it.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None
