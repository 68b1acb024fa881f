"""What is set from outside: by the environment, and secrets by files in one folder."""

import os
import ssl
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.brokers import Brokers
from services.runtime.documents import AT_ONCE, Server
from services.runtime.refusals import SettingsWrong
from services.runtime.runner import DEAD_LETTERS_AT_MOST

PREFIX: Final = "ONTRACK_"
SECRETS: Final = "ONTRACK_SECRETS"
"""Names the folder with a file for each secret; a file is called as its setting, in small letters."""

SettingsT = TypeVar("SettingsT", bound="RegionSettings")


class RegionSettings(BaseSettings):
    """Where the servers of a region are, and how one proves to them who one is."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    kafka_servers: Annotated[str, Field(pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$", description="HOST:PORT,HOST:PORT …")]
    kafka_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*$", description="before every topic and group")] = ""
    kafka_tls: Annotated[bool, Field(description="true: connections are encrypted")] = False
    kafka_ca_file: Annotated[Path | None, Field(description="who vouches for the brokers; else the system's")] = None
    kafka_username: Annotated[str | None, Field(description="for SASL/SCRAM-SHA-512")] = None
    kafka_password: Annotated[SecretStr | None, Field(description="of that user; best in a file")] = None

    mongodb_url: Annotated[str, Field(pattern=r"^mongodb(\+srv)?://[^@]+$", description="without name and password")]
    mongodb_database: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,60}$", description="name of the database")] = (
        "ontrack"
    )
    mongodb_tls: Annotated[bool, Field(description="true: connections are encrypted")] = False
    mongodb_ca_file: Annotated[Path | None, Field(description="who vouches for the server; else the system's")] = None
    mongodb_username: Annotated[str | None, Field(description="who one is")] = None
    mongodb_password: Annotated[SecretStr | None, Field(description="of that user; best in a file")] = None
    mongodb_mechanism: Annotated[
        Literal["SCRAM-SHA-256", "PLAIN"], Field(description="how the password is shown; FerretDB takes PLAIN")
    ] = "SCRAM-SHA-256"
    mongodb_timeout: Annotated[float, Field(gt=0, le=300, description="seconds for one operation")] = 20.0
    mongodb_at_once: Annotated[int, Field(ge=1, le=AT_ONCE, description="writes in one command; FerretDB: 10")] = (
        AT_ONCE
    )

    master_key_file: Annotated[Path, Field(description="the master key, readable for its owner only")]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for server in ("kafka", "mongodb"):
            if (getattr(self, f"{server}_username") is None) != (getattr(self, f"{server}_password") is None):
                raise ValueError(f"{PREFIX}{server.upper()}_USERNAME and _PASSWORD belong together: both or none")
            file = getattr(self, f"{server}_ca_file")
            if file is not None and not file.is_file():
                raise ValueError(f"{PREFIX}{server.upper()}_CA_FILE: a file with certificates was expected at {file}")
        return self

    def brokers(self) -> Brokers:
        """Give how the brokers are reached."""
        tls = ssl.create_default_context(cafile=self.kafka_ca_file) if self.kafka_tls else None
        return Brokers(self.kafka_servers, self.kafka_prefix, tls, self.kafka_username, _revealed(self.kafka_password))

    def server(self) -> Server:
        """Give how the database is reached."""
        return Server(
            url=self.mongodb_url,
            database=self.mongodb_database,
            tls=self.mongodb_tls,
            ca_file=None if self.mongodb_ca_file is None else str(self.mongodb_ca_file),
            username=self.mongodb_username,
            password=_revealed(self.mongodb_password),
            mechanism=self.mongodb_mechanism,
            timeout=self.mongodb_timeout,
            at_once=self.mongodb_at_once,
        )


class ServiceSettings(RegionSettings):
    """What a service needs besides."""

    http_host: Annotated[str, Field(description="where it tells how it is; 0.0.0.0: to everybody")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535, description="at which port; 0: any that is free")] = 0
    log_format: Annotated[Literal["text", "json"], Field(description="how it logs")] = "text"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="from which level on")] = (
        "info"
    )
    dead_letters_at_most: Annotated[
        int, Field(ge=0, description="unreadable facts of a partition that are put aside before the stage stops there")
    ] = DEAD_LETTERS_AT_MOST
    traces_endpoint: Annotated[str | None, Field(description="OTLP over HTTP, such as http://HOST:4318/v1/traces")] = (
        None
    )


def settings_of(kind: type[SettingsT]) -> SettingsT:
    """Read settings from the environment and the folder of secrets. Raises SettingsWrong."""
    folder = os.environ.get(SECRETS)
    if folder is not None and not Path(folder).is_dir():
        raise SettingsWrong(f"{SECRETS}: a folder with a file for each secret was expected at {folder}")
    try:
        return kind(_secrets_dir=folder)
    except ValidationError as wrong:
        raise SettingsWrong(
            "\n".join(_told(kind, error["loc"], error["type"], error["msg"]) for error in wrong.errors())
        ) from None


def _told(kind: type[RegionSettings], place: tuple[int | str, ...], what: str, message: str) -> str:
    """Say what is wrong with a setting, and what was expected."""
    if not place:
        return message.removeprefix("Value error, ")
    name = str(place[0])
    field = kind.model_fields.get(name)
    expected = f" ({field.description})" if field is not None and field.description else ""
    wrong = "is not set" if what == "missing" else message[:1].lower() + message[1:]
    return (
        f"{PREFIX}{name.upper()} {wrong}{expected}"
        if what == "missing"
        else f"{PREFIX}{name.upper()}: {wrong}{expected}"
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
