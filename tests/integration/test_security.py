"""Servers that let nobody in without TLS and a password: what works, and what is said when something is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.local.kafka import KafkaCluster, Security
from deploy.local.mongodb import MongoStandIn
from deploy.local.scratch import scratch_directory
from deploy.local.tls import Tls
from services.runtime.brokers import Brokers
from services.runtime.documents import Server
from tests.support.command import Ran, succeeded
from tests.support.region import Region
from tests.support.servers import FERRETDB_AT_ONCE

pytestmark = pytest.mark.xdist_group("security")

USER: Final = "ontrack"
PASSWORDS: Final = {"kafka": "brokers-7f3a9c", "mongodb": "documents-51e0bd"}
WRONG: Final = "not-the-password-c4d2"

OF_KAFKA: Final = "ONTRACK_KAFKA_"
OF_MONGODB: Final = "ONTRACK_MONGODB_"


@dataclass
class SecureRegion(Region):
    """A region whose servers require TLS and a user; passwords are in files. trusted: who vouches for the servers."""

    trusted: Path = Path()

    @property
    def environment(self) -> dict[str, str]:
        secure = {
            "KAFKA_TLS": "true",
            "KAFKA_CA_FILE": str(self.trusted),
            "KAFKA_USERNAME": USER,
            "MONGODB_TLS": "true",
            "MONGODB_CA_FILE": str(self.trusted),
            "MONGODB_USERNAME": USER,
            "MONGODB_MECHANISM": "PLAIN",
            "SECRETS": str(secrets(self.folder)),
        }
        return super().environment | {f"ONTRACK_{name}": value for name, value in secure.items()}


def secrets(folder: Path) -> Path:
    """Write the passwords as whoever runs a container does: one file each."""
    place = folder / "secrets"
    place.mkdir(exist_ok=True)
    for server, password in PASSWORDS.items():
        (place / f"ontrack_{server}_password").write_text(f"{password}\n")
    return place


def certificate(authority: trustme.CA, folder: Path) -> Tls:
    """Write a certificate of this machine."""
    return as_files(authority.issue_cert("127.0.0.1"), folder)


def as_files(made: trustme.LeafCert, folder: Path) -> Tls:
    """Write a certificate, and its key as the servers take it."""
    key = load_pem_private_key(made.private_key_pem.bytes(), None)
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    tls.certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    tls.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tls


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureRegion]:
    """A region that is provisioned."""
    folder = tmp_path_factory.mktemp("region")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "unknown.pem"))
    with scratch_directory() as servers:
        tls = certificate(authority, folder)
        kafka = KafkaCluster(servers / "kafka", security=Security(tls, {USER: PASSWORDS["kafka"]}))
        mongodb = MongoStandIn(servers / "mongodb", tls=tls, users={USER: PASSWORDS["mongodb"]})
        kafka.start()
        mongodb.start()
        server = Server(f"mongodb://{mongodb.secure_address}/", at_once=FERRETDB_AT_ONCE)
        region = SecureRegion(Brokers(kafka.secure_servers), server, folder, trusted=folder / "authority.pem")
        region.succeeded("provision", "--single-broker")
        try:
            yield region
        finally:
            region.stop()


def gives_away(text: str) -> list[str]:
    return [password for password in (*PASSWORDS.values(), WRONG) if password in text]


def test_everything_works(region: SecureRegion, tmp_path: Path) -> None:
    # given the services, and a small clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "5", "--output", cohort)
    services = [process.wait_until_ready() for process in region.serve()]

    # when it is imported
    imported = region.succeeded("import", cohort, "--enrol")

    # then it is all there
    assert "for services that" not in imported.told
    tracks = region.succeeded("tracks", "--format", "csv")
    succeeded("import", cohort, "--enrol", "--data", tmp_path / "home")
    assert tracks.out == succeeded("tracks", "--format", "csv", "--data", tmp_path / "home").out

    # and no password stands anywhere
    for service in services:
        service.stop()
        assert gives_away(service.log.read_text()) == []
    assert gives_away(imported.said + tracks.said) == []


@dataclass(frozen=True)
class Fault:
    """Something that is set wrong, and what is to be said of it."""

    set: Mapping[str, str]
    said: str


FAULTS: Final = {
    "a wrong password for the brokers": Fault(
        {f"{OF_KAFKA}PASSWORD": WRONG},
        "the brokers are away: {kafka} does not let the user in: "
        "check ONTRACK_KAFKA_USERNAME and ONTRACK_KAFKA_PASSWORD",
    ),
    "brokers of an unknown authority": Fault(
        {f"{OF_KAFKA}CA_FILE": "unknown.pem"},
        "the brokers are away: {kafka} shows a certificate that is not trusted (unable to get local issuer "
        "certificate): check ONTRACK_KAFKA_CA_FILE, and that ONTRACK_KAFKA_SERVERS names the broker as its "
        "certificate does",
    ),
    "no TLS to the brokers": Fault(
        {f"{OF_KAFKA}TLS": "", f"{OF_KAFKA}CA_FILE": ""},
        "the brokers are away: {kafka} closes the connection: check that it runs, and ONTRACK_KAFKA_TLS, "
        "if it requires TLS",
    ),
    "no user for the brokers": Fault(
        {f"{OF_KAFKA}USERNAME": "", "ONTRACK_SECRETS": "mongodb-only"},
        "the brokers are away: {kafka} closes the connection: check that it runs, and ONTRACK_KAFKA_USERNAME, "
        "if it requires a user, and ONTRACK_KAFKA_TLS, if it does not speak TLS",
    ),
    "a wrong password for the database": Fault(
        {f"{OF_MONGODB}PASSWORD": WRONG},
        "the database does not let the user in: check ONTRACK_MONGODB_USERNAME, ONTRACK_MONGODB_PASSWORD "
        "and ONTRACK_MONGODB_MECHANISM",
    ),
    "another way to show the password to the database": Fault(
        {f"{OF_MONGODB}MECHANISM": "SCRAM-SHA-256"},
        "the database does not let the user in: check ONTRACK_MONGODB_USERNAME, ONTRACK_MONGODB_PASSWORD "
        "and ONTRACK_MONGODB_MECHANISM",
    ),
    "a database of an unknown authority": Fault(
        {f"{OF_MONGODB}CA_FILE": "unknown.pem"},
        "the database is away: its certificate is not trusted (unable to get local issuer certificate): check "
        "ONTRACK_MONGODB_CA_FILE, and that ONTRACK_MONGODB_URL names the server as its certificate does",
    ),
    "no TLS to the database": Fault(
        {f"{OF_MONGODB}TLS": "", f"{OF_MONGODB}CA_FILE": ""},
        "the database is away: it closes the connection: check that it runs, and ONTRACK_MONGODB_TLS, "
        "if it requires TLS",
    ),
}

each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


def changed(region: SecureRegion, fault: Fault) -> dict[str, str]:
    """Give what is set wrong; files are those of the region's folder."""
    only = region.folder / "mongodb-only"
    only.mkdir(exist_ok=True)
    (only / "ontrack_mongodb_password").write_text(PASSWORDS["mongodb"])
    return {
        name: str(region.folder / value) if name.endswith(("CA_FILE", "SECRETS")) and value else value
        for name, value in fault.set.items()
    }


def sentence(region: SecureRegion, fault: Fault) -> str:
    return fault.said.format(kafka=region.brokers.servers)


@each_fault
def test_a_command_says_in_one_sentence_what_to_check(
    region: SecureRegion, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given something that is set wrong
    wrong = region.environment | changed(region, fault)
    monkeypatch.setattr(SecureRegion, "environment", wrong)

    # when a command needs the servers
    ran: Ran = region.ontrack("provision", "--single-broker")

    # then it says what to check, and nothing else
    assert ran.exit_code == 2
    assert ran.said.splitlines() == [f"Error: {sentence(region, fault)}. Nothing is lost; start again."]


@each_fault
def test_a_service_says_in_one_sentence_what_to_check(region: SecureRegion, fault: Fault) -> None:
    # given something that is set wrong

    # when a service starts
    (service,) = region.serve_with("scoring", **changed(region, fault))

    # then it says so where one asks how it is
    assert service.wait_until_not_alive(60) == [f"start: {sentence(region, fault)}"]

    # and in its log, without a password
    service.stop()
    log = service.log.read_text()
    assert sentence(region, fault) in log
    assert gives_away(log) == []


def test_a_wrong_setting_is_said_without_a_password(region: SecureRegion) -> None:
    # given a password without a user

    # when a service starts
    (service,) = region.serve_with("scoring", ONTRACK_KAFKA_USERNAME="", ONTRACK_HTTP_PORT="")

    # then it ends, and says what belongs together
    service.wait_until(lambda: service.has_ended, "the service has ended")
    log = service.log.read_text()
    assert log.splitlines() == [
        (
            "Error: ONTRACK_KAFKA_PASSWORD (or the file ontrack_kafka_password in the folder of ONTRACK_SECRETS) and "
            "ONTRACK_KAFKA_USERNAME belong together: both were expected, or none"
        )
    ]
