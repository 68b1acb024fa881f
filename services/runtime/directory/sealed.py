"""Who a case is, as a directory holds it: sealed under the key of the case."""

from dataclasses import asdict
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag

from contracts.codec import CaseKey
from services.runtime.directory.port import Person

_CONTEXT: Final = b"directory"


def seal_person(person: Person, key: CaseKey, case_id: str) -> bytes:
    """Seal who a case is."""
    return key.seal(orjson.dumps(asdict(person)), _CONTEXT, case_id.encode())


def open_person(entry: bytes, key: CaseKey, case_id: str) -> Person | None:
    """Open who a case is; None if that was damaged."""
    try:
        return Person(**orjson.loads(key.unseal(entry, _CONTEXT, case_id.encode())))
    except InvalidTag:
        return None
