"""Ways in which a record can be no event of its topic."""

import json
from collections.abc import Callable
from typing import Final

from tests.runtime.stories import BO, COMMENT
from tests.support.workbench import key_of


def _flipped(value: bytes) -> bytes:
    """A record whose sealed text was changed in one place."""
    text = json.loads(value)["data_base64"]
    return value.replace(text.encode(), (text[:20] + ("A" if text[20] != "A" else "B") + text[21:]).encode())


def _changed(value: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(value), **fields}, sort_keys=True, separators=(",", ":")).encode()


OUTSIDE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "nothing left": lambda _: b"",
    "no JSON": lambda _: b"no record " + COMMENT.encode(),
    "cut off": lambda value: value[:-40],
    "other JSON": lambda _: json.dumps([COMMENT]).encode(),
    "another case": lambda value: _changed(value, subject=BO),
    "no case": lambda value: _changed(value, subject=None),
    "an unknown type": lambda value: _changed(value, type="ontrack.unheard-of.v1"),
    "a type that is no text": lambda value: _changed(value, type=[COMMENT]),
}
"""To be seen without opening the record."""

INSIDE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a changed seal": _flipped,
    "another id": lambda value: _changed(value, id="11111111-2222-3333-4444-555555555555"),
    "another key": lambda value: _changed(value, keyid=key_of(BO).keyid),
    "not sealed": lambda value: _changed(value, data_base64=None, data={"session": 1, "reason": COMMENT}),
}
"""To be seen only where the record is opened."""

OF_NUMBERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "no number": lambda value: _changed(value, sequence=None),
    "a number that is none": lambda value: _changed(value, sequence=COMMENT),
    "number zero": lambda value: _changed(value, sequence="0"),
    "a negative number": lambda value: _changed(value, sequence="-1"),
}
"""On topics whose records bear numbers."""

OF_FACTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a number": lambda value: _changed(value, sequence="1", sequencetype="Integer"),
}
"""On the topic of facts, whose records bear none."""
