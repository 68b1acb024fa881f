"""What comes in a request, taken in within bounds: so much, in so much time, JSON, and of a form that is expected."""

import asyncio
from typing import Any, Final

import orjson
from starlette.requests import Request

from services.ingest.http.problems import INVALID, MEDIA, NOT_JSON, TOO_LARGE, TOO_SLOW, Fault, Problem

BYTES_AT_MOST: Final = 1 << 20
BODY_WITHIN: Final = 10.0
"""Seconds within which a body has to be there."""

JSON: Final = "application/json"


async def object_of(request: Request, media_types: tuple[str, ...] = (JSON,)) -> dict[str, Any]:
    """Give the JSON object that a request brings. Raises Problem."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise Problem(MEDIA)
    try:
        async with asyncio.timeout(BODY_WITHIN):
            body = await _bytes_of(request)
    except TimeoutError:
        raise Problem(TOO_SLOW) from None
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(NOT_JSON) from None
    if not isinstance(said, dict):
        raise Problem(INVALID, Fault("", "an object"))
    return said


async def _bytes_of(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > BYTES_AT_MOST:
        raise Problem(TOO_LARGE)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BYTES_AT_MOST:
            raise Problem(TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)
