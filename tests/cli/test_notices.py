"""`ontrack notices`: what was sent, what failed, and what waits."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import pytest

from services.mailer.domain.mailbag import NEWS_FOR
from tests.support.command import ontrack, succeeded
from tests.support.editing import edit
from tests.support.mailing import led_by, mailing_clinic

REFUSED: Final = "550 5.1.1 nobody here"
LATER: Final = "450 4.2.0 come back later"
BEGAN: Final = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic with mail that was sent, that was refused, that is put off, and for which there is nobody."""
    folder = tmp_path_factory.mktemp("clinic")

    async def make() -> None:
        async with mailing_clinic(folder, BEGAN) as clinic:
            said = REFUSED
            clinic.office.of_recipient = lambda address: said if address == "bo@north.example" else "250 OK"
            await clinic.deteriorates("case-1")
            await clinic.round()
            said = LATER
            await clinic.deteriorates("case-2")
            await clinic.round(after=timedelta(minutes=1))
            await clinic.put(led_by())
            await clinic.deteriorates("case-3")
            await clinic.deteriorates("case-4", group=None)
            await clinic.round()

    asyncio.run(make())
    return folder / "home"


def local(minutes: int) -> str:
    """A moment as people are told it."""
    return f"{(BEGAN + timedelta(minutes=minutes)).astimezone(ZoneInfo('Europe/Copenhagen')):%Y-%m-%d %H:%M}"


def listed(home: Path, *arguments: str) -> list[dict[str, Any]]:
    """What it says to programs."""
    found: list[dict[str, Any]] = orjson.loads(succeeded("notices", "--data", home, "--format", "json", *arguments).out)
    return found


def test_each_notice_stands_there_for_each_of_its_recipients(home: Path) -> None:
    found = [tuple(each[name] for name in ("case", "recipient", "outcome", "tries", "why")) for each in listed(home)]
    assert sorted(found, key=str) == [
        ("case-1", "anna", "sent", 1, ""),
        ("case-1", "bo", "failed", 1, "smtp-550"),
        ("case-2", "anna", "sent", 1, ""),
        ("case-2", "bo", "waits", 1, "smtp-450"),
        ("case-3", None, "waits", 0, "no-therapists"),
        ("case-4", None, "waits", 0, "no-group"),
    ]


def test_a_person_is_told_in_words_and_by_the_clinics_clock(home: Path) -> None:
    ran = succeeded("notices", "--data", home)
    assert ran.told == (
        "Times are those of Europe/Copenhagen. A report stands there once for each who is told of it.\n"
    )
    lines = [line.split() for line in ran.out.decode().splitlines()]
    told = {(words[3], words[5]): " ".join(words[6:]) for words in lines[1:]}
    assert told["case-1", "bo"] == f"failed 1 {local(0)} the mail server answers 550"
    assert told["case-2", "bo"] == f"waits 1 {local(3)} the mail server answers 450"
    assert told["case-3", "(therapists)"] == f"waits 0 {local(2)} the roster has no therapists of the group"
    (of_no_group,) = [line for line in lines if line[3] == "case-4"]
    told_why = "the case is in no group: transfer it into one"
    assert " ".join(of_no_group[4:]) == f"(therapists) waits 0 {local(2)} {told_why}"
    assert told["case-1", "anna"] == f"sent 1 {local(0)}"


@pytest.mark.parametrize(("outcome", "number"), [("sent", 2), ("failed", 1), ("waits", 3)])
def test_one_kind_of_outcome_can_be_asked_for(home: Path, outcome: str, number: int) -> None:
    assert [each["outcome"] for each in listed(home, "--outcome", outcome)] == [outcome] * number


def test_where_there_is_none_that_is_said(tmp_path: Path) -> None:
    async def make() -> None:
        async with mailing_clinic(tmp_path):
            pass

    asyncio.run(make())
    asked = ("notices", "--data", tmp_path / "home")
    assert ontrack(*asked).told == "No notice yet: nobody is to be told of a report by mail.\n"
    assert ontrack(*asked, "--outcome", "sent").told == "There is no such notice.\n"


@pytest.mark.parametrize(
    ("therapists", "stands"),
    [(("carl",), [("carl", "waits", "smtp-450")]), ((), [(None, "waits", "no-therapists")])],
    ids=["others", "nobody"],
)
def test_who_has_left_before_their_mail_went_out_is_not_listed(
    tmp_path: Path, therapists: tuple[str, ...], stands: list[tuple[str | None, str, str]]
) -> None:
    # given a mail server that asks to come back later, and a group whose therapists change meanwhile
    async def make() -> None:
        async with mailing_clinic(tmp_path, BEGAN) as clinic:
            clinic.office.of_recipient = lambda _: LATER
            await clinic.deteriorates()
            await clinic.round()
            await clinic.put(led_by(*therapists))
            await clinic.round(after=timedelta(minutes=10))

    asyncio.run(make())

    # then only whom it goes to now stands there
    found = listed(tmp_path / "home")
    assert [(each["recipient"], each["outcome"], each["why"]) for each in found] == stands


def test_what_is_too_old_to_be_told_of_does_not_wait(tmp_path: Path) -> None:
    # given a report of more than 30 days ago, of a clinic that has sent no mail so far
    async def make() -> None:
        async with mailing_clinic(tmp_path, BEGAN - NEWS_FOR) as clinic:
            await clinic.deteriorates()

    asyncio.run(make())

    # then it is not said to wait
    (found,) = listed(tmp_path / "home")
    assert (found["outcome"], found["why"]) == ("failed", "too-late")


def test_what_was_sent_stands_once_in_the_history_of_a_case(home: Path) -> None:
    told = succeeded("case", "case-1", "--data", home, "--all-events").out.decode()
    assert told.count("sent to anna") == 1
    assert told.count("could not be sent to bo: smtp-550") == 1


def test_an_outbox_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    # given a letter that was put off, and something else where the outbox has it
    async def make() -> None:
        async with mailing_clinic(tmp_path, BEGAN) as clinic:
            clinic.office.of_recipient = lambda _: LATER
            await clinic.deteriorates()
            await clinic.round()
            edit(clinic.home, "UPDATE outbox SET body = 'anna'")

    asyncio.run(make())

    # when the notices are listed, then it says who mends that, and not what stands there
    ran = ontrack("notices", "--data", tmp_path / "home")
    assert ran.exit_code != 0
    assert "the mailer makes it anew" in ran.told
    assert "anna" not in ran.told
