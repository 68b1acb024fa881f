"""`ontrack doctor` on a data directory: what is wrong there is found, and said with what to do."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import pytest

from contracts.events.event import new_fact
from contracts.events.facts import CaseClosed
from contracts.topics import CASES, DEFINITIONS, partition_of
from services.cli.authority import AUTHORITY_HOLDS, CERTIFICATE_HOLDS, CLIENT, Authority
from services.cli.doctor.checked import Checked, certificate, clock, disk
from services.cli.doctor.of_files import of_files
from services.cli.doctor.of_mail_server import of_mail_server
from services.cli.doctor.servers import broker_disk, copies, database
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.ingest.access import TOKENS
from services.runtime.copies.file import COPIES
from services.runtime.database import table_of
from services.runtime.documents import About
from services.runtime.log.disks import BrokerDisk
from services.runtime.log.topics import Copies
from services.runtime.roster.port import Clinic
from services.runtime.settings import RegionSettings
from tests.cli.homes import policy_file
from tests.support.command import ontrack, succeeded
from tests.support.mailing import led_by, mailing_clinic
from tests.support.post_office import post_office
from tests.support.unprivileged import ontrack_unprivileged, read_only

SENDER: Final = "ontrack@north.example"
NOW: Final = datetime.now(UTC)
MAIL_THAT_IS_GIVEN_UP: Final = {
    "nobody": (5, "nobody", "see that cases have a group, groups therapists and clinics supervisors"),
    "too old": (31, "too-late", None),
}
FACT: Final = "11111111-2222-4333-8444-555555555555"
_OF_THE_CASE: Final = table_of(CASES, partition_of("case-1"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic in order, with a case of which everybody was told."""
    folder = tmp_path_factory.mktemp("clinic")

    async def make() -> None:
        async with mailing_clinic(folder, NOW - timedelta(hours=1)) as clinic:
            await clinic.deteriorates()
            await clinic.round()

    asyncio.run(make())
    return folder / "home"


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    """A copy of it that may be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "home"))


def checked(home: Path) -> dict[str, dict[str, Any]]:
    """What was checked, by what it is about."""
    ran = ontrack("doctor", "--data", home, "--format", "json")
    found = {each["what"]: each for each in orjson.loads(ran.out)}
    assert ran.exit_code == bool(findings(found)), ran.told
    return found


async def all_of(found: AsyncIterator[Checked]) -> list[Checked]:
    return [each async for each in found]


def findings(found: dict[str, dict[str, Any]]) -> list[str]:
    return [what for what, each in found.items() if each["verdict"] == "finding"]


def test_where_all_is_well_that_is_said(sound: Path) -> None:
    ran = ontrack("doctor", "--data", sound)
    assert (ran.exit_code, ran.told) == (0, "Nothing is wrong.\n")
    lines = ran.out.decode().splitlines()
    assert "ok       mail: none waits for long, and none failed in the last 7 days" in lines
    assert lines.pop() == "unknown  mail server: not looked at: ONTRACK_SMTP_HOST is not set here"
    nobody = "unknown  process: none is seen to run here: before ontrack up does, nothing is"
    lines.remove(nobody)
    assert all(line.startswith(("ok       ", "         ")) for line in lines)


def test_a_directory_that_is_not_there_is_found(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path):
        assert findings(checked(place)) == ["directory"]


def _opened_to_others(home: Path) -> None:
    (home / MASTER_KEY).chmod(0o644)


def _without_key(home: Path) -> None:
    (home / MASTER_KEY).unlink()


def _tokens_damaged(home: Path) -> None:
    (home / TOKENS).write_text("{")
    (home / TOKENS).chmod(0o600)


def _copies_damaged(home: Path) -> None:
    (home / COPIES).write_text('{"kind":"backup","path":"a secret')


def _database_damaged(home: Path) -> None:
    file = home / DATABASE
    content = bytearray(file.read_bytes())
    content[5 * 16_384 : 30 * 16_384] = bytes(25 * 16_384)
    file.write_bytes(content)


def _unreadable_fact(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute(f"INSERT INTO {table_of(CASES, 11)} VALUES (0, 'case-x', 'nonsense')")  # noqa: S608 - ours
    connection.close()
    ontrack("halted", "resume", "--data", home)


def _fact_without_key(home: Path) -> None:
    """Let a fact be there of a case whose key never was, as by somebody who writes past ingest."""
    with sqlite3.connect(home / DATABASE) as connection:
        ((fact,),) = connection.execute(f"SELECT value FROM {_OF_THE_CASE} LIMIT 1")  # noqa: S608 - ours
        other = fact.replace(b'"case-1"', b'"case-2"')
        connection.execute(f"INSERT INTO {table_of(CASES, partition_of('case-2'))} VALUES (0, 'case-2', ?)", (other,))  # noqa: S608 - ours
    connection.close()
    ontrack("halted", "resume", "--data", home)


def _unread_fact(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute('UPDATE positions SET "offset" = "offset" - 1 WHERE stage = \'scoring\' AND "offset" > 0')
    connection.close()


def _key_lost(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DELETE FROM keys")
    connection.close()


def _key_edited(home: Path) -> None:
    """Let there be what an editor of databases makes of bytes to which a letter is added: text that is none."""
    _do(home, "UPDATE keys SET wrapped = wrapped || 'x'")


def _state_edited(home: Path) -> None:
    _do(home, "UPDATE states SET body = body || 'x' WHERE stage = 'register'")


def _person_edited(home: Path) -> None:
    _do(home, "INSERT INTO directory VALUES ('case-1', 'name', 'an entry')")


def _key_destroyed(home: Path) -> None:
    _do(home, "UPDATE keys SET wrapped = NULL")


def _fact_of_tomorrow(home: Path) -> None:
    """Let the last fact of the case be recorded an hour from now, as by a machine whose clock is fast."""
    with sqlite3.connect(home / DATABASE) as connection:
        ((offset, value),) = connection.execute(f'SELECT max("offset"), value FROM {_OF_THE_CASE}')  # noqa: S608 - ours
        fact = orjson.loads(value) | {"recordedtime": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
        connection.execute(f'UPDATE {_OF_THE_CASE} SET value = ? WHERE "offset" = ?', (orjson.dumps(fact), offset))  # noqa: S608 - ours
    connection.close()


def _unknown_protocol(home: Path) -> None:
    """Let the clinic enrol its cases by a protocol that nobody has published."""
    entry = Clinic(clinic="north", id="north", protocol=f"two-weeks@3#{'0' * 64}")
    with sqlite3.connect(home / DATABASE) as connection:
        values = ("clinic", "north", "north", entry.model_dump_json())
        connection.execute("INSERT OR REPLACE INTO roster VALUES (?, ?, ?, ?)", values)
    connection.close()


def _roster_damaged(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("INSERT INTO roster VALUES ('clinic', 'x', 'x', '{\"clinic\": \"a secret\"}')")
    connection.close()


def _log_cut(home: Path) -> None:
    """Let the last record of the case's facts be gone, which every stage has read."""
    _do(home, f'DELETE FROM {_OF_THE_CASE} WHERE "offset" = (SELECT max("offset") FROM {_OF_THE_CASE})')  # noqa: S608 - ours


def _another_log(home: Path) -> None:
    _do(home, "UPDATE positions SET log = 'another' WHERE stage = 'scoring'")


def _state_garbled(home: Path) -> None:
    """Let what ingest knows of the case be something else: asked for it, the API answers 500."""
    _do(home, "UPDATE states SET body = zeroblob(200) WHERE stage = 'register'")


def _roster_emptied(home: Path) -> None:
    _do(home, "DELETE FROM roster")


def _roster_of_an_import_emptied(home: Path) -> None:
    """Let the case have been enrolled over the API, by a client that is called much as an import is."""
    with sqlite3.connect(home / DATABASE) as connection:
        ((offset, value),) = connection.execute(f'SELECT min("offset"), value FROM {_OF_THE_CASE}')  # noqa: S608 - ours
        fact = orjson.loads(value) | {"source": "urn:ontrack:north:ehr:import"}
        connection.execute(f'UPDATE {_OF_THE_CASE} SET value = ? WHERE "offset" = ?', (orjson.dumps(fact), offset))  # noqa: S608 - ours
    connection.close()
    _roster_emptied(home)


def _group_removed(home: Path) -> None:
    _do(home, "DELETE FROM roster WHERE kind = 'group'")


def _therapist_removed(home: Path) -> None:
    _do(home, "DELETE FROM roster WHERE kind = 'therapist' AND id = 'anna'")


def _therapist_garbled(home: Path) -> None:
    _do(home, "UPDATE roster SET body = '{\"clinic\": \"a secret\"}' WHERE kind = 'therapist' AND id = 'anna'")


def _states_lost(home: Path) -> None:
    _do(home, "DELETE FROM states WHERE stage = 'scoring'")


def _all_states_lost(home: Path) -> None:
    _do(home, "DELETE FROM states")


def _states_of_another_version(home: Path) -> None:
    _do(home, "UPDATE states SET schema = schema + 1 WHERE stage = 'register'")


def _definition_gone(definition_id: str) -> Callable[[Path], None]:
    def lose(home: Path) -> None:
        said = f'%"ref":"{definition_id}@1#%'
        _do(home, f"DELETE FROM {table_of(DEFINITIONS, 0)} WHERE CAST(value AS TEXT) LIKE '{said}'")  # noqa: S608 - ours

    return lose


def _do(home: Path, statement: str) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


DAMAGES: Final[dict[str, tuple[Callable[[Path], None], list[str], str]]] = {
    "a master key that others can read": (_opened_to_others, ["master key", "home"], "run chmod 600"),
    "a master key that is missing": (_without_key, ["master key", "home"], "from where you keep its copy"),
    "a file of tokens that is damaged": (_tokens_damaged, ["tokens"], "put its last good copy there"),
    "a list of copies that is damaged": (
        _copies_damaged,
        ["known copies"],
        "put its last good copy there, or move it away",
    ),
    "a database that is damaged": (_database_damaged, ["database"], "restore the last backup into another directory"),
    "a fact that cannot be read": (_unreadable_fact, ["dead letters"], "ontrack dlq list"),
    "a case that is halted": (_fact_without_key, ["cases"], "ontrack halted list names them"),
    "keys that are lost": (_key_lost, ["keys"], "restore the last backup that has the keys"),
    "a key that was edited": (_key_edited, ["keys"], "without a key that can be used"),
    "a state that was edited": (_state_edited, ["states"], "ontrack rebuild register makes them anew"),
    "an entry of the directory that was edited": (_person_edited, ["keys"], "it cannot be read any more who they are"),
    "a key that is destroyed and nobody erased the case": (
        _key_destroyed,
        ["keys"],
        "a destroyed key, though not erased",
    ),
    "a roster that is damaged": (_roster_damaged, ["roster", "definitions"], "tell who maintains it"),
    "a therapist that cannot be read": (_therapist_garbled, ["roster"], "something of north cannot be read"),
    "a roster that is emptied": (
        _roster_emptied,
        ["roster"],
        "groups that it does not have: mondays of north (1 case)",
    ),
    "a roster of an interface called import": (_roster_of_an_import_emptied, ["roster"], "mondays of north (1 case)"),
    "a group that is removed": (_group_removed, ["roster"], "groups that it does not have: mondays of north (1 case)"),
    "a therapist that nobody has entered": (_therapist_removed, ["roster"], "anna of north (group mondays)"),
    "a log that lacks what was read": (_log_cut, ["log"], f"the last 1 record of {CASES.name}, in partition "),
    "a log that is another one": (_another_log, ["log"], "another one was read by scoring"),
    "a state that cannot be read": (_state_garbled, ["states"], "ontrack rebuild register makes them anew"),
    "a state that is gone": (_states_lost, ["states"], "from scoring"),
    "states that are all gone": (_all_states_lost, ["states"], "ontrack audit replay --swap makes it anew"),
    "a state of another version": (_states_of_another_version, ["states"], "ontrack rebuild register makes them anew"),
    "a fact that is recorded in its future": (_fact_of_tomorrow, ["clock"], "s ahead of this machine's clock"),
    "a protocol that nobody has published": (_unknown_protocol, ["definitions"], "north names two-weeks@3"),
    "definitions that are gone, of cases": (
        _definition_gone("gryesten-2023"),
        ["definitions"],
        "gryesten-2023@1 (by 1 case)",
    ),
    "definitions that are gone, of others": (
        _definition_gone("study-needs"),
        ["definitions"],
        "study-needs@1 (by open-ended@1)",
    ),
    "facts that nobody reads": (_unread_fact, ["progress"], "see whether it runs"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_found_with_what_to_do(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for looks in ("of_home", "of_states"):
        monkeypatch.setattr(f"services.cli.doctor.{looks}.LOOK_AGAIN", 0.01)
    damage, wanted, do = DAMAGES[name]
    damage(home)
    found = checked(home)
    assert findings(found) == wanted
    assert do in found[wanted[0]]["do"] + found[wanted[0]]["says"]
    assert "a secret" not in str(found)


def test_a_roster_may_be_empty_when_all_courses_are_over(home: Path) -> None:
    # given a case whose course has ended, in a group that was removed since
    async def end() -> None:
        async with await EmbeddedHome.open(home, write=True) as opened:
            [(case_id, case)] = [each async for each in opened.states(opened.register)]
            assert case.group is not None
            over = CaseClosed(reason="completed")
            await opened.intake.record([new_fact(over, case_id=case_id, fact_id=FACT, source="urn:x", happened=NOW)])
            await opened.catch_up()

    asyncio.run(end())
    _roster_emptied(home)

    # then nobody misses it
    assert "roster" not in findings(checked(home))


def test_settings_that_cannot_be_read_keep_nothing_else_from_being_checked(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a folder of secrets that somebody else may not look into
    with read_only(sound.iterdir()) as directory, TemporaryDirectory() as secrets:
        Path(secrets).chmod(0o000)
        monkeypatch.setenv("ONTRACK_SECRETS", secrets)

        # when they check a clinic, then that is told, and so is all the rest
        ran = ontrack_unprivileged("doctor", "--data", directory, "--format", "json")
    found = {each["what"]: each["verdict"] for each in orjson.loads(ran.out)}
    assert (ran.exit_code, found["mail server"], found["database"]) == (1, "finding", "ok")


def test_an_import_needs_no_roster(home: Path) -> None:
    """Its groups stand in a file, and were never on the roster."""
    facts = home.with_name("answers.csv")
    facts.write_text(
        "case,session,answered_at,instrument,mood,calm,energy,rest,interest\n1,0,2026-01-05,who-5,1,1,1,1,1\n"
    )
    new = home.with_name("imported")
    succeeded("import", facts, "--enrol", "--group", "mondays", "--data", new, "--policy", policy_file(home))
    assert findings(checked(new)) == []


def test_mail_that_does_not_go_out_is_found(tmp_path: Path) -> None:
    # given mail that was refused, and mail for which there is nobody
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW - timedelta(hours=1)) as clinic:
            clinic.office.of_recipient = lambda address: "550 5.1.1 no" if address.startswith("bo@") else "250 OK"
            await clinic.deteriorates("case-1")
            await clinic.round()
            await clinic.put(led_by())
            await clinic.deteriorates("case-2")
            await clinic.round()

    asyncio.run(make())

    # when the clinic is checked, then both are told
    found = checked(tmp_path / "home")
    assert findings(found) == ["mail"]
    assert found["mail"]["says"] == (
        "1 mail is waiting for more than 10 minutes (1: the roster has no therapists of the group); "
        "1 mail failed in the last 7 days (1: the mail server answers 550)"
    )
    assert found["mail"]["do"] == (
        "ontrack notices lists them; tell those for whom they were; enter groups with their therapists; "
        "correct the addresses that the mail server says do not exist"
    )


def test_the_first_mail_of_a_clinic_that_waits_for_an_address_is_not_told_to_lack_a_mail_server(tmp_path: Path) -> None:
    # given a clinic that has sent no mail yet, where a mailer has found nobody to send one to
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW - timedelta(minutes=30)) as clinic:
            await clinic.put(led_by("dora"))
            await clinic.deteriorates()
            await clinic.round()

    asyncio.run(make())

    # when it is checked where no mail server is named, such as beside the mailer, then that is told
    mail = checked(tmp_path / "home")["mail"]
    assert mail["says"] == "1 mail is waiting for more than 10 minutes (1: the recipient has no address)"
    assert mail["do"] == "ontrack notices lists them; enter therapists with their addresses"


def test_mail_over_which_the_mail_server_takes_long_is_found(tmp_path: Path) -> None:
    # given two mails of half an hour ago, over one of which the mail server is taking its time
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW - timedelta(minutes=30)) as clinic:
            await clinic.deteriorates()
            clinic.clock.time = datetime.now(UTC)
            clinic.office.of_letter = lambda _: "hangs"
            sending = asyncio.create_task(clinic.courier().round())
            await clinic.office.asked.wait()
            sending.cancel()

    asyncio.run(make())

    # when the clinic is checked, then that one is told from the one that waits behind it
    mail = checked(tmp_path / "home")["mail"]
    assert mail["says"] == (
        "2 mails are waiting for more than 10 minutes (1: the mail server has not answered yet; 1: nobody has tried)"
    )
    assert "see what the mailer says at /ready" in mail["do"]


def test_mail_that_waits_since_a_time_to_come_is_found(tmp_path: Path) -> None:
    # given a report that was made when the clock was ahead, and no mailer
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW + timedelta(days=1)) as clinic:
            await clinic.deteriorates()

    asyncio.run(make())

    # when the clinic is checked, then the mail is told besides the clock
    assert {"clock", "mail"} <= set(findings(checked(tmp_path / "home")))


def test_mail_that_was_given_up_by_a_clock_that_was_ahead_is_found(tmp_path: Path) -> None:
    # given a report, and a mailer whose clock was more than a month ahead for a moment
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW - timedelta(hours=1)) as clinic:
            await clinic.deteriorates()
            await clinic.round(after=timedelta(days=31))
            assert await clinic.outcomes() == Counter([("failed", None, "too-late")])

    asyncio.run(make())

    # when the clinic is checked by the right time, then somebody has to tell whom the mail was for
    mail = checked(tmp_path / "home")["mail"]
    assert mail["verdict"] == "finding"
    assert "tell those for whom they were; set the clock of the machine that sends mail" in mail["do"]


@pytest.mark.parametrize(("days", "reason", "is_found"), MAIL_THAT_IS_GIVEN_UP.values(), ids=MAIL_THAT_IS_GIVEN_UP)
def test_mail_that_was_given_up_is_found_if_somebody_should_be_told(
    tmp_path: Path, days: int, reason: str, is_found: str | None
) -> None:
    # given a report, and a mailer that comes by when there is nobody to tell, or nothing to tell of any more
    async def make() -> None:
        async with mailing_clinic(tmp_path, NOW - timedelta(days=days)) as clinic:
            await clinic.put(led_by())
            await clinic.deteriorates()
            await clinic.round()
            await clinic.was_looked_for(timedelta(days=days))
            await clinic.round(after=timedelta(days=days))
            assert await clinic.outcomes() == Counter([("failed", None, reason)])

    asyncio.run(make())

    # when the clinic is checked
    mail = checked(tmp_path / "home")["mail"]

    # then it says what to do about it
    assert mail["verdict"] == ("finding" if is_found else "ok")
    assert mail["do"].endswith(is_found or "")


def test_certificates_of_a_regions_own_files_that_are_about_to_expire_are_found(tmp_path: Path) -> None:
    # given an authority that holds for twenty days more, and an administrator who is known for ten
    authority = Authority.create(NOW - AUTHORITY_HOLDS + timedelta(days=20, hours=1))
    known = authority.issue("administrator", (), (CLIENT,), NOW - CERTIFICATE_HOLDS + timedelta(days=10, hours=1))
    (tmp_path / "ca.pem").write_bytes(authority.files.certificate)
    (tmp_path / "administrator.pem").write_bytes(b"".join(known))
    settings = RegionSettings(
        kafka_servers="127.0.0.1:9092",
        kafka_tls=True,
        kafka_ca_file=tmp_path / "ca.pem",
        kafka_certificate_file=tmp_path / "administrator.pem",
        mongodb_url="mongodb://127.0.0.1:27017/",
        mongodb_tls=True,
        mongodb_ca_file=tmp_path / "ca.pem",
        master_key_file=tmp_path / "master.key",
    )

    # when they are looked at
    found = asyncio.run(all_of(of_files(settings)))

    # then each is found once, with what will be
    assert {(each.what, each.verdict, each.says.partition(", on")[0]) for each in found} == {
        (f"file {tmp_path / 'ca.pem'}", "finding", "its certificate expires in 20 days"),
        (f"file {tmp_path / 'administrator.pem'}", "finding", "its certificate expires in 10 days"),
    }
    assert [each.do.partition(":")[0] for each in found] == [
        "from then on nobody trusts the servers that it vouches for",
        "from then on the brokers do not let its owner in",
    ]


@pytest.mark.parametrize(
    ("holds", "verdict", "says"),
    [
        (timedelta(days=10, hours=1), "finding", "its certificate expires in 10 days, on "),
        (timedelta(days=90, hours=1), "ok", "its certificate expires in 90 days, on "),
    ],
)
def test_how_long_the_mail_servers_certificate_holds_is_told(
    tmp_path: Path, holds: timedelta, verdict: str, says: str
) -> None:
    async def look() -> list[Checked]:
        async with post_office(tmp_path, expires=NOW + holds) as office:
            return await all_of(of_mail_server(office.server(), SENDER))

    takes, certified = asyncio.run(look())
    assert (takes.verdict, takes.says.partition(" ")[2]) == ("ok", f"takes mail from {SENDER} over TLS")
    assert (certified.verdict, certified.says.rpartition(" ")[0] + " ") == (verdict, says)


def test_a_mail_server_that_takes_nothing_is_found(tmp_path: Path) -> None:
    async def look() -> list[Checked]:
        async with post_office(tmp_path, expires=NOW - timedelta(days=1)) as office:
            return await all_of(of_mail_server(office.server(), SENDER))

    (found,) = asyncio.run(look())
    assert found.verdict == "finding"
    assert "shows a certificate that is not trusted (certificate has expired)" in found.says
    assert found.do == "no mail goes out until then"


@pytest.mark.parametrize(
    ("treatment", "says"),
    [
        ("530 5.7.0 authentication required", "asks who sends (530): check ONTRACK_SMTP_USERNAME"),
        ("553 5.7.1 not yours", "refuses the sender (553): check ONTRACK_MAIL_FROM"),
        ("451 4.3.0 later", "takes no mail just now (451)"),
        ("drops", "cannot be reached"),
    ],
)
def test_a_mail_server_that_takes_nothing_from_us_is_found(tmp_path: Path, treatment: str, says: str) -> None:
    # given a mail server that shows what it should, and does not take our letters
    async def look() -> tuple[list[Checked], list[object]]:
        async with post_office(tmp_path) as office:
            office.sender = treatment
            return await all_of(of_mail_server(office.server(), SENDER)), list(office.letters)

    # when it is looked at, then that is found, and nothing is sent
    (found,), letters = asyncio.run(look())
    assert found.verdict == "finding"
    assert says in found.says
    assert letters == []


# Judgments


def mongodb(version: str, *members: str) -> About:
    return About(version=version, is_ferretdb=False, time=NOW, disk=None, members=members)


def kept(
    topic: str = "cases", *, copies: int = 3, behind: int = 0, min_insync: int = 2, flushed: bool = False
) -> Copies:
    """A topic of which the last brokers do not have everything."""
    late = frozenset(range(copies - behind + 1, copies + 1))
    return Copies(topic=topic, copies=copies, behind=late, min_insync=min_insync, flushed=flushed)


JUDGED: Final[dict[str, tuple[Checked, str, str]]] = {
    "a disk with room": (disk("disk", 50 * 10**9, 100 * 10**9, "-"), "ok", "50.0 GB of 100 GB are free"),
    "a disk that is nearly full": (
        disk("disk", 4 * 10**9, 100 * 10**9, "-"),
        "finding",
        "only 4.0 GB of 100 GB are free",
    ),
    "a small disk that is nearly full": (disk("disk", 9 * 10**8, 2 * 10**9, "-"), "finding", "only 0.9 GB of 2 GB"),
    "a certificate for a year": (certificate("x", NOW + timedelta(days=365), NOW, "-"), "ok", "in 365 days"),
    "a certificate for a month": (certificate("x", NOW + timedelta(days=30), NOW, "-"), "ok", "in 30 days"),
    "a certificate for less": (certificate("x", NOW + timedelta(days=29), NOW, "-"), "finding", "in 29 days"),
    "a certificate for a day": (certificate("x", NOW + timedelta(days=1), NOW, "-"), "finding", "in 1 day,"),
    "a certificate of yesterday": (certificate("x", NOW - timedelta(days=1), NOW, "-"), "finding", "expired on"),
    "a clock that is right": (clock("x", NOW + timedelta(seconds=5), NOW), "ok", "goes as"),
    "a clock that is fast": (clock("x", NOW + timedelta(seconds=90), NOW), "finding", "90 s ahead of the clock"),
    "a clock that is slow": (clock("x", NOW - timedelta(seconds=90), NOW), "finding", "90 s behind the clock"),
    "MongoDB alone": (database(mongodb("8.0.17")), "ok", "MongoDB 8.0.17, alone"),
    "MongoDB of three": (database(mongodb("8.2.3", "a", "b", "c")), "ok", "MongoDB 8.2.3, a replica set of 3"),
    "MongoDB that is newer": (database(mongodb("9.0.0")), "ok", "MongoDB 9.0.0"),
    "MongoDB whose version is no number": (database(mongodb("latest")), "ok", "MongoDB latest"),
    "MongoDB 8.0 with a hole": (database(mongodb("8.0.16")), "finding", "MongoDB 8.0.16 can have a known hole"),
    "MongoDB 8.2 with a hole": (database(mongodb("8.2.2")), "finding", "MongoDB 8.2.2 can have a known hole"),
    "MongoDB that nobody mends": (database(mongodb("8.1.9")), "finding", "MongoDB 8.1.9 can have a known hole"),
    "MongoDB that is older": (database(mongodb("7.0.5")), "finding", "MongoDB 7.0.5 can have a known hole"),
    "a broker's disk with room": (broker_disk("x", BrokerDisk((50 * 10**9, 100 * 10**9))), "ok", "50.0 GB of 100 GB"),
    "a broker's disk that is nearly full": (
        broker_disk("x", BrokerDisk((4 * 10**9, 100 * 10**9))),
        "finding",
        "only 4.0 GB of 100 GB are free",
    ),
    "a broker that does not say": (broker_disk("x", BrokerDisk()), "unknown", "is not told to this user"),
    "a broker that is too old to say": (broker_disk("x", BrokerDisk(is_too_old=True)), "finding", "older than 3.3"),
    "three copies": (copies([kept()]), "ok", "3 copies of everything, in step"),
    "one copy that is flushed": (copies([kept(copies=1, min_insync=1, flushed=True)]), "ok", "1 copy of everything"),
    "one copy that is not": (copies([kept(copies=1, min_insync=1)]), "finding", "keeps cases and does not flush each"),
    "copies of which one is enough": (
        copies([kept(), kept("scores", min_insync=1)]),
        "finding",
        "what only one broker has is acknowledged, on scores",
    ),
    "a broker that is behind": (
        copies([kept(behind=1), kept("scores"), kept("tracks", behind=1)]),
        "finding",
        "not everything of cases, tracks is on broker 3",
    ),
    "two brokers that are behind": (copies([kept(behind=2)]), "finding", "of cases is on broker 2 and broker 3"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_was_measured_is_judged(name: str) -> None:
    found, verdict, says = JUDGED[name]
    assert found.verdict == verdict
    assert says in found.says
