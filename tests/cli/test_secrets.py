"""`ontrack secrets` makes what the parts of a region know each other by, and changes nothing that is there."""

import asyncio
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.cli.secrets import ADMINISTRATOR, BROKERS, OWNERS
from services.ingest.access import EVERY, TOKENS, Client, Tokens
from services.runtime.keyring.master import MasterKey
from services.users import KAFKA, MONGODB, passwords_in, users
from tests.support.command import Ran, ontrack, succeeded

SHOWN: Final = [*(f"{name}/server.pem" for name in (*BROKERS, "mongodb")), "api/certificate.pem"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def uses(file: Path) -> set[x509.ObjectIdentifier]:
    return set(certificate(file).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def hosts(file: Path) -> list[str]:
    names = certificate(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of secrets."""
    made = tmp_path / "secrets"
    succeeded("secrets", made, "--host", "ontrack.clinic.example", "--host", "192.0.2.7")
    return made


def test_each_part_has_what_it_needs(folder: Path) -> None:
    # then each user has passwords, and a service reads them
    found = passwords_in(folder / "users")
    assert found.keys() == set(users())
    every = [password for user in found.values() for password in (user.kafka, user.mongodb)]
    assert len(set(every)) == len(every)
    assert all(len(password) >= 32 for password in every)

    # and the first user of the database is the administrator
    assert (folder / "mongodb/password").read_bytes() == (folder / "users" / ADMINISTRATOR / MONGODB).read_bytes()
    assert not (folder / "users" / ADMINISTRATOR / KAFKA).exists()

    # and there is a master key
    MasterKey.read(folder / "master.key")


def test_the_mailer_has_a_token_of_its_own(folder: Path) -> None:
    token = (folder / "users/mailer/ontrack_ingest_token").read_text()
    client = asyncio.run(Tokens(folder / "tokens" / TOKENS).client(f"Bearer {token}"))
    assert client == Client("mailer", "mailer", EVERY)


def test_nobody_reads_anything_but_its_owner(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_folder_that_docker_has_made_is_closed_too(tmp_path: Path) -> None:
    # given an empty folder as Docker makes it, into which every user of the machine may look
    folder = tmp_path / "secrets"
    folder.mkdir()
    folder.chmod(0o755)

    # when secrets are made there, then nobody comes to them who has the number of one of the containers' users
    succeeded("secrets", folder)
    assert folder.stat().st_mode & 0o077 == 0

    # and one that was left open is closed, though everything is there
    folder.chmod(0o755)
    assert succeeded("secrets", folder).told == "Everything is there.\n"
    assert folder.stat().st_mode & 0o077 == 0


OF_WHOM: Final = {
    "kafka": ("kafka-",),
    "mongodb": ("mongodb",),
    "ontrack": ("api", "users", "tokens", "master.key"),
    "root": ("authority",),
}


@pytest.mark.parametrize(("owner", "names"), OF_WHOM.items(), ids=OF_WHOM)
def test_each_file_belongs_to_whoever_reads_it(folder: Path, owner: str, names: tuple[str, ...]) -> None:
    # root can give files away, and nobody else
    expected = os.geteuid() or OWNERS.get(owner, 0)
    owners = {str(path.relative_to(folder)): path.stat().st_uid for path in folder.rglob("*")}
    assert {uid for name, uid in owners.items() if name.startswith(names)} == {expected}


@pytest.mark.parametrize("name", SHOWN)
def test_the_authority_vouches_for_each_server_under_its_names(folder: Path, name: str) -> None:
    # given what a server shows
    shown = certificate(folder / name)
    authority = certificate(folder / "authority/ca.pem")

    # then the authority has signed it, for long enough, and the server has the key
    shown.verify_directly_issued_by(authority)
    now = datetime.now(UTC)
    assert shown.not_valid_before_utc < now
    assert timedelta(days=800) < shown.not_valid_after_utc - now <= timedelta(days=825)
    key = folder / ("api/key.pem" if name.startswith("api") else name)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(folder / name, key)

    # and it is one of the hosts that it is asked for as
    own = "ingest" if name.startswith("api") else name.partition("/")[0]
    assert {own, "localhost", "127.0.0.1"} <= set(hosts(folder / name))


def test_clients_find_the_api_under_the_names_that_were_said(folder: Path) -> None:
    assert {"ontrack.clinic.example", "192.0.2.7"} <= set(hosts(folder / "api/certificate.pem"))


def test_what_the_api_shows_lets_nobody_in_at_the_brokers(folder: Path) -> None:
    # brokers, and members of a set of databases, are clients of each other; the administrator is one only
    for name in SHOWN[:-1]:
        assert uses(folder / name) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert uses(folder / "users" / ADMINISTRATOR / "administrator.pem") == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert uses(folder / "api/certificate.pem") == {ExtendedKeyUsageOID.SERVER_AUTH}


def test_a_second_time_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    assert succeeded("secrets", folder, "--host", "another.clinic.example").told == "Everything is there.\n"
    assert contents(folder) == before


def test_what_is_lost_is_made_anew_and_the_rest_stays(folder: Path) -> None:
    # given secrets of which some are lost
    before = contents(folder)
    lost = ["kafka-2/server.pem", "users/scoring/ontrack_kafka_password", "mongodb/keyfile"]
    for name in lost:
        (folder / name).unlink()

    # when they are made again
    assert succeeded("secrets", folder).told.startswith("Made 3 files in ")

    # then only those are others
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == set(lost)
    assert after.keys() == before.keys()


@pytest.mark.parametrize("lost", ["mongodb/password", f"users/{ADMINISTRATOR}/{MONGODB}"])
def test_the_password_by_which_the_database_made_its_first_user_is_made_once(folder: Path, lost: str) -> None:
    # given the one of its two copies that is lost
    password = (folder / lost).read_bytes()
    (folder / lost).unlink()

    # when it is made anew, then it is the one that the database knows
    succeeded("secrets", folder)
    assert (folder / lost).read_bytes() == password


def refused(*arguments: str | Path) -> str:
    ran: Ran = ontrack("secrets", *arguments)
    assert ran.exit_code == 2
    return ran.told


def test_without_its_key_the_authority_vouches_for_nobody_new(folder: Path) -> None:
    # given the key of the authority in a safe, which keeps nothing from being checked
    key = (folder / "authority/ca.key").read_bytes()
    (folder / "authority/ca.key").unlink()
    assert succeeded("secrets", folder).told == "Everything is there.\n"

    # when a certificate is lost, then it is asked for
    (folder / "kafka-1/server.pem").unlink()
    assert f"{folder / 'authority/ca.key'} is missing: put it back" in refused(folder)

    # and when it is back, the certificate is made
    (folder / "authority/ca.key").write_bytes(key)
    succeeded("secrets", folder)
    certificate(folder / "kafka-1/server.pem").verify_directly_issued_by(certificate(folder / "authority/ca.pem"))


def test_half_of_what_belongs_together_is_not_made_anew(folder: Path) -> None:
    (folder / "api/key.pem").unlink()
    assert f"{folder / 'api/key.pem'} is missing, and what belongs to it is there: put it back" in refused(folder)


def test_no_other_authority_takes_the_place_of_one_that_is_lost(folder: Path) -> None:
    for name in ("ca.pem", "ca.key"):
        (folder / "authority" / name).unlink()
    (folder / "mongodb/server.pem").unlink()
    assert f"{folder / 'authority/ca.pem'} is missing: put it back" in refused(folder)
    assert not (folder / "authority/ca.pem").exists()


def test_no_other_master_key_takes_the_place_of_one_that_is_lost(folder: Path) -> None:
    # given secrets of which the master key is lost, and something that could be made anew
    key = (folder / "master.key").read_bytes()
    for name in ("master.key", "kafka-1/server.pem"):
        (folder / name).unlink()

    # when secrets are made, then it is asked for: a copy of another one would be put into the safe in its place
    assert f"{folder / 'master.key'} is missing: put it back" in refused(folder)
    assert not (folder / "master.key").exists()

    # and when it is back, the rest is made
    (folder / "master.key").write_bytes(key)
    (folder / "master.key").chmod(0o600)
    assert succeeded("secrets", folder).told.startswith("Made 1 file ")


@pytest.mark.parametrize("host", ["", "on track", "https://ontrack.example", "-x", "größer.example"])
def test_a_name_that_no_host_has_is_refused(tmp_path: Path, host: str) -> None:
    assert "--host: the name or the address of a host was expected" in refused(tmp_path / "secrets", "--host", host)
    assert not (tmp_path / "secrets").exists()


def test_no_secret_is_told(tmp_path: Path) -> None:
    # when secrets are made
    ran = succeeded("secrets", tmp_path / "secrets")

    # then nothing of them is said
    for name, content in contents(tmp_path / "secrets").items():
        for line in content.decode().splitlines():
            assert len(line) < 8 or line not in ran.said, name


def test_the_services_that_are_let_in_are_named_where_a_password_is_missing(folder: Path) -> None:
    (folder / "users/scoring" / KAFKA).unlink()
    environment = {
        "ONTRACK_KAFKA_SERVERS": "127.0.0.1:1",
        "ONTRACK_MONGODB_URL": "mongodb://127.0.0.1:1/",
        "ONTRACK_MASTER_KEY_FILE": str(folder / "master.key"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        ran = ontrack("provision", "--users", folder / "users")
    assert ran.exit_code == 2
    assert f"{folder / 'users/scoring'}: a folder with {KAFKA} and {MONGODB} was expected" in ran.told
