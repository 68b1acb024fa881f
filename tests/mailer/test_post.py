"""What the post makes of a mail server, on a real one."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Literal

import pytest
import trustme

from deploy.local.ports import free_ports
from services.mailer.domain.letter import Letterhead, letter
from services.mailer.post import STEP_WITHIN, TAKES_WITHIN, Answer, Fate, MailAway, MailServer, Post, SenderRefused
from tests.support.post_office import post_office

NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
HEAD: Final = Letterhead("ontrack@clinic.example", "https://ontrack.clinic.example")
TAKEN: Final = Answer(Fate.TAKEN)


def mail(address: str = "anna@clinic.example") -> EmailMessage:
    return letter(HEAD, delivery_id="5b6f", address=address, language="da", report="9d1c", now=NOW)


async def sent(server: MailServer, *addresses: str, **within: float) -> list[Answer]:
    """Send letters. within: how long is waited for what, if not as long as usual."""
    async with Post(server, **within) as opened:
        answers = []
        for address in addresses or ("anna@clinic.example",):
            await opened.open()
            answers.append(await opened.send(mail(address)))
        return answers


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_letters_go_over_tls_one_after_the_other(tmp_path: Path, tls: Literal["starttls", "implicit"]) -> None:
    async with post_office(tmp_path, tls=tls) as office:
        assert await sent(office.server(tls), "anna@clinic.example", "bo@clinic.example") == [TAKEN, TAKEN]
        assert office.to == ["anna@clinic.example", "bo@clinic.example"]


async def test_who_has_a_user_shows_it(tmp_path: Path) -> None:
    async with post_office(tmp_path, asks_who=True) as office:
        assert await sent(office.server(username="ontrack", password="letters-91c2")) == [TAKEN]
        with pytest.raises(MailAway, match=r"does not let the user in \(535\): check ONTRACK_SMTP_USERNAME") as away:
            await sent(office.server(username="ontrack", password="wrong-3f"))
        assert "wrong-3f" not in str(away.value)
        assert len(office.letters) == 1


async def test_nothing_is_sent_without_tls(tmp_path: Path) -> None:
    async with post_office(tmp_path, tls="none") as office:
        with pytest.raises(MailAway, match="offers no STARTTLS"):
            await sent(office.server())
        with pytest.raises(MailAway, match="does not speak TLS at this port"):
            await sent(office.server("implicit"))
        assert office.letters == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_nothing_is_sent_to_a_server_for_which_nobody_vouches(
    tmp_path: Path, tls: Literal["starttls", "implicit"]
) -> None:
    async with post_office(tmp_path, tls=tls) as office:
        for server in (
            office.server(tls, ca_file=None),
            office.server(tls, host="localhost"),
        ):
            with pytest.raises(MailAway, match=r"a certificate that is not trusted \(.+\): check ONTRACK_SMTP_CA_FILE"):
                await sent(server)
        assert office.letters == []


async def test_who_vouches_for_the_server_is_read_when_it_is_connected_to(tmp_path: Path) -> None:
    # given a server whose certificate is of another authority than before, and a file that names the one before
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))
    async with post_office(tmp_path) as office:
        server = office.server(ca_file=trusted)
        with pytest.raises(MailAway, match="a certificate that is not trusted"):
            await sent(server)

        # when the file is replaced by halves, taken away, and then replaced, then each is told as what it is
        trusted.write_text("-----BEGIN")
        with pytest.raises(MailAway, match=rf"{trusted} holds no certificates: check ONTRACK_SMTP_CA_FILE"):
            await sent(server)
        trusted.unlink()
        with pytest.raises(MailAway, match=rf"{trusted} cannot be read \(No such file or directory\): check"):
            await sent(server)
        trusted.write_bytes(office.ca_file.read_bytes())
        assert await sent(server) == [TAKEN]


async def test_a_server_that_is_away_says_so(tmp_path: Path) -> None:
    async with post_office(tmp_path) as office:
        gone = office.server(port=free_ports(1)[0])
        with pytest.raises(MailAway, match=f"at 127.0.0.1:{gone.port} cannot be reached: check that it runs"):
            await sent(gone)


ANSWERS: Final = {
    "an address that does not exist": ("550 5.1.1 no such user", Fate.REFUSED, "smtp-550"),
    "an address that is no more": ("550 5.2.1 mailbox disabled", Fate.REFUSED, "smtp-550"),
    "an address that is not well formed": ("501 5.1.3 bad address", Fate.REFUSED, "smtp-501"),
    "an address whose domain takes no mail": ("556 5.1.10 null MX", Fate.REFUSED, "smtp-556"),
    "an address of which something else is wrong": ("550 5.1.0 address rejected", Fate.PUT_OFF, "smtp-550"),
    "an address that is full": ("452 4.2.2 mailbox full", Fate.PUT_OFF, "smtp-452"),
    "an address that is full for now, said as if for ever": ("552 5.2.2 mailbox full", Fate.PUT_OFF, "smtp-552"),
    "a refusal that does not say why": ("550 relay not permitted", Fate.PUT_OFF, "smtp-550"),
    "a domain without a mail server just now": ("550 5.4.1 no answer", Fate.PUT_OFF, "smtp-550"),
    "an address whose server is greylisting": ("450 4.2.0 come back later", Fate.PUT_OFF, "smtp-450"),
    "an address that we may not send to": ("550 5.7.1 relaying denied", Fate.PUT_OFF, "smtp-550"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_a_server_says_of_one_address_holds_for_that_one(tmp_path: Path, name: str) -> None:
    said, fate, reason = ANSWERS[name]
    async with post_office(tmp_path) as office:
        office.of_recipient = lambda address: said if address == "bo@clinic.example" else "250 OK"
        answers = await sent(office.server(), "bo@clinic.example", "anna@clinic.example")
        assert answers == [Answer(fate, reason), TAKEN]
        assert office.to == ["anna@clinic.example"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("451 4.3.0 try again", "smtp-451"),
        ("554 5.6.0 not like that", "smtp-554"),
        ("421 4.3.2 closing down", "smtp-421"),
        ("drops", "smtp-broken-off"),
    ],
)
async def test_a_letter_that_is_not_taken_is_put_off_and_the_next_one_goes(
    tmp_path: Path, said: str, reason: str
) -> None:
    async with post_office(tmp_path) as office:
        office.of_letter = lambda address: said if address == "bo@clinic.example" else "250 OK"
        answers = await sent(office.server(), "bo@clinic.example", "anna@clinic.example")
        assert answers == [Answer(Fate.PUT_OFF, reason), TAKEN]


@pytest.mark.parametrize("step", ["of_recipient", "of_letter"])
async def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path, step: str) -> None:
    step_within = 2.0 if step == "of_letter" else 0.3
    async with post_office(tmp_path) as office:
        setattr(office, step, lambda address: "hangs" if address == "bo@clinic.example" else "250 OK")
        both = ("bo@clinic.example", "anna@clinic.example")
        answers = await sent(office.server(), *both, step_within=step_within, takes_within=0.3)
        assert answers == [Answer(Fate.PUT_OFF, "smtp-silent"), TAKEN]


def test_a_server_may_take_as_long_over_a_letter_as_it_is_promised() -> None:
    # RFC 5321, 4.5.3.2.6: who gives up earlier sends again what was taken, and so for four days
    assert timedelta(minutes=10).total_seconds() <= TAKES_WITHIN


async def test_a_server_that_does_not_greet_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = MailServer("127.0.0.1", silent.getsockname()[1], "starttls")
        with pytest.raises(MailAway, match="does not answer"):
            await sent(server, step_within=0.3)


async def test_a_sender_that_is_refused_concerns_everybody(tmp_path: Path) -> None:
    async with post_office(tmp_path) as office:
        office.sender = "553 5.7.1 not yours"
        with pytest.raises(MailAway, match=r"refuses the sender \(553\): check ONTRACK_MAIL_FROM"):
            await sent(office.server())
        office.sender = "530 5.7.0 authentication required"
        with pytest.raises(MailAway, match=r"asks who sends \(530\): check ONTRACK_SMTP_USERNAME"):
            await sent(office.server())
        office.sender = "452 4.3.1 insufficient system storage"
        with pytest.raises(MailAway, match=r"takes no mail just now \(452\)"):
            await sent(office.server())
        office.sender = "250 OK"
        assert await sent(office.server()) == [TAKEN]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("421 4.7.0 enough for one connection", r"takes no mail just now \(421\)"),
        ("drops", "cannot be reached"),
        ("hangs", "does not answer"),
    ],
)
async def test_a_connection_that_ends_before_the_recipient_is_named_says_nothing_of_a_letter(
    tmp_path: Path, said: str, why: str
) -> None:
    async with post_office(tmp_path) as office:
        office.sender = said
        with pytest.raises(MailAway, match=why) as away:
            await sent(office.server(), step_within=2.0)
        assert not isinstance(away.value, SenderRefused)


@pytest.mark.parametrize("said", ["550 5.1.8 domain not found", "553 5.1.7 bad sender", "450 4.1.8 domain not found"])
async def test_a_sender_that_is_refused_when_the_recipient_is_named_concerns_everybody(
    tmp_path: Path, said: str
) -> None:
    async with post_office(tmp_path) as office:
        office.of_recipient = lambda _: said
        with pytest.raises(MailAway, match=rf"refuses the sender \({said[:3]}\): check ONTRACK_MAIL_FROM"):
            await sent(office.server())
        office.of_recipient = lambda _: "250 OK"
        assert await sent(office.server()) == [TAKEN]


async def test_who_is_told_to_end_does_not_wait_for_a_server_that_says_nothing(tmp_path: Path) -> None:
    # given a server that has heard a letter, and says nothing
    async with post_office(tmp_path) as office:
        office.of_letter = lambda _: "hangs"
        sending = asyncio.create_task(sent(office.server()))
        await office.asked.wait()

        # when it is not waited for any more, then that is so at once
        sending.cancel()
        done, _ = await asyncio.wait({sending}, timeout=STEP_WITHIN / 2)
        assert done == {sending}
        office.passed.set()
