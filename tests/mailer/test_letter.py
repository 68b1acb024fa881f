"""What a mail says, and what it does not."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

import pytest

from contracts.definitions.definition import Language
from services.mailer.domain.letter import Letterhead, letter

NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
REPORT: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
LINK: Final = f"https://ontrack.clinic.example/reports/{REPORT}"


def read(language: Language = "da", portal: str = "https://ontrack.clinic.example") -> EmailMessage:
    """A mail, as a mailbox gets it."""
    written = letter(
        Letterhead("ontrack@clinic.example", portal),
        delivery_id="5b6f",
        address="anna@clinic.example",
        language=language,
        report=REPORT,
        now=NOW,
    )
    return message_from_bytes(written.as_bytes(), policy=policy.default)


@pytest.mark.parametrize(
    ("language", "subject", "first"),
    [
        ("da", "En rapport venter i OnTrack", "Der ligger en rapport til dig i OnTrack:"),
        ("en", "A report is waiting in OnTrack", "A report is waiting for you in OnTrack:"),
    ],
)
def test_a_mail_says_that_a_report_waits_in_the_language_of_the_therapist(
    language: Language, subject: str, first: str
) -> None:
    mail = read(language)
    assert (mail["Subject"], mail["Content-Language"]) == (subject, language)
    lines = mail.get_content().splitlines()
    assert first in lines
    assert LINK in lines


def test_a_mail_says_where_it_comes_from_and_that_nobody_reads_answers() -> None:
    mail = read()
    assert (mail["From"], mail["To"]) == ("ontrack@clinic.example", "anna@clinic.example")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOW


def test_the_same_delivery_has_the_same_message_id() -> None:
    assert read()["Message-ID"] == read("en")["Message-ID"] == "<5b6f@clinic.example>"


def test_a_portal_may_end_with_a_slash_or_be_below_a_path() -> None:
    assert LINK in read(portal="https://ontrack.clinic.example/").get_content()
    assert f"https://a.example/ontrack/reports/{REPORT}" in read(portal="https://a.example/ontrack").get_content()


def test_every_line_of_a_mail_is_one_that_every_server_takes() -> None:
    written = read().as_bytes()
    assert written.isascii()
    assert max(map(len, written.splitlines())) <= 998
