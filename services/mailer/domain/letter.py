"""The mail itself. It says that a report is waiting and where, and nothing else: mail can be read on its way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from contracts.definitions.definition import Language

POLICY: Final = SMTP.clone(cte_type="7bit")


class _Words(NamedTuple):
    subject: str
    body: str


_WORDS: Final[Mapping[Language, _Words]] = MappingProxyType(
    {
        "da": _Words(
            "En rapport venter i OnTrack",
            "Hej\n\nDer ligger en rapport til dig i OnTrack:\n\n{link}\n\n"
            "Af hensyn til fortroligheden står der ikke mere her. Mailen er sendt automatisk og kan ikke besvares.\n",
        ),
        "en": _Words(
            "A report is waiting in OnTrack",
            "Hello\n\nA report is waiting for you in OnTrack:\n\n{link}\n\n"
            "For confidentiality this mail says no more. It was sent automatically and cannot be answered.\n",
        ),
    }
)


@dataclass(frozen=True)
class Letterhead:
    """What is the same in every mail. sender: an address; portal: where reports are read, a URL."""

    sender: str
    portal: str


def letter(
    head: Letterhead, *, delivery_id: str, address: str, language: Language, report: str, now: datetime
) -> EmailMessage:
    """Write the mail of one delivery. What is sent twice has the same Message-ID, so that mailboxes can tell."""
    words = _WORDS[language]
    mail = EmailMessage(policy=POLICY)
    mail["From"] = head.sender
    mail["To"] = address
    mail["Subject"] = words.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{delivery_id}@{head.sender.rpartition('@')[2]}>"
    # RFC 3834: whatever answers mail by itself does not answer this.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words.body.format(link=f"{head.portal.rstrip('/')}/reports/{report}"))
    mail["Content-Language"] = language
    return mail
