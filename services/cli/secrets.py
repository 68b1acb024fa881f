"""`ontrack secrets`: the certificates, passwords and keys by which the parts of a region know each other."""

import os
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from cryptography.x509 import ObjectIdentifier

from services.auditor.note import Signer
from services.cli.authority import CLIENT, SERVER, Authority
from services.cli.home import Failure, in_words
from services.cli.output import counted, say
from services.ingest.access import EVERY, TOKENS, Client, Tokens
from services.runtime.keyring.master import MasterKey
from services.users import KAFKA, MONGODB, users

OWNERS: Final = {"kafka": 1_000, "mongodb": 999, "ontrack": 10_001}
"""Whom the files belong to: the users of the images of Kafka, of MongoDB and of this one."""

BROKERS: Final = ("kafka-1", "kafka-2", "kafka-3")
ADMINISTRATOR: Final = "administrator"
"""Who lets the others in, and makes topics: by a certificate at the brokers, by a password at the database."""

MASTER_KEY: Final = "master.key"

HERE: Final = ("localhost", "127.0.0.1")

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_ROOT: Final = 0


@click.command("secrets")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name at which clients ask the API; repeatable.")
def secrets_(directory: Path, hosts: Sequence[str]) -> None:
    """Make in DIR the certificates, passwords and keys of the parts of a region, as far as they are not there.

    Nothing that is there is changed. Run by root, each file belongs to the user of the container that reads it, and
    nobody else can. DIR opens everything: keep a copy of it where you keep your keys.

    Example: ontrack secrets ./secrets --host ontrack.clinic.example
    """
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise Failure("--host: the name or the address of a host was expected")
    made = _Folder(directory, datetime.now(UTC)).completed(hosts)
    if not made:
        say("Everything is there.")
        return
    say(f"Made {counted(made, 'file')} in {directory}. Keep a copy of it elsewhere.")
    if os.geteuid() != _ROOT:
        say("They belong to you. For containers, let root do this, so that each file belongs to whoever reads it.")


class _Folder:
    """The folder of all secrets."""

    def __init__(self, place: Path, now: datetime) -> None:
        self._place = place
        self._now = now
        self._made = 0

    def completed(self, hosts: Sequence[str]) -> int:
        """Make what is missing; give how many files that was. Raises Failure."""
        self._close()
        if not any(self._place.iterdir()):
            self._put("authority", None, ("ca.pem", "ca.key"), lambda: Authority.create(self._now).files)
            self._master_key()
        if not (master := self._place / MASTER_KEY).exists():
            raise Failure(f"{master} is missing: put it back. Another one reads nothing of what there is")
        for name in BROKERS:
            self._server(name, "kafka")
        self._server("mongodb", "mongodb")
        self._put("mongodb", "mongodb", ("keyfile",), lambda: (b64encode(secrets.token_bytes(512)),))
        names = ("certificate.pem", "key.pem")
        self._put("api", "ontrack", names, lambda: self._issued("ingest", (*hosts, "ingest", *HERE), (SERVER,)))
        for user in users():
            self._put(f"users/{user}", "ontrack", ("ca.pem",), self._trusted)
            self._put(f"users/{user}", "ontrack", (KAFKA,), _password)
            self._put(f"users/{user}", "ontrack", (MONGODB,), _password)
        self._administrator()
        self._give(_made_folder(self._place / "tokens"), "ontrack")
        self._put("users/mailer", "ontrack", ("ontrack_ingest_token",), self._token_of_mailer)
        self._put("users/auditor", "ontrack", ("seal.key", "seal.pub"), lambda: _sealing(next(iter(hosts), "ontrack")))
        return self._made

    def _master_key(self) -> None:
        MasterKey.create(self._place / MASTER_KEY)
        self._give(self._place / MASTER_KEY, "ontrack")
        self._made += 1

    def _close(self) -> None:
        """Let nobody else into the folder, also where it is Docker who made it.

        On the machine another user can have the number of one of the containers: the first user of many is 1000.
        """
        if _made_folder(self._place).stat().st_uid == os.geteuid():
            self._place.chmod(0o700)

    def _server(self, name: str, owner: str) -> None:
        """Make what a server shows, and by what it knows others; servers of a kind are clients of each other."""
        self._put(name, owner, ("ca.pem",), self._trusted)
        self._put(name, owner, ("server.pem",), lambda: self._shown(name, (name, *HERE), (SERVER, CLIENT)))

    def _administrator(self) -> None:
        folder = f"users/{ADMINISTRATOR}"
        self._put(folder, "ontrack", ("ca.pem",), self._trusted)
        self._put(folder, "ontrack", ("administrator.pem",), lambda: self._shown(ADMINISTRATOR, (), (CLIENT,)))
        # The database makes its first user with it, and takes no other one later.
        own, first = self._place / folder / MONGODB, self._place / "mongodb/password"
        self._put(folder, "ontrack", (MONGODB,), lambda: (first.read_bytes(),) if first.exists() else _password())
        self._put("mongodb", "mongodb", ("password",), lambda: (own.read_bytes(),))

    def _token_of_mailer(self) -> Sequence[bytes]:
        """Make the token by which the mailer tells ingest what came of mails."""
        file = self._place / "tokens" / TOKENS
        with in_words():
            secret = Tokens(file).make(Client("mailer", "mailer", EVERY), self._now)
        self._give(file, "ontrack")
        return (secret.encode(),)

    def _put(self, folder: str, owner: str | None, names: Sequence[str], make: Callable[[], Sequence[bytes]]) -> None:
        """Write files that are made together, unless they are there. Raises Failure."""
        place = self._place / folder
        missing = [name for name in names if not (place / name).exists()]
        if not missing:
            return
        if len(missing) < len(names):
            raise Failure(f"{place / missing[0]} is missing, and what belongs to it is there: put it back")
        contents = make()
        for within in (*reversed(Path(folder).parents[:-1]), Path(folder)):
            self._give(_made_folder(self._place / within), owner)
        for name, content in zip(names, contents, strict=True):
            self._write(place / name, content, owner)

    def _write(self, file: Path, content: bytes, owner: str | None) -> None:
        """Write a whole file or nothing, which nobody reads but its owner."""
        unfinished = file.with_name(f"{file.name}.new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        self._give(unfinished, owner)
        unfinished.rename(file)
        self._made += 1

    def _give(self, path: Path, owner: str | None) -> None:
        if owner is not None and os.geteuid() == _ROOT:
            os.chown(path, OWNERS[owner], OWNERS[owner])

    def _issued(self, name: str, hosts: Sequence[str], uses: Sequence[ObjectIdentifier]) -> Sequence[bytes]:
        """Let the authority vouch for somebody: the certificate and its key."""
        try:
            authority = Authority.read(self._kept("ca.pem"), self._kept("ca.key"))
        except ValueError:
            raise Failure(f"{self._place / 'authority'}: the authority of this folder was expected") from None
        return authority.issue(name, hosts, uses, self._now)

    def _shown(self, name: str, hosts: Sequence[str], uses: Sequence[ObjectIdentifier]) -> Sequence[bytes]:
        """Make one file of what somebody shows."""
        return (b"".join(self._issued(name, hosts, uses)),)

    def _trusted(self) -> Sequence[bytes]:
        return (self._kept("ca.pem"),)

    def _kept(self, name: str) -> bytes:
        file = self._place / "authority" / name
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise Failure(f"{file} is missing: put it back, or begin with an empty folder") from None


def _made_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _password() -> Sequence[bytes]:
    return (secrets.token_hex(24).encode(),)


def _sealing(name: str) -> Sequence[bytes]:
    """Make the key that checkpoints are signed with, and the public one for whoever verifies."""
    signer = Signer.make(name)
    return tuple(f"{each}\n".encode() for each in (signer.written(), signer.verifier))
