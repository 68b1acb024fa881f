"""The master key: in a file that only its owner reads; it wraps the keys of cases and makes case ids."""

import hmac
import os
import secrets
import stat
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from contracts.codec import CaseKey
from services.runtime.permission import require_reading
from services.runtime.refusals import NotPermitted

MASTER_LENGTH = 32
CASE_ID_LENGTH = 32


class MasterKeyUnusable(Exception):
    """The file of the master key is absent, open to others, or not a key. Says what to do."""


class MasterKey:
    """Wraps and unwraps case keys (RFC 3394), makes case ids and vouches for backups (HMAC-SHA-256).

    It seals what is of no case too, as the key of a case seals.

    Each is done with a key of its own.
    """

    def __init__(self, secret: bytes) -> None:
        """Use `secret`, 32 random bytes."""
        self._wrapping = _derived(secret, b"wrap case keys")
        self._naming = _derived(secret, b"name cases")
        self._vouching = _derived(secret, b"vouch for backups")
        self._sealing = CaseKey(_derived(secret, b"seal what is of no case", CaseKey.LENGTH))
        self.fingerprint = _derived(secret, b"recognise the master key")

    @classmethod
    def create(cls, file: Path) -> "MasterKey":
        """Make a new key and write it to a file that does not exist yet; only one process at a time may do this."""
        if file.exists():
            raise FileExistsError(file)
        secret = secrets.token_bytes(MASTER_LENGTH)
        unfinished = file.with_name(f"{file.name}.new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b64encode(secret) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.rename(file)
        directory = os.open(file.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        return cls(secret)

    @classmethod
    def read(cls, file: Path) -> "MasterKey":
        """Read the key from its file. Raises MasterKeyUnusable."""
        try:
            require_reading(file)
            mode = file.stat().st_mode
            text = file.read_bytes()
        except FileNotFoundError:
            raise MasterKeyUnusable(
                f"{file} is missing: put the master key back from where you keep its copy"
            ) from None
        except NotPermitted as refused:
            raise MasterKeyUnusable(str(refused)) from None
        except OSError as error:
            raise MasterKeyUnusable(f"{file} cannot be read ({error.strerror})") from None
        if stat.S_IMODE(mode) & 0o077:
            raise MasterKeyUnusable(f"{file} is open to others: run chmod 600 {file}")
        try:
            secret = b64decode(text.strip(), validate=True)
        except ValueError:
            secret = b""
        if len(secret) != MASTER_LENGTH:
            raise MasterKeyUnusable(f"{file} is not a master key: put it back from where you keep its copy")
        return cls(secret)

    def wrap(self, key: CaseKey) -> bytes:
        """Wrap the key of a case."""
        return aes_key_wrap(self._wrapping, key.secret)

    def unwrap(self, wrapped: bytes) -> CaseKey:
        """Unwrap the key of a case. Raises MasterKeyUnusable if it was wrapped by another master key."""
        try:
            return CaseKey(aes_key_unwrap(self._wrapping, wrapped))
        except InvalidUnwrap:
            raise MasterKeyUnusable("the master key is not the one that the case keys were wrapped with") from None

    def case_id(self, clinic: str, number: str) -> str:
        """Give the case id of a clinic's external number."""
        message = f"{clinic}\x1f{normalize('NFC', number)}".encode()
        return hmac.new(self._naming, message, sha256).hexdigest()[:CASE_ID_LENGTH]

    def disguised(self, text: str) -> str:
        """Give what stands for a text that somebody could guess."""
        # As of a clinic without a name, which there is none: so no number of a patient gives the same.
        return hmac.new(self._naming, b"\x1f" + text.encode(), sha256).hexdigest()

    def seal(self, content: bytes, purpose: bytes) -> bytes:
        """Seal what is of no case, for one purpose."""
        return self._sealing.seal(content, purpose)

    def unseal(self, sealed: bytes, purpose: bytes) -> bytes:
        """Open what was sealed so. Raises InvalidTag."""
        return self._sealing.unseal(sealed, purpose)

    def vouch_for(self, content: bytes) -> bytes:
        """Give what nobody makes of some bytes without this master key."""
        return hmac.new(self._vouching, content, sha256).digest()


def _derived(secret: bytes, purpose: bytes, length: int = 32) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"ontrack " + purpose).derive(secret)
