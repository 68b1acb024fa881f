"""What the mailer makes of what answers where ingest should be."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import pytest

from deploy.local.ports import free_ports
from services.ingest.http.api import ANSWERED_WITHIN
from services.mailer.client import ANSWERS_WITHIN, IngestOverHttp
from services.mailer.domain.delivery import begun, fact_of, settled, tried
from services.mailer.ingest import IngestUnavailable, NotRecorded, Told

NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOTICE: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
FACT: Final = fact_of(settled(tried(begun("case", NOTICE, ["anna"], NOW)[0], NOW), "sent", NOW), NOW)


@asynccontextmanager
async def answering(status: str, body: str = "", kind: str = "application/json") -> AsyncIterator[IngestOverHttp]:
    """A server that answers everything alike."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(f"{head}{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, IngestOverHttp(url, "ontrack_none", ssl.create_default_context()) as ingest:
        yield ingest


def problem(code: str) -> str:
    return f'{{"type": "urn:ontrack:problem:{code}"}}'


async def test_what_is_on_the_log_of_a_notice_is_read() -> None:
    said = '{"clinic": "north", "group": null, "recipients": ["anna", "bo"], "settled": ["bo"], "is_over": false}'
    async with answering("200 OK", said) as ingest:
        assert await ingest.told("case", "notice") == Told("north", None, ("anna", "bo"), ("bo",))


async def test_what_is_recorded_now_or_before_is_recorded() -> None:
    async with answering("201 Created", "{}") as ingest:
        await ingest.record(FACT)
    async with answering("409 Conflict", problem("key-reused"), "application/problem+json") as ingest:
        await ingest.record(FACT)


@pytest.mark.parametrize(("status", "code"), [("503 Busy", "busy"), ("500 No", "fault")])
async def test_an_ingest_that_can_do_nothing_just_now_is_no_fault_of_a_case(status: str, code: str) -> None:
    async with answering(status, problem(code), "application/problem+json") as ingest:
        with pytest.raises(IngestUnavailable, match=rf"\({code}\)"):
            await ingest.told("case", "notice")
        with pytest.raises(IngestUnavailable, match=rf"\({code}\)"):
            await ingest.record(FACT)


@pytest.mark.parametrize(
    ("status", "code"),
    [("404 Not Found", "unknown-case"), ("422 No", "invalid-body"), ("503 Not Now", "case-unclear")],
)
async def test_a_case_of_which_nothing_can_be_recorded_is_told(status: str, code: str) -> None:
    async with answering(status, problem(code), "application/problem+json") as ingest:
        with pytest.raises(NotRecorded, match=rf"\({code}\)"):
            await ingest.told("case", "notice")
        with pytest.raises(NotRecorded, match=rf"\({code}\)"):
            await ingest.record(FACT)


@pytest.mark.parametrize(
    ("status", "body"),
    [("404 Not Found", "<html>"), ("404 Not Found", '{"type": "about:blank"}'), ("502 Bad", ""), ("409 Conflict", "")],
)
async def test_something_else_than_ingest_is_not_taken_for_it(status: str, body: str) -> None:
    async with answering(status, body) as ingest:
        for call in (ingest.told("case", "notice"), ingest.record(FACT)):
            with pytest.raises(IngestUnavailable, match=r"what answers is not ingest \(\d+\): check"):
                await call


async def test_an_answer_in_other_words_is_not_taken_for_that_of_ingest() -> None:
    async with answering("200 OK", '{"clinic": "north", "group": null, "is_over": "yes and no"}') as ingest:
        with pytest.raises(IngestUnavailable, match="what answers is not ingest"):
            await ingest.told("case", "notice")


async def test_who_is_not_let_in_and_who_reaches_nobody_says_so() -> None:
    async with answering("401 Unauthorized", problem("no-credential")) as ingest:
        with pytest.raises(IngestUnavailable, match="check ONTRACK_INGEST_TOKEN"):
            await ingest.told("case", "notice")
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with IngestOverHttp(url, "ontrack_none", ssl.create_default_context()) as nobody:
        with pytest.raises(IngestUnavailable, match=r"cannot be reached \(ConnectError\)"):
            await nobody.told("case", "notice")


def test_it_has_more_patience_than_ingest_takes_to_answer() -> None:
    assert ANSWERS_WITHIN > ANSWERED_WITHIN
