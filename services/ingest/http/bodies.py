"""What comes in a request, taken in within bounds: so much, in so much time, JSON, and of a form that is expected."""

import asyncio
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson
from starlette.requests import Request

from services.ingest.http.faults import Fault
from services.ingest.http.problems import INVALID, MEDIA, NOT_JSON, TOO_LARGE, TOO_SLOW, Problem
from services.ingest.http.room import Loan

BYTES_AT_MOST: Final = 1 << 20

BODY_WITHIN: Final = 10.0
"""Seconds within which a body has to be there."""

DEEP_AT_MOST: Final = 32
"""Objects and lists within one another. What was read is written again to be checked, and that ends somewhere."""

_LESS_DEEP: Final = Fault("", f"at most {DEEP_AT_MOST} objects and lists within one another")

ENTRIES_AT_MOST: Final = 1_024
"""Entries of an object or a list: more than a course can have sessions. Each of them can be wrong, and is looked at."""

_NEST: Final = dict | list
JSON: Final = "application/json"
_CHARSET: Final = re.compile(r"\bcharset\s*=\s*\"?([^\s\";]*)")
DIGITS_AT_MOST: Final = 40
"""Digits of a number that is read exactly: written out, one such as 1e999999999 would fill the memory."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; a name that stands twice would hide a value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(INVALID, Fault("", "each name once in an object"))
    return found


_NAMES: Final = json.JSONDecoder(object_pairs_hook=_once_each, parse_int=len, parse_float=len)
"""Looks at nothing but the names: of two values by one name, the parser that is fast gives the last."""


async def object_of(request: Request, loan: Loan) -> dict[str, Any]:
    """Give the JSON object that a request brings. Raises Problem."""
    return _object(await _body(request, loan, (JSON,)))


async def exact_object_of(request: Request, loan: Loan, media_types: tuple[str, ...]) -> dict[str, Any]:
    """Give the JSON object that a request brings, with a decimal for each number with a point. Raises Problem."""
    body = await _body(request, loan, media_types)
    _object(body)
    try:
        said: dict[str, Any] = json.loads(body, parse_float=_exact, parse_int=_exact)
    except (ValueError, InvalidOperation):
        raise Problem(NOT_JSON) from None
    return said


async def _body(request: Request, loan: Loan, media_types: tuple[str, ...]) -> bytes:
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = _CHARSET.search(parameters)
    is_utf_8 = charset is None or charset[1] in ("utf-8", "utf8")
    is_plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    if media_type.strip() not in media_types or not is_utf_8 or not is_plain:
        raise Problem(MEDIA)
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await _bytes_of(request, loan)
    except TimeoutError:
        raise Problem(TOO_SLOW) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(NOT_JSON) from None
    if not isinstance(said, dict):
        raise Problem(INVALID, Fault("", "an object"))
    _require_bounds(said)
    # What is written as it would be written here has each name once.
    if orjson.dumps(said) != body:
        _require_names_once(body)
    return said


def _require_names_once(body: bytes) -> None:
    """Make sure that no value is hidden by another one of its name. Raises Problem."""
    try:
        _NAMES.decode(body.decode())
    except RecursionError:
        # Of a value that is hidden nobody has seen yet how deep it is.
        raise Problem(INVALID, _LESS_DEEP) from None


def _require_bounds(said: dict[str, Any] | list[Any], deep: int = DEEP_AT_MOST) -> None:
    """Make sure that what is said is neither too deep nor too wide. Raises Problem. deep: levels that are left."""
    if not deep:
        raise Problem(INVALID, _LESS_DEEP)
    if len(said) > ENTRIES_AT_MOST:
        raise Problem(INVALID, Fault("", f"at most {ENTRIES_AT_MOST:,} entries in an object or a list"))
    for value in said.values() if isinstance(said, dict) else said:
        if isinstance(value, _NEST):
            _require_bounds(value, deep - 1)


def _exact(text: str) -> int | Decimal:
    number = Decimal(text)
    if len(text) > DIGITS_AT_MOST or abs(number.adjusted()) > DIGITS_AT_MOST:
        raise Problem(INVALID, Fault("", f"numbers of at most {DIGITS_AT_MOST} digits"))
    return number if set(text) & set(".eE") else int(text)


async def _bytes_of(request: Request, loan: Loan) -> bytes:
    if loan.body is not None:
        return loan.body
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > BYTES_AT_MOST:
        raise Problem(TOO_LARGE)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BYTES_AT_MOST:
            raise Problem(TOO_LARGE)
        loan.take(len(chunk))
        chunks.append(chunk)
    loan.body = b"".join(chunks)
    return loan.body
