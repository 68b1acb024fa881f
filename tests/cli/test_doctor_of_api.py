"""`ontrack doctor` on where clients ask: whatever is set for it, it tells what is so."""

import asyncio
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.ports import free_ports
from services.cli.doctor.checked import Checked
from services.cli.doctor.of_region import of_api
from services.mailer.settings import MailerSettings
from services.runtime.addresses import LAST_PORT, server_of
from services.runtime.environment import settings_of
from services.runtime.refusals import SettingsWrong

MISTYPED: Final = [
    "",
    "ontrack.example",
    "ontrack.example:8443",
    "htps://ontrack.example:8443",
    "https://",
    "https://:8443",
    "https://ontrack.example:port",
    "https://ontrack.example:65536",
    "https://ontrack.example:0",
    "https://ontrack.example:-1",
    "https://a..b:1",
    "https://.b:1",
    f"https://{'a' * 64}.example:1",
    "https://a b:1",
    "https://a\nb:1",
    "https://a\0b:1",
    "https://\udcff:1",
    "https://[::1",
    "https://[ontrack]:1",
    "https://[::1%25a\0]:1",
    "https://anna:secret@ontrack.example:1",
]


async def found(url: str) -> list[Checked]:
    return [each async for each in of_api(url)]


@pytest.mark.parametrize("url", MISTYPED)
async def test_an_address_that_leads_nowhere_is_told_without_what_stands_there(url: str) -> None:
    (told,) = await found(url)
    assert (told.what, told.verdict) == ("API", "finding")
    assert told.says == "ONTRACK_INGEST_URL: https://HOST:PORT was expected, or http:// where TLS ends elsewhere"


@pytest.mark.parametrize("url", [url for url in MISTYPED if url and "\0" not in url])
def test_the_mailer_does_not_start_with_such_an_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONTRACK_INGEST_URL", url)
    with pytest.raises(SettingsWrong) as wrong:
        settings_of(MailerSettings)
    told = [line for line in str(wrong.value).splitlines() if "ONTRACK_INGEST_URL" in line]
    assert told == ["ONTRACK_INGEST_URL: https://HOST:PORT; http:// to this machine only was expected"]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://ontrack.example", "ontrack.example:80"),
        ("https://ontrack.example/", "ontrack.example:443"),
        ("HTTPS://Ontrack.Example:8443/v1", "ontrack.example:8443"),
        ("https://[::1]:8443", "[::1]:8443"),
        ("https://klinik-ø.example", "klinik-ø.example:443"),
    ],
)
def test_an_address_leads_to_the_port_that_it_names_or_that_of_its_scheme(url: str, server: str) -> None:
    assert server_of(url) == server


async def test_whether_somebody_answers_there_is_looked_at() -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (told,) = await found(f"http://localhost:{port}")
        assert (told.verdict, told.says) == ("ok", f"it listens at localhost:{port}")
    (nobody,) = free_ports(1)
    (told,) = await found(f"https://localhost:{nobody}")
    assert (told.verdict, told.says) == ("finding", f"nothing listens at localhost:{nobody}")


@given(st.text() | st.from_regex(r"\Ahttps?://[^/]*\Z"))
def test_whatever_is_set_either_leads_somewhere_or_is_refused(url: str) -> None:
    with suppress(ValueError):
        host, _, port = server_of(url).rpartition(":")
        assert host.encode("idna")
        assert 0 < int(port) <= LAST_PORT
