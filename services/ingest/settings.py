"""What is set from outside for `ontrack serve ingest`."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from services.runtime.addresses import LAST_PORT, is_loopback
from services.runtime.settings import Expected, ServiceSettings, YesNo, require_certificate


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
    api_certificate_file: Annotated[
        Path | None,
        Field(description="The certificate that the API shows, with those that vouch for it; then it speaks TLS."),
        Expected("a PEM file with certificates"),
    ] = None
    api_key_file: Annotated[
        Path | None,
        Field(description="The key of that certificate, without a password.", validate_default=True),
        Expected("a PEM file with the key of ONTRACK_API_CERTIFICATE_FILE"),
    ] = None
    api_plain: Annotated[
        YesNo,
        Field(description="Whether other machines may ask without TLS, since it ends before.", validate_default=True),
    ] = False

    @field_validator("api_key_file")
    @classmethod
    def _opens_its_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("api_certificate_file")
        if (certificate is None) != (key is None):
            raise ValueError("and ONTRACK_API_CERTIFICATE_FILE belong together: both were expected, or none")
        if certificate is not None and key is not None:
            require_certificate(certificate, key)
        return key

    @field_validator("api_plain")
    @classmethod
    def _is_a_choice(cls, plain: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's
        is_open = not is_loopback(str(info.data.get("api_host", "localhost")))
        if is_open and not plain and info.data.get("api_certificate_file") is None:
            raise ValueError(
                "is false, and ONTRACK_API_HOST lets others ask: ONTRACK_API_CERTIFICATE_FILE was expected"
            )
        return plain

    def api_tls(self) -> ssl.SSLContext | None:
        """Give how connections to the API are encrypted; None: not at all."""
        if self.api_certificate_file is None:
            return None
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.api_certificate_file, self.api_key_file)
        return tls
