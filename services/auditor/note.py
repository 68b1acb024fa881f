"""Signed notes as C2SP has them (c2sp.org/signed-note): a text that people can read, and who vouches for it."""

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"
_KEY: Final = 32
_SECRET: Final = "PRIVATE+KEY+"  # noqa: S105 - begins every one
_NAME: Final = re.compile(r"[^\s+]+")
_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


class NoteInvalid(Exception):
    """A note, or a key, is not what it should be. Says what was expected."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Whose signatures are believed. key: the public one, 32 bytes."""

    name: str
    key: bytes

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a verifier as it is handed on: NAME+HASH+KEY. Raises NoteInvalid."""
        if text.lstrip().startswith(_SECRET):
            raise NoteInvalid(
                "this is a private key, which is for whoever signs alone; the public key was expected, the line that "
                "ontrack audit key printed when it made this one"
            )
        name, digest, key = _parts(text)
        verifier = cls(name, key)
        if digest != verifier.id.hex():
            raise NoteInvalid("a public key whose hash goes with it was expected")
        return verifier

    @property
    def id(self) -> bytes:
        """Give what tells the key in a note: 4 bytes."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        """Write it as it is handed on."""
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.key).decode()}"

    def is_named_in(self, note: str) -> bool:
        """Tell whether a note says that this key has signed it."""
        lines = map(_LINE.fullmatch, note.rpartition("\n\n")[2].splitlines())
        return any(line is not None and self._is_of(line) for line in lines)

    def _is_of(self, line: re.Match[str]) -> bool:
        return line[1] == self.name and _decoded(line[2])[:4] == self.id

    def opened(self, note: str) -> str:
        """Give the text of a note that this key has signed. Raises NoteInvalid."""
        text, signatures = parted(note)
        for name, signature in signatures:
            if name == self.name and signature[:4] == self.id:
                self._require(text, signature[4:])
                return text
        raise NoteInvalid(f"a signature of {self.name} with this very key was expected")

    def _require(self, text: str, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except InvalidSignature:
            raise NoteInvalid(f"the signature of {self.name} does not go with the text") from None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs. secret: the private key, 32 bytes."""

    name: str
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, name: str) -> Self:
        """Make a key. Raises NoteInvalid, if the name cannot stand in a note."""
        if not _NAME.fullmatch(name):
            raise NoteInvalid("a name without spaces and + was expected")
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a private key as it is kept: PRIVATE+KEY+NAME+HASH+KEY. Raises NoteInvalid."""
        if not text.startswith(_SECRET):
            raise NoteInvalid("a private key was expected, which begins with PRIVATE+KEY+")
        name, digest, secret = _parts(text.removeprefix(_SECRET))
        signer = cls(name, secret)
        if digest != signer.verifier.id.hex():
            raise NoteInvalid("a private key whose hash goes with it was expected")
        return signer

    @property
    def verifier(self) -> Verifier:
        """Give what its signatures are verified by."""
        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key()
        return Verifier(self.name, public.public_bytes_raw())

    def written(self) -> str:
        """Write the private key as it is kept."""
        verifier = self.verifier
        return f"{_SECRET}{self.name}+{verifier.id.hex()}+{b64encode(_ED25519 + self.secret).decode()}"

    def signed(self, text: str) -> str:
        """Sign a text, which ends with a line. Gives the note."""
        signature = Ed25519PrivateKey.from_private_bytes(self.secret).sign(text.encode())
        return f"{text}\n— {self.name} {b64encode(self.verifier.id + signature).decode()}\n"


def parted(note: str) -> tuple[str, Sequence[tuple[str, bytes]]]:
    """Give the text of a note, and all its signatures with the names of their keys. Raises NoteInvalid.

    None of them is believed for that, but a note of which one is damaged is none.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteInvalid("a signed note was expected: a text, an empty line, and signatures")
    lines = [_LINE.fullmatch(line) for line in signatures.splitlines()]
    found = [(line[1], _decoded(line[2])) for line in lines if line is not None]
    if len(found) < len(lines):
        raise NoteInvalid("a signature was expected on each line below the empty one")
    return f"{text}\n", found


def _parts(text: str) -> tuple[str, str, bytes]:
    parts = text.strip().split("+", 2)
    if len(parts) != len(("name", "hash", "key")):
        raise NoteInvalid("a key was expected, as NAME+HASH+KEY")
    name, digest, encoded = parts
    key = _decoded(encoded)
    if not key.startswith(_ED25519) or len(key) != len(_ED25519) + _KEY:
        raise NoteInvalid("an Ed25519 key was expected")
    return name, digest, key.removeprefix(_ED25519)


def _decoded(text: str) -> bytes:
    """Read base64; what could be written otherwise would be another note with the same signature."""
    with suppress(Error):
        decoded = b64decode(text, validate=True)
        if b64encode(decoded).decode() == text:
            return decoded
    raise NoteInvalid("base64 was expected")
