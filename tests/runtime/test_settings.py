"""Settings: every fault is named at once, with the variable and what was expected, and never with what stands there."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pymongo import ReadPreference

from services.ingest.settings import IngestSettings
from services.not_detector import app as not_detector
from services.not_detector.settings import NotDetectorSettings
from services.notifier import app as notifier
from services.notifier.settings import NotifierSettings
from services.runtime.documents import Documents, Server
from services.runtime.environment import settings_of
from services.runtime.refusals import SettingsWrong
from services.runtime.settings import PREFIX, SECRETS, RegionSettings, ServiceSettings
from services.scoring import app as scoring
from services.scoring.settings import ScoringSettings

SECRET: Final = "a-secret-81f0"
ADDRESS: Final = "mongodb://HOST:PORT/, without name and password, and with no options but replicaSet and authSource,"
NEEDED: Final = {
    "KAFKA_SERVERS": "broker-1:9092,broker-2:9092",
    "MONGODB_URL": "mongodb://database:27017/",
    "MASTER_KEY_FILE": "master.key",
}

Set = Callable[[Mapping[str, str]], None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Sets what is named, and nothing else of ours."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)

    def set_all(values: Mapping[str, str]) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"{PREFIX}{name}", value)

    return set_all


def faults(kind: type[RegionSettings] = ServiceSettings) -> list[str]:
    with pytest.raises(SettingsWrong) as wrong:
        settings_of(kind)
    return str(wrong.value).splitlines()


def test_what_is_needed_is_enough(environment: Set) -> None:
    environment(NEEDED)
    settings = settings_of(ServiceSettings)
    assert settings.brokers().servers == NEEDED["KAFKA_SERVERS"]
    assert settings.server().url == NEEDED["MONGODB_URL"]
    assert settings.master_key_file == Path("master.key")


def test_everything_that_is_missing_is_named_at_once(environment: Set) -> None:
    environment({})
    assert faults() == [
        "ONTRACK_KAFKA_SERVERS is not set: HOST:PORT, several separated by commas, was expected",
        f"ONTRACK_MONGODB_URL is not set: {ADDRESS} was expected",
        "ONTRACK_MASTER_KEY_FILE is not set: a file was expected",
    ]


def test_what_is_set_to_nothing_is_not_set(environment: Set) -> None:
    environment(NEEDED | {"KAFKA_SERVERS": "", "HTTP_PORT": "", "KAFKA_USERNAME": "", "KAFKA_PASSWORD": ""})
    assert faults() == ["ONTRACK_KAFKA_SERVERS is not set: HOST:PORT, several separated by commas, was expected"]


MALFORMED: Final[dict[str, tuple[str, list[str]]]] = {
    "KAFKA_SERVERS": (
        "HOST:PORT, several separated by commas, was expected",
        ["broker", "broker:", ":9092", "broker:nine", "broker:0", "broker:65536", "a:1,", "a:1, b:2", "a b:1"],
    ),
    "KAFKA_PREFIX": (
        "a text of at most 100 letters, digits, '.', '_' and '-' was expected",
        ["of ours", "größer", "a/b", "a" * 101],
    ),
    "KAFKA_TLS": ("true or false was expected", ["perhaps", "2"]),
    "KAFKA_CA_FILE": ("a PEM file with certificates was expected", ["not-there.pem", ".", __file__]),
    "KAFKA_CERTIFICATE_FILE": (
        "a PEM file with a certificate and its key was expected",
        ["not-there.pem", ".", __file__],
    ),
    "MONGODB_URL": (
        f"{ADDRESS} was expected",
        [
            "database:27017",
            "http://database:27017/",
            f"mongodb://user:{SECRET}@database:27017/",
            "mongodb://database:99999/",
            "mongodb+srv://database.clinic.example/",
            "mongodb://database:27017/?tls=perhaps",
            "mongodb://database:27017/?tlsInsecure=true",
            "mongodb://database:27017/?readPreference=secondary",
            "mongodb://database:27017/?replicaSet=ontrack&w=1",
            "mongodb://database:27017/?replicaSet=ontrack;w=1",
            "mongodb://database:27017/?directConnection=true",
            "mongodb://database:27017/?authMechanism=PLAIN",
            "mongodb://database:27017/?replicaSet=",
            "mongodb://",
            "mongodb://a b/",
        ],
    ),
    "MONGODB_DATABASE": (
        "a name of at most 60 letters, digits, '_' and '-' was expected",
        ["on track", "on.track", "a" * 61],
    ),
    "MONGODB_TLS": ("true or false was expected", ["perhaps"]),
    "MONGODB_CA_FILE": ("a PEM file with certificates was expected", ["not-there.pem", ".", __file__]),
    "MONGODB_MECHANISM": ("SCRAM-SHA-256 or PLAIN was expected", ["plain", "GSSAPI"]),
    "MONGODB_TIMEOUT": ("a number above 0, at most 300, was expected", ["0", "-1", "301", "soon", "nan"]),
    "MONGODB_AT_ONCE": ("a whole number from 1 to 500 was expected", ["0", "501", "2.5", "many"]),
    "HTTP_PORT": ("a whole number from 0 to 65535 was expected", ["-1", "65536", "http"]),
    "LOG_FORMAT": ("text or json was expected", ["xml", "JSON"]),
    "LOG_LEVEL": ("debug, info, warning or error was expected", ["loud", "INFO"]),
    "DEAD_LETTERS_AT_MOST": ("a whole number from 0 on was expected", ["-1", "few"]),
    "TRACES_ENDPOINT": (
        "http://HOST:4318/v1/traces, without name and password, was expected",
        ["collector:4318", "grpc://collector:4317", f"http://user:{SECRET}@collector:4318/v1/traces"],
    ),
}
"""By setting: what is said, and what is malformed. The others take any text that is not empty."""

TLS: Final = {"KAFKA_TLS": "true", "MONGODB_TLS": "true"}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, values) in MALFORMED.items() for value in values]
)
def test_what_is_malformed_or_out_of_range_is_told_with_what_was_expected(
    environment: Set, name: str, value: str
) -> None:
    environment(NEEDED | TLS | {name: value})
    assert faults() == [f"{PREFIX}{name}: {MALFORMED[name][0]}"]


def test_all_faults_are_named_at_once(environment: Set) -> None:
    # given every setting set to what it cannot be
    environment({name: values[0] for name, (_, values) in MALFORMED.items()})

    # when they are read
    found = faults()

    # then each is named once, what is missing too
    named = [fault.split(":")[0].split()[0] for fault in found]
    assert sorted(named) == sorted(f"{PREFIX}{name}" for name in [*MALFORMED, "MASTER_KEY_FILE"])


MISSPELT: Final = {
    "KAFKA_SERVER": "KAFKA_SERVERS",
    "MONGO_URL": "MONGODB_URL",
    "MONGODB_URI": "MONGODB_URL",
    "KAFKA_USER": "KAFKA_USERNAME",
    "MASTERKEY_FILE": "MASTER_KEY_FILE",
    "LOGLEVEL": "LOG_LEVEL",
    "SECRET": "SECRETS",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items(), ids=MISSPELT)
@pytest.mark.parametrize("kind", [RegionSettings, ServiceSettings])
def test_a_setting_with_a_slip_in_its_name_is_a_fault(
    environment: Set, kind: type[RegionSettings], name: str, meant: str
) -> None:
    environment(NEEDED | {name: SECRET})
    assert faults(kind) == [f"ONTRACK_{name} is an unknown setting: did you mean ONTRACK_{meant}?"]


def test_a_slip_is_named_with_what_is_missing_for_it(environment: Set) -> None:
    needed = {name: value for name, value in NEEDED.items() if name != "KAFKA_SERVERS"}
    environment(needed | {"KAFKA_SERVER": NEEDED["KAFKA_SERVERS"]})
    assert faults() == [
        "ONTRACK_KAFKA_SERVER is an unknown setting: did you mean ONTRACK_KAFKA_SERVERS?",
        "ONTRACK_KAFKA_SERVERS is not set: HOST:PORT, several separated by commas, was expected",
    ]


OF_OTHERS: Final = {
    "what commands and tests read": ["DATA", "REQUIRE_ALL", "TEST_KAFKA_SERVERS", "TEST_MONGODB_URL", "TEST_RUN"],
    "what a platform sets for services of such names": [
        "PORT",
        "PORT_8081_TCP",
        "SERVICE_HOST",
        "SCORING_PORT",
        "HTTP_SERVICE_PORT",
        "KAFKA_PORT",
        "KAFKA_PORT_9092_TCP_ADDR",
        "KAFKA_SERVICE_HOST",
        "KAFKA_SERVICE_PORT",
        "MONGODB_PORT",
        "MONGODB_SERVICE_HOST",
    ],
}


@pytest.mark.parametrize("names", OF_OTHERS.values(), ids=OF_OTHERS)
def test_what_others_set_is_no_fault(environment: Set, names: list[str]) -> None:
    environment(NEEDED | dict.fromkeys(names, "x"))
    settings_of(ServiceSettings)


def test_a_slip_in_a_name_that_is_set_to_nothing_is_no_fault(environment: Set) -> None:
    environment(NEEDED | {"KAFKA_SERVER": ""})
    settings_of(ServiceSettings)


TOGETHER: Final = {
    "a user without a password": {"USERNAME": "ontrack"},
    "a password without a user": {"PASSWORD": SECRET},
}


@pytest.mark.parametrize("given", TOGETHER.values(), ids=TOGETHER)
@pytest.mark.parametrize("server", ["KAFKA", "MONGODB"])
def test_a_user_and_a_password_belong_together(environment: Set, server: str, given: Mapping[str, str]) -> None:
    environment(NEEDED | {f"{server}_{name}": value for name, value in given.items()})
    file = f"ontrack_{server.lower()}_password"
    assert faults() == [
        (
            f"ONTRACK_{server}_PASSWORD (or the file {file} in the folder of ONTRACK_SECRETS) "
            f"and ONTRACK_{server}_USERNAME belong together: both were expected, or none"
        )
    ]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "?replicaSet=ontrack",
        "?authSource=admin&replicaSet=ontrack",
        "?replicaset=ontrack",
        "?authSource=%24external",
    ],
)
def test_an_address_of_a_database_says_where_it_is_and_where_its_users_are(environment: Set, options: str) -> None:
    url = f"mongodb://db-1:27017,db-2:27017/{options}"
    environment(NEEDED | {"MONGODB_URL": url})
    assert settings_of(ServiceSettings).server().url == url


async def test_nothing_in_an_address_undoes_what_is_promised_of_reads_and_writes() -> None:
    # given an address that asks for less
    server = Server("mongodb://database:27017/?readPreference=secondary&w=1&journal=false")

    # when it is used
    async with Documents(server) as documents:
        database = documents._database  # noqa: SLF001 - a single server would show neither

        # then it is read where it was written, and a write is what a majority has on disk
        assert database.read_preference == ReadPreference.PRIMARY
        assert database.write_concern.document == {"w": "majority", "j": True}


SHOWN: Final = {"MONGODB_MECHANISM": "PLAIN", "MONGODB_USERNAME": "ontrack", "MONGODB_PASSWORD": SECRET}
ELSEWHERE: Final = ("database:27017", "127.0.0.1:27017,database:27017", "127.0.0.1.clinic.example:27017", "[fd00::1]:1")
HERE: Final = ("127.0.0.1:27017", "localhost:27017,127.0.0.2", "[::1]:27017")


@pytest.mark.parametrize("hosts", ELSEWHERE)
def test_a_password_is_not_shown_in_clear_to_another_machine(environment: Set, hosts: str) -> None:
    # given a mechanism that shows the password, and no TLS
    environment(NEEDED | SHOWN | {"MONGODB_URL": f"mongodb://{hosts}/"})

    # then that is a fault
    assert faults() == ["ONTRACK_MONGODB_MECHANISM is PLAIN, so ONTRACK_MONGODB_TLS=true was expected"]

    # and with TLS it is none
    environment({"MONGODB_TLS": "true"})
    settings_of(ServiceSettings)


@pytest.mark.parametrize("hosts", HERE)
def test_a_password_may_be_shown_to_this_machine(environment: Set, hosts: str) -> None:
    environment(NEEDED | SHOWN | {"MONGODB_URL": f"mongodb://{hosts}/"})
    settings_of(ServiceSettings)


@pytest.mark.parametrize("server", ["KAFKA", "MONGODB"])
def test_who_vouches_for_a_server_is_named_only_where_connections_are_encrypted(
    environment: Set, server: str, tmp_path: Path
) -> None:
    # given an authority, and no TLS
    authority = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    environment(NEEDED | {f"{server}_CA_FILE": str(authority)})

    # then that is a fault, as somebody believes in an encryption that there is not
    assert faults() == [f"ONTRACK_{server}_CA_FILE is set, so ONTRACK_{server}_TLS=true was expected"]

    # and with TLS it is none
    environment({f"{server}_TLS": "true"})
    settings_of(ServiceSettings)


# Certificates that are shown


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A certificate and its key in one file."""
    file = tmp_path / "shown.pem"
    trustme.CA().issue_cert("ingest.clinic.example").private_key_and_cert_chain_pem.write_to_path(str(file))
    return file


def test_a_certificate_says_who_one_is_to_the_brokers(environment: Set, shown: Path) -> None:
    environment(NEEDED | {"KAFKA_TLS": "true", "KAFKA_CERTIFICATE_FILE": str(shown)})
    assert settings_of(ServiceSettings).brokers().arguments()["security_protocol"] == "SSL"


def test_a_certificate_is_shown_only_where_connections_are_encrypted(environment: Set, shown: Path) -> None:
    environment(NEEDED | {"KAFKA_CERTIFICATE_FILE": str(shown)})
    assert faults() == ["ONTRACK_KAFKA_CERTIFICATE_FILE is set, so ONTRACK_KAFKA_TLS=true was expected"]


def test_one_is_known_to_the_brokers_by_a_certificate_or_as_a_user(environment: Set, shown: Path) -> None:
    user = {"KAFKA_USERNAME": "ontrack", "KAFKA_PASSWORD": SECRET}
    environment(NEEDED | {"KAFKA_TLS": "true", "KAFKA_CERTIFICATE_FILE": str(shown)} | user)
    assert faults() == [
        "ONTRACK_KAFKA_USERNAME and ONTRACK_KAFKA_CERTIFICATE_FILE both say who one is: one of them was expected"
    ]


DOOR: Final = {"TOKENS_FILE": "tokens.json"}


def test_the_api_speaks_tls_with_a_certificate_and_its_key(environment: Set, shown: Path) -> None:
    environment(NEEDED | DOOR | {"API_CERTIFICATE_FILE": str(shown), "API_KEY_FILE": str(shown)})
    assert settings_of(IngestSettings).api_tls() is not None


@pytest.mark.parametrize("alone", ["API_CERTIFICATE_FILE", "API_KEY_FILE"])
def test_a_certificate_and_its_key_belong_together(environment: Set, shown: Path, alone: str) -> None:
    environment(NEEDED | DOOR | {alone: str(shown)})
    assert faults(IngestSettings) == [
        "ONTRACK_API_KEY_FILE and ONTRACK_API_CERTIFICATE_FILE belong together: both were expected, or none"
    ]


def test_a_key_is_that_of_its_certificate(environment: Set, shown: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("ingest.clinic.example").private_key_pem.write_to_path(str(other))
    for key in (other, tmp_path / "not-there.pem"):
        environment(NEEDED | DOOR | {"API_CERTIFICATE_FILE": str(shown), "API_KEY_FILE": str(key)})
        assert faults(IngestSettings) == [
            "ONTRACK_API_KEY_FILE: a PEM file with the key of ONTRACK_API_CERTIFICATE_FILE was expected"
        ]


def test_a_key_with_a_password_is_not_taken_and_asks_nobody(environment: Set, shown: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    key = load_pem_private_key(shown.read_bytes(), None)
    hidden = BestAvailableEncryption(SECRET.encode())
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
    environment(NEEDED | DOOR | {"API_CERTIFICATE_FILE": str(shown), "API_KEY_FILE": str(locked)})
    assert len(faults(IngestSettings)) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "ingest.clinic.example", "192.0.2.1"])  # noqa: S104 - refused
def test_other_machines_ask_the_api_over_tls_unless_somebody_chose_otherwise(
    environment: Set, shown: Path, host: str
) -> None:
    # given an API that others may ask, and no certificate
    environment(NEEDED | DOOR | {"API_HOST": host})

    # then that is a fault
    assert faults(IngestSettings) == [
        "ONTRACK_API_PLAIN is false, and ONTRACK_API_HOST lets others ask: ONTRACK_API_CERTIFICATE_FILE was expected"
    ]

    # and it is none where somebody says that TLS ends before it
    environment({"API_PLAIN": "true"})
    assert settings_of(IngestSettings).api_tls() is None

    # or with a certificate
    environment({"API_PLAIN": "", "API_CERTIFICATE_FILE": str(shown), "API_KEY_FILE": str(shown)})
    assert settings_of(IngestSettings).api_tls() is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", ""])
def test_this_machine_may_ask_the_api_without_tls(environment: Set, host: str) -> None:
    environment(NEEDED | DOOR | {"API_HOST": host})
    assert settings_of(IngestSettings).api_tls() is None


# Secrets


@pytest.fixture
def secrets(tmp_path: Path, environment: Set) -> Path:
    """A folder with a file for each password, as it is named to a service with users."""
    for server in ("kafka", "mongodb"):
        (tmp_path / f"ontrack_{server}_password").write_text(f"{SECRET}-{server}\n")
    users = {"KAFKA_USERNAME": "ontrack", "MONGODB_USERNAME": "ontrack"}
    environment(NEEDED | users | {"SECRETS": str(tmp_path)})
    return tmp_path


def test_passwords_come_from_files_without_the_end_of_their_line(secrets: Path) -> None:
    assert secrets.is_dir()
    settings = settings_of(ServiceSettings)
    assert settings.brokers().password == f"{SECRET}-kafka"
    assert settings.server().password == f"{SECRET}-mongodb"


def test_a_password_is_never_shown(secrets: Path) -> None:
    assert secrets.is_dir()
    settings = settings_of(ServiceSettings)
    assert SECRET not in f"{settings!r} {settings!s} {settings.model_dump()}"
    assert SECRET not in f"{settings.brokers()!r} {settings.server()!r}"


def test_an_empty_file_of_a_password_is_a_fault(secrets: Path) -> None:
    (secrets / "ontrack_kafka_password").write_text("\n")
    assert faults() == ["ONTRACK_KAFKA_PASSWORD: a password was expected"]


def test_a_file_that_is_no_text_is_a_fault(secrets: Path) -> None:
    (secrets / "ontrack_kafka_password").write_bytes(b"\xff\xfe\x00")
    assert faults() == [
        "ONTRACK_SECRETS: ontrack_kafka_password: a file with text that this user may read was expected"
    ]


def test_every_file_that_cannot_be_read_is_named(secrets: Path) -> None:
    # given what is no file where two secrets were expected: a folder, and a link to nowhere
    for name in ("ontrack_kafka_password", "ontrack_mongodb_password"):
        (secrets / name).unlink()
    (secrets / "ontrack_kafka_password").mkdir()
    (secrets / "ontrack_mongodb_password").symlink_to(secrets / "nowhere")

    # when the settings are read
    # then both are named, and nothing is said in words of a library
    assert faults() == [
        f"ONTRACK_SECRETS: {name}: a file with text that this user may read was expected"
        for name in ("ontrack_kafka_password", "ontrack_mongodb_password")
    ]


def test_what_belongs_to_others_may_be_anything(secrets: Path) -> None:
    # given what is called after no setting: a certificate in binary, a folder, and files with an ending
    (secrets / "ontrack_tls.der").write_bytes(b"\xff\xfe\x00")
    (secrets / "ontrack_backups").mkdir()
    (secrets / "ontrack_kafka_ca_file.pem").write_text("-----BEGIN CERTIFICATE-----")

    # when the settings are read, then they are what the others say
    assert settings_of(ServiceSettings).brokers().password == f"{SECRET}-kafka"


def test_a_secret_that_cannot_be_read_is_named_with_every_slip(secrets: Path, environment: Set) -> None:
    # given a slip in the environment, one in the name of a file, and a secret that is no text
    environment({"KAFKA_PREFIXX": "it."})
    (secrets / "ontrack_kafka_tsl").write_text("true")
    (secrets / "ontrack_kafka_password").write_bytes(b"\xff\xfe\x00")

    # when the settings are read, then all three are named
    assert [fault.split(": ")[0] for fault in faults()] == [
        "ONTRACK_KAFKA_PREFIXX is an unknown setting",
        SECRETS,
        SECRETS,
    ]


def test_a_file_with_a_slip_in_its_name_is_a_fault(secrets: Path) -> None:
    # given a secret that would turn on TLS, with two letters exchanged, and a file that is none of ours
    (secrets / "ontrack_kafka_tsl").write_text("true")
    (secrets / "database_root_password").write_text(SECRET)

    # when the settings are read
    # then the one is named, with what was meant
    assert faults() == ["ONTRACK_SECRETS: ontrack_kafka_tsl is an unknown setting: did you mean ontrack_kafka_tls?"]


@pytest.mark.parametrize("place", ["not-there", "ontrack_kafka_password"])
def test_a_folder_of_secrets_that_is_none_is_named_with_every_other_fault(
    secrets: Path, environment: Set, place: str
) -> None:
    environment({"SECRETS": str(secrets / place), "KAFKA_USERNAME": "", "MONGODB_USERNAME": "", "HTTP_PORT": "x"})
    assert faults() == [
        f"{SECRETS}: a folder with a file for each secret was expected",
        "ONTRACK_HTTP_PORT: a whole number from 0 to 65535 was expected",
    ]


# Services


@pytest.mark.parametrize("run", [scoring.run, not_detector.run, notifier.run])
def test_a_port_that_is_taken_is_a_fault_of_the_settings(environment: Set, run: Callable[[], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment(NEEDED | {"HTTP_PORT": str(taken.getsockname()[1])})
        with pytest.raises(
            SettingsWrong, match=r"^ONTRACK_HTTP_HOST and ONTRACK_HTTP_PORT: .* \(Address already in use\)$"
        ):
            run()


@pytest.mark.parametrize("kind", [ScoringSettings, NotDetectorSettings, NotifierSettings])
def test_every_service_takes_the_same_settings(environment: Set, kind: type[ServiceSettings]) -> None:
    environment(NEEDED)
    assert settings_of(kind).model_fields_set == {name.lower() for name in NEEDED}


def test_every_setting_says_what_it_is_and_what_is_expected() -> None:
    told: dict[str, Any] = {name: field.description for name, field in ServiceSettings.model_fields.items()}
    assert [name for name, says in told.items() if not says or not says.endswith(".")] == []


async def test_whatever_settings_take_the_clients_take(environment: Set) -> None:
    environment(NEEDED | TLS | {"MONGODB_USERNAME": "ontrack", "MONGODB_PASSWORD": SECRET})
    async with Documents(settings_of(RegionSettings).server()):
        pass
