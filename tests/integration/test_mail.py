"""Mail as a service: what comes of answers in a mailbox, whatever is away or killed meanwhile."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.topics import CASES
from services.distributed import DistributedHome
from services.ingest.access import EVERY, Client, Tokens
from tests.support.post_office import PostOffice, post_office_beside
from tests.support.region import SERVE, Process, Region, region_of_its_own
from tests.support.said import said_on

NOW: Final = datetime.now(UTC)
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
BOTH: Final = ("anna@north.example", "bo@north.example")
MANY: Final = 12
KILLS: Final = 3
HASTY: Final = (sys.executable, "-m", "tests.support.hasty")


class Ward:
    """A region that sends mail, and its clients."""

    def __init__(self, region: Region, office: PostOffice) -> None:
        self.region = region
        self.office = office
        tokens = Tokens(region.tokens)
        admin = tokens.make(Client("records", "admin", "north"), NOW)
        self._admin = {"Authorization": f"Bearer {admin}"}
        self._mailer = tokens.make(Client("mailer", "mailer", EVERY), NOW)
        self.ingest, *stages = region.serve("ingest", "scoring", "not-detector", "notifier")
        for process in (self.ingest, *stages):
            process.wait_until_ready()

    def mailer(self, program: Sequence[str | Path] = SERVE, **changes: str) -> Process:
        """Start a mailer."""
        environment = {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.office.port),
            "SMTP_CA_FILE": str(self.office.ca_file),
            "MAIL_FROM": "ontrack@north.example",
            "PORTAL_URL": "https://ontrack.north.example",
            "INGEST_URL": f"http://127.0.0.1:{self.ingest.api_port}",
            "INGEST_TOKEN": self._mailer,
            **changes,
        }
        named = {f"ONTRACK_{name}": value for name, value in environment.items()}
        return self.region.serve_by(program, "mailer", **named)

    def put(self, path: str, **body: Any) -> None:
        status, answer = self.ingest.request("PUT", path, body, **self._admin)
        assert status == HTTPStatus.OK, answer

    def deteriorates(self, number: int) -> None:
        """Let a patient get worse."""
        enrolment = {"number": str(number), "group": "mondays", "protocol": "open-ended", "policy": "gryesten-2023"}
        case = self._post("/v1/cases", enrolment, f"enrol-{number}")["case"]
        for session, value in enumerate((1, 3), 1):
            body = {
                "session": session,
                "instrument": "odsis",
                "answers": dict.fromkeys(ODSIS, value),
                "answered_at": (NOW - timedelta(days=14 - 7 * session)).isoformat(),
            }
            self._post(f"/v1/cases/{case}/response-submitted", body, f"answer-{number}-{session}")

    def _post(self, path: str, body: Any, key: str) -> Any:
        status, answer = self.ingest.request("POST", path, body, **self._admin, Idempotency_Key=key)
        assert status == HTTPStatus.CREATED, answer
        return answer

    def outcomes(self) -> list[NoticeSent | NoticeFailed]:
        """What the log says of mails."""

        async def found(home: DistributedHome) -> list[NoticeSent | NoticeFailed]:
            events = await said_on(home.log, home.keyring, CASES, NoticeSent, NoticeFailed)
            return [each.data for each in events if isinstance(each.data, NoticeSent | NoticeFailed)]

        return self.region.asked(found)

    def wait_for_outcomes(self, number: int) -> list[NoticeSent | NoticeFailed]:
        self.ingest.wait_until(lambda: len(self.outcomes()) >= number, f"{number} outcomes of mails are on the log")
        return self.outcomes()


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with region_of_its_own(tmp_path) as region, post_office_beside(tmp_path) as office:
        made = Ward(region.provision(), office)
        for name in ("anna", "bo"):
            made.put(f"/v1/therapists/{name}", address=f"{name}@north.example")
        made.put("/v1/groups/mondays", sessions={}, therapists=["anna", "bo"])
        yield made


def test_what_a_patient_answers_comes_out_as_mail(ward: Ward) -> None:
    # given a mailer
    mailer = ward.mailer().wait_until_ready()

    # when a patient gets worse
    ward.deteriorates(1)

    # then both therapists have a mail, and that stands on the log
    outcomes = ward.wait_for_outcomes(2)
    assert sorted(ward.office.to) == sorted(BOTH)
    assert {(type(each), each.recipient) for each in outcomes} == {(NoticeSent, "anna"), (NoticeSent, "bo")}

    # and is measured, and no address is in any log
    _, page = mailer.asked("/metrics")
    assert re.search(rb'ontrack_mail_tries_total\{fate="taken",stage="mailer"\} 2\.0', page)
    assert mailer.stop() == 0
    assert "north.example" not in mailer.log.read_text()


def test_what_keeps_mail_from_going_out_is_told(ward: Ward) -> None:
    """One mailer at a time: FerretDB loses one of two changes of a case now and then, which MongoDB does not."""
    # given mail that is to be sent
    ward.deteriorates(1)

    # when a mailer has a token that was revoked, or a mail server that is away
    # then each says what is in the way, and what to check
    for change, told, is_alive in (
        ({"INGEST_TOKEN": "ontrack_none"}, "ingest does not let the mailer in: check ONTRACK_INGEST_TOKEN", False),
        ({"SMTP_PORT": "1"}, "the mail server at 127.0.0.1:1 cannot be reached", True),
    ):
        mailer = ward.mailer(**change)
        mailer.wait_until(lambda: told in " ".join(mailer.why_not("ready")), f"it is not ready, saying {told}", 30)  # noqa: B023 - called at once
        assert (mailer.why_not("alive") == []) is is_alive
        assert mailer.stop() == 0
    assert ward.office.letters == []

    # and another one that can does it
    able = ward.mailer()
    ward.wait_for_outcomes(2)
    assert Counter(ward.office.to) == Counter(BOTH)
    able.wait_until_ready()


def test_a_mailer_that_is_killed_sends_everything_and_once_more_a_kill_at_most(ward: Ward) -> None:
    """One at a time: FerretDB lets two of them win one try now and then, which MongoDB does not."""
    # given a mailer that tries again soon, and patients who get worse
    mailer = ward.mailer(HASTY)
    for number in range(MANY):
        ward.deteriorates(number)

    # when it is killed while it sends, and another one goes on
    for kill in range(1, KILLS + 1):
        ward.ingest.wait_until(
            lambda wanted=kill * 2 * MANY // (KILLS + 1): len(ward.office.letters) >= wanted,  # type: ignore[misc]
            "some letters were taken",
        )
        mailer.kill()
        mailer = ward.mailer(HASTY)

    # then everybody got everything, and hardly anything twice
    outcomes = ward.wait_for_outcomes(2 * MANY)
    assert len({(each.notice, each.recipient) for each in outcomes}) == len(outcomes) == 2 * MANY
    got = Counter((str(letter["To"]), str(letter["Message-ID"])) for letter in ward.office.letters)
    assert Counter(address for address, _ in got) == Counter(dict.fromkeys(BOTH, MANY))
    assert got.total() <= 2 * MANY + KILLS
