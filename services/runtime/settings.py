"""What is set from outside: each setting with what it has to be."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.addresses import LAST_PORT, is_this_machine
from services.runtime.brokers import Brokers
from services.runtime.documents import AT_ONCE, Server, require_address
from services.runtime.runner import DEAD_LETTERS_AT_MOST

PREFIX: Final = "ONTRACK_"
SECRETS: Final = "ONTRACK_SECRETS"
"""Names the folder with a file for each secret, called as its setting in small letters: ontrack_kafka_password."""

_OPTION: Final = r"(?i:replicaSet|authSource)=[^@&;=\s]+"
"""What an address of a database may say besides: any other option could undo what is promised of reads and writes."""

_DATABASE_URL: Final = rf"^mongodb://[^@/?\s]+(/[^@?\s]*(\?{_OPTION}(&{_OPTION})*)?)?$"

_NO_PASSWORD: Final = ""
"""A key that is locked is not taken: nobody is there to be asked."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a setting has to be, for whoever has set it to something else."""

    what: str


def _require_servers(text: str) -> str:
    """Make sure that a text is HOST:PORT, several separated by commas. Raises ValueError."""
    for server in text.split(","):
        host, _, port = server.rpartition(":")
        if not host or host.split() != [host] or not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
            raise ValueError
    return text


YesNo = Annotated[bool, Expected("true or false")]
Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]


def require_certificates(file: Path | None, info: ValidationInfo) -> Path | None:
    """Make sure that a file `NAME_ca_file` has certificates, and that there is TLS at all. Raises ValueError."""
    tls = f"{_server(info)}_tls"
    if file is not None:
        if info.data.get(tls) is False:
            raise ValueError(f"is set, so {variable(tls)}=true was expected")
        try:
            ssl.create_default_context(cafile=file)
        except OSError:
            raise ValueError from None
    return file


def require_with_user(password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """Make sure that `NAME_password` is set if `NAME_username` is, and only then. Raises ValueError."""
    name = f"{_server(info)}_username"
    if name in info.data and (info.data[name] is None) != (password is None):
        where = f"(or the file {variable(str(info.field_name)).lower()} in the folder of {SECRETS})"
        raise ValueError(f"{where} and {variable(name)} belong together: both were expected, or none")
    return password


class Settings(BaseSettings):
    """What is set from outside."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )


def _require_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError
    return name


class RegionSettings(Settings):
    """Where the servers of a region are, how one proves to them who one is, and by whose clock it goes."""

    time_zone: Annotated[
        str,
        AfterValidator(_require_zone),
        Field(description="By whose clock those clinics go that say no other, and by which commands tell moments."),
        Expected("a time zone such as Europe/Copenhagen"),
    ] = "Europe/Copenhagen"
    kafka_servers: Annotated[
        str,
        AfterValidator(_require_servers),
        Field(description="Where some of the brokers are."),
        Expected("HOST:PORT, several separated by commas,"),
    ]
    kafka_prefix: Annotated[
        str,
        Field(pattern=r"^[a-zA-Z0-9._-]{0,100}$", description="Stands before the name of every topic and group."),
        Expected("a text of at most 100 letters, digits, '.', '_' and '-'"),
    ] = ""
    kafka_tls: Annotated[YesNo, Field(description="Whether connections to the brokers are encrypted.")] = False
    kafka_ca_file: Annotated[
        Path | None,
        Field(description="Who vouches for the brokers; without it, whom the system trusts."),
        Expected("a PEM file with certificates"),
    ] = None
    kafka_certificate_file: Annotated[
        Path | None,
        Field(
            description="Who one is to the brokers, where that is not a user: a certificate and its key in one file."
        ),
        Expected("a PEM file with a certificate and its key"),
    ] = None
    kafka_username: Annotated[
        Text | None, Field(description="Who one is to the brokers (SASL/SCRAM-SHA-512)."), Expected("a name")
    ] = None
    kafka_password: Annotated[
        Secret | None,
        Field(description="The password of that user; best in a file.", validate_default=True),
        Expected("a password"),
    ] = None

    mongodb_url: Annotated[
        str,
        AfterValidator(require_address),
        Field(pattern=_DATABASE_URL, description="Where the database server is."),
        Expected("mongodb://HOST:PORT/, without name and password, and with no options but replicaSet and authSource,"),
    ]
    mongodb_database: Annotated[
        str,
        Field(pattern=r"^[a-zA-Z0-9_-]{1,60}$", description="The name of the database."),
        Expected("a name of at most 60 letters, digits, '_' and '-'"),
    ] = "ontrack"
    mongodb_tls: Annotated[YesNo, Field(description="Whether connections to the database are encrypted.")] = False
    mongodb_ca_file: Annotated[
        Path | None,
        Field(description="Who vouches for the database server; without it, whom the system trusts."),
        Expected("a PEM file with certificates"),
    ] = None
    mongodb_username: Annotated[Text | None, Field(description="Who one is to the database."), Expected("a name")] = (
        None
    )
    mongodb_password: Annotated[
        Secret | None,
        Field(description="The password of that user; best in a file.", validate_default=True),
        Expected("a password"),
    ] = None
    mongodb_mechanism: Annotated[
        Literal["SCRAM-SHA-256", "PLAIN"],
        Field(description="How the password is shown. FerretDB takes PLAIN only, which needs TLS to another machine."),
        Expected("SCRAM-SHA-256 or PLAIN"),
    ] = "SCRAM-SHA-256"
    mongodb_timeout: Annotated[
        float,
        Field(gt=0, le=300, description="Seconds within which the database answers one operation."),
        Expected("a number above 0, at most 300,"),
    ] = 20.0
    mongodb_at_once: Annotated[
        int,
        Field(ge=1, le=AT_ONCE, description="Conditional writes in one command. FerretDB bears 10."),
        Expected(f"a whole number from 1 to {AT_ONCE}"),
    ] = AT_ONCE

    master_key_file: Annotated[
        Path,
        Field(description="Where the master key is; a file that only its owner may read."),
        Expected("a file"),
    ]

    _vouch = field_validator("kafka_ca_file", "mongodb_ca_file")(require_certificates)
    _belong_to_a_user = field_validator("kafka_password", "mongodb_password")(require_with_user)

    @field_validator("kafka_certificate_file")
    @classmethod
    def _is_shown(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None:
            if info.data.get("kafka_tls") is False:
                raise ValueError("is set, so ONTRACK_KAFKA_TLS=true was expected")
            require_certificate(file, file)
        return file

    @field_validator("kafka_username")
    @classmethod
    def _is_one_only(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("kafka_certificate_file") is not None:
            raise ValueError("and ONTRACK_KAFKA_CERTIFICATE_FILE both say who one is: one of them was expected")
        return name

    @field_validator("mongodb_mechanism")
    @classmethod
    def _stays_secret(cls, mechanism: str, info: ValidationInfo) -> str:
        data = info.data
        is_shown = mechanism == "PLAIN" and data.get("mongodb_username") and data.get("mongodb_tls") is False
        if is_shown and not is_this_machine(str(data.get("mongodb_url", ""))):
            raise ValueError("is PLAIN, so ONTRACK_MONGODB_TLS=true was expected")
        return mechanism

    def zone(self) -> ZoneInfo:
        """Give the zone by which those clinics go that say no other."""
        return ZoneInfo(self.time_zone)

    def brokers(self) -> Brokers:
        """Give how the brokers are reached."""
        tls = ssl.create_default_context(cafile=self.kafka_ca_file) if self.kafka_tls else None
        if tls is not None and self.kafka_certificate_file is not None:
            tls.load_cert_chain(self.kafka_certificate_file)
        return Brokers(self.kafka_servers, self.kafka_prefix, tls, self.kafka_username, revealed(self.kafka_password))

    def server(self) -> Server:
        """Give how the database is reached."""
        return Server(
            url=self.mongodb_url,
            database=self.mongodb_database,
            tls=self.mongodb_tls,
            ca_file=None if self.mongodb_ca_file is None else str(self.mongodb_ca_file),
            username=self.mongodb_username,
            password=revealed(self.mongodb_password),
            mechanism=self.mongodb_mechanism,
            timeout=self.mongodb_timeout,
            at_once=self.mongodb_at_once,
        )


class ServiceSettings(RegionSettings):
    """What a service needs besides."""

    http_host: Annotated[
        Text,
        Field(description="Where the service tells how it is; 0.0.0.0 lets everybody ask."),
        Expected("a host name or an address"),
    ] = "127.0.0.1"
    http_port: Annotated[
        int,
        Field(ge=0, le=LAST_PORT, description="At which port; 0 takes any that is free, and the log says which."),
        Expected(f"a whole number from 0 to {LAST_PORT}"),
    ] = 0
    log_format: Annotated[
        Literal["text", "json"],
        Field(description="How the service logs: lines for people, or one JSON object a line."),
        Expected("text or json"),
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="From which level on it logs."),
        Expected("debug, info, warning or error"),
    ] = "info"
    dead_letters_at_most: Annotated[
        int,
        Field(ge=0, description="Unreadable facts of a partition that are put aside before the stage stops there."),
        Expected("a whole number from 0 on"),
    ] = DEAD_LETTERS_AT_MOST
    traces_endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^\s@]+$", description="Where traces are sent (OTLP over HTTP); else there are none."
        ),
        Expected("http://HOST:4318/v1/traces, without name and password,"),
    ] = None


def expected(kind: type[Settings], name: str) -> str:
    """Say what a setting has to be."""
    found: list[Any] = [each for each in kind.model_fields[name].metadata if isinstance(each, Expected)]
    return str(found[0].what)


def variable(name: str) -> str:
    """Give the variable of the environment that holds a setting."""
    return f"{PREFIX}{name.upper()}"


def require_certificate(certificate: Path, key: Path) -> None:
    """Make sure that files hold a certificate and the key of it. Raises ValueError."""
    try:
        ssl.create_default_context().load_cert_chain(certificate, key, _NO_PASSWORD)
    except OSError:
        raise ValueError from None


def _server(info: ValidationInfo) -> str:
    return str(info.field_name).partition("_")[0]


def revealed(secret: SecretStr | None) -> str | None:
    """Give what a secret is, for whom it is meant."""
    return None if secret is None else secret.get_secret_value()
