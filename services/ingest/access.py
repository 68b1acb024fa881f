"""Who may use the API: clients with a role and a clinic, known by secret tokens of which only digests are kept."""

import fcntl
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.events.fields import Instant, Name

Role = Literal["patient-app", "ehr", "admin", "mailer"]
ROLES: Final[Sequence[Role]] = get_args(Role)

EVERY: Final = "*"
"""In the place of a clinic: whoever works for all of them."""

TOKENS: Final = "tokens.json"
"""The file of tokens in a data directory."""

_SCHEME: Final = "bearer"
"""In any case of its letters (RFC 9110)."""

_BEGINS: Final = "ontrack_"
_BYTES: Final = 32


class AccessUnusable(Exception):
    """Nobody can be let in before somebody mends something. Says what to do."""


class TokensUnusable(AccessUnusable):
    """The file of tokens is open to others, damaged, or cannot be read or written."""


class TokensDamaged(TokensUnusable):
    """The file of tokens does not hold what was written there: which tokens there were, it does not tell."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the name of a system, what it may do, and the only clinic whose cases exist for it, or `EVERY`."""

    name: str
    role: Role
    clinic: str

    @property
    def only(self) -> str | None:
        """The only clinic whose cases exist for it; None if all of them do."""
        return None if self.clinic == EVERY else self.clinic

    def sees(self, clinic: str | None) -> bool:
        """Tell whether the cases of a clinic exist for it."""
        return self.only in (None, clinic)


class Access(Protocol):
    """Tells who asks. Another way of proving that, such as OpenID Connect, takes the place of `Tokens`."""

    async def client(self, authorization: str | None) -> Client | None:
        """Tell who asks, by the header `Authorization`; None if that proves nobody.

        Raises AccessUnusable, or Unavailable if what tells that cannot be reached just now.
        """


class Token(BaseModel):
    """A token, as far as it is kept. id: names it where it is listed; digest: SHA-256 of the token."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Name
    name: Name
    role: Role
    clinic: Name | Literal["*"]
    made: Instant
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _works_for_whom_it_may(self) -> Self:
        if (self.clinic == EVERY) != (self.role == "mailer"):
            raise ValueError("every clinic for the mailer, and one for all others")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    tokens: tuple[Token, ...]


class Tokens:
    """The tokens in a file, which is read again whenever it has changed: what is revoked is refused from then on.

    A token is 256 random bits, so its digest tells nothing of it, and needs no salt and no slowness.
    """

    def __init__(self, file: Path) -> None:
        """Use a file; one that is not there holds no token."""
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    async def client(self, authorization: str | None) -> Client | None:
        """Tell who asks; as much is compared whoever it is, so that the time it takes tells nothing."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != _SCHEME:
            return None
        digest, found = _digest(secret), None
        for token in self.all():
            if hmac.compare_digest(digest, token.digest):
                found = Client(token.name, token.role, token.clinic)
        return found

    def all(self) -> Sequence[Token]:
        """Give every token, in the order in which they were made. Raises TokensUnusable."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise TokensUnusable(f"{self._file} cannot be read ({error.strerror})") from None
        seen = status.st_ino, status.st_mtime_ns, status.st_size
        if seen != self._seen:
            if status.st_mode & 0o077:
                raise TokensUnusable(f"{self._file} is open to others: run chmod 600 {self._file}")
            self._tokens, self._seen = self._read(), seen
        return self._tokens

    def make(self, client: Client, at: datetime) -> str:
        """Make a token for a client; it is given here and can never be told again. Raises TokensUnusable."""
        secret = _BEGINS + secrets.token_urlsafe(_BYTES)
        with self._alone():
            known = self.all()
            names = {token.id for token in known}
            name = next(name for name in iter(lambda: secrets.token_hex(3), "") if name not in names)
            token = Token(
                id=name, name=client.name, role=client.role, clinic=client.clinic, made=at, digest=_digest(secret)
            )
            self._write([*known, token])
        return secret

    def make_first(self, client: Client, at: datetime) -> str | None:
        """Make a token where none was ever made; who has revoked all is not given another. Raises TokensUnusable."""
        if not self._file.exists():
            return self.make(client, at)
        self.all()
        return None

    def revoke(self, token_id: str) -> bool:
        """Let a token prove nobody from now on; tell whether there was one. Raises TokensUnusable."""
        with self._alone():
            known = self.all()
            kept = [token for token in known if token.id != token_id]
            if len(kept) < len(known):
                self._write(kept)
        return len(kept) < len(known)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else change the file meanwhile: what they had read before would undo this, or this that."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise TokensUnusable(f"{self._file} cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _read(self) -> tuple[Token, ...]:
        try:
            return _File.model_validate_json(self._file.read_bytes()).tokens
        except OSError as error:
            raise TokensUnusable(f"{self._file} cannot be read ({error.strerror})") from None
        except ValidationError:
            raise TokensDamaged(
                f"{self._file} is damaged: put its last good copy there; or remove it, and make another token for each "
                "client by ontrack token make"
            ) from None

    def _write(self, tokens: Iterable[Token]) -> None:
        """Put another file in the place of the one that is there, whole."""
        unfinished = self._file.with_name(f"{self._file.name}.new")
        try:
            # A file that root has made would keep out the service, which runs as whoever has the directory.
            owner = (self._file if self._file.exists() else self._file.parent).stat()
            with suppress(FileNotFoundError):
                unfinished.unlink()
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                if os.geteuid() == 0:
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                stream.write(_File(tokens=tuple(tokens)).model_dump_json(indent=2).encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.rename(self._file)
        except OSError as error:
            raise TokensUnusable(f"{self._file} cannot be written ({error.strerror})") from None


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()
