"""What is set from outside for `ontrack serve mailer`, and for the mail of `ontrack up`."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from services.mailer.domain.letter import Letterhead
from services.mailer.post import MailServer
from services.runtime.addresses import LAST_PORT, is_this_machine, require_host, server_of
from services.runtime.roster.port import ADDRESS
from services.runtime.settings import (
    Expected,
    Secret,
    ServiceSettings,
    Settings,
    Text,
    require_certificates,
    require_with_user,
    revealed,
)

_URL: Final = r"^https?://[^\s@?#]+$"


class MailServerSettings(Settings):
    """By which server mail goes out."""

    smtp_host: Annotated[Text, Field(description="The mail server."), Expected("a host name or an address")]
    smtp_port: Annotated[
        int,
        Field(ge=1, le=LAST_PORT, description="At which port it takes mail."),
        Expected(f"a whole number from 1 to {LAST_PORT}"),
    ] = 587
    smtp_tls: Annotated[
        Literal["starttls", "implicit"],
        Field(description="How the connection is encrypted: on asking, or from the start. There is no third way."),
        Expected("starttls or implicit"),
    ] = "starttls"
    smtp_ca_file: Annotated[
        Path | None,
        Field(description="Who vouches for the mail server; without it, whom the system trusts."),
        Expected("a PEM file with certificates"),
    ] = None
    smtp_username: Annotated[
        Text | None, Field(description="Who one is to the mail server, if it asks."), Expected("a name")
    ] = None
    smtp_password: Annotated[
        Secret | None,
        Field(description="The password of that user; best in a file.", validate_default=True),
        Expected("a password"),
    ] = None
    _is_a_host = field_validator("smtp_host")(require_host)
    _vouches_for_mail = field_validator("smtp_ca_file")(require_certificates)
    _belongs_to_a_user = field_validator("smtp_password")(require_with_user)

    def mail_server(self) -> MailServer:
        """Give how the mail server is reached."""
        return MailServer(
            host=self.smtp_host,
            port=self.smtp_port,
            tls=self.smtp_tls,
            ca_file=self.smtp_ca_file,
            username=self.smtp_username,
            password=revealed(self.smtp_password),
        )


class MailSettings(MailServerSettings):
    """What stands in every mail besides."""

    mail_from: Annotated[
        str,
        Field(pattern=ADDRESS, max_length=254, description="The sender of every mail."),
        Expected("an address such as ontrack@clinic.example"),
    ]
    portal_url: Annotated[
        str,
        Field(pattern=_URL, description="Where therapists read reports: the links in mails begin so."),
        Expected("a URL such as https://ontrack.clinic.example"),
    ]

    def letterhead(self) -> Letterhead:
        """Give what is the same in every mail."""
        return Letterhead(self.mail_from, self.portal_url)


class MailerSettings(MailSettings, ServiceSettings):
    """The settings of this service."""

    ingest_url: Annotated[
        str,
        Field(pattern=_URL, description="Where ingest's API is, for what came of mails to be recorded."),
        Expected("https://HOST:PORT; http:// to this machine only"),
    ]
    ingest_ca_file: Annotated[
        Path | None,
        Field(description="Who vouches for ingest; without it, whom the system trusts."),
        Expected("a PEM file with certificates"),
    ] = None
    ingest_token: Annotated[
        Secret, Field(description="A token with the role mailer; best in a file."), Expected("a token")
    ]

    _vouches_for_ingest = field_validator("ingest_ca_file")(require_certificates)

    @field_validator("ingest_url")
    @classmethod
    def _token_stays_secret(cls, url: str) -> str:
        server_of(url)
        if url.startswith("http://") and not is_this_machine(url):
            raise ValueError("is sent a token, so https:// was expected, or this machine")
        return url
