"""A region comes up from its compose file, and what is answered comes out as mail, whatever crashes meanwhile."""

import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import chain, product
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from contracts.events.facts import NoticeSent, ResponseSubmitted
from contracts.events.notices import NoticeRequested
from contracts.topics import CASES, NOTICES, TRACKS
from deploy.local.prerequisites import Missing
from services.auditor.checkpoint import Checkpoint
from services.auditor.note import Verifier
from tests.containers.deployment import BROKERS, DEPLOY, ROOT, SERVICES, STAGES, Caller, Deployment, deployment
from tests.support.command import succeeded
from tests.support.episodes import reported_episodes
from tests.support.simulated import assert_all_equal

pytestmark = pytest.mark.xdist_group("docker")

NOW: Final = datetime.now(UTC)
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
HERE: Final = Path(__file__).parent
NUMBERS: Final = ("P1001", "P1002", "P1003", "P1004")
THERAPISTS: Final = ("anna", "bo")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """What nothing was brought up of yet."""
    try:
        with deployment(tmp_path_factory.mktemp("region")) as lent:
            yield lent
    except Missing as missing:
        pytest.skip(str(missing))


def blocks(heading: str) -> list[str]:
    """Give what deploy/README.md says to type below a heading."""
    section = (DEPLOY / "README.md").read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def enrolment(number: str) -> dict[str, Any]:
    return {"number": number, "group": "mondays", "protocol": "open-ended", "policy": "gryesten-2023"}


def response(session: int) -> dict[str, Any]:
    """Answers that are worse at each session."""
    return {
        "session": session,
        "instrument": "odsis",
        "answers": dict.fromkeys(ODSIS, session),
        "answered_at": (NOW - timedelta(days=10 - 2 * session)).isoformat(),
    }


def respond(caller: Caller, case_id: str, session: int) -> str:
    """Answer; give the id of the fact."""
    key = f"{case_id}-{session}"
    fact: str = caller.post(f"/v1/cases/{case_id}/response-submitted", response(session), key)["fact"]
    return fact


def events(folder: Path, topic: str) -> list[dict[str, Any]]:
    """What stands on a topic, each once: what a crash has repeated must be equal to the byte."""
    found: dict[str, bytes] = {}
    for line in (folder / f"{topic}.ndjson").read_bytes().splitlines():
        name = json.loads(line)["id"]
        assert found.setdefault(name, line) == line, f"{topic}: a repeated event {name} has other bytes"
    return [json.loads(line) for line in found.values()]


def test_nothing_starts_without_secrets(region: Deployment) -> None:
    # given no secrets
    # when the region is brought up, then that is refused, and no folder is made in their place
    up = region.compose("up", "--detach")
    assert up.returncode != 0
    assert "bind source path does not exist" in up.stderr
    assert not region.secrets.exists()
    region.succeeded("down", "--volumes")


def test_what_the_page_says_to_type_brings_up_a_region(region: Deployment) -> None:
    # given the image, which was built by the same file
    build, rest = blocks("From nothing to a running region")
    assert build == "docker compose build\n"

    # when somebody types what the page says
    typed = region.typed(["bash", "-eux", "-o", "pipefail", "-c", rest])

    # then a case is enrolled over TLS with a token, and everything comes to be well
    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert re.search(r'"case": ?"[0-9a-f]{32}"', typed.stdout), typed.stdout
    region.wait_until_healthy(*BROKERS, "mongodb", *SERVICES)

    # and when it is typed again, nothing is made anew
    assert "Everything is there." in region.compose("run", "--rm", "secrets").stderr
    region.succeeded("up", "--detach")
    assert region.logged("provision")[-1] == "Everything is there."

    # and nothing has a volume without a name, which `down` would leave on the disk
    for name in (*BROKERS, "mongodb", *SERVICES):
        volumes = {each["Name"] for each in region.container(name).attrs["Mounts"] if each["Type"] == "volume"}
        assert volumes == ({f"ontrack_{name}"} if name not in SERVICES else set())


def test_a_region_is_started_where_a_broker_does_not_work_whichever_it_is(region: Deployment) -> None:
    # given the first broker, which cannot read its disk, and a service that does not run
    disk = Path(region.client.volumes.get("ontrack_kafka-1").attrs["Mountpoint"])
    before = disk.stat()
    disk.chmod(0)
    os.chown(disk, 0, 0)
    region.succeeded("restart", "--timeout", "1", "kafka-1")
    region.succeeded("stop", "scoring")

    # when everything is started, then that is: two brokers are enough
    try:
        region.succeeded("up", "--detach")
        region.wait_until_healthy("scoring")
        assert not region.is_healthy("kafka-1")
    finally:
        os.chown(disk, before.st_uid, before.st_gid)
        disk.chmod(before.st_mode)
    region.succeeded("restart", "kafka-1")
    region.wait_until_healthy(*BROKERS)


def test_what_the_page_says_of_mail_adds_a_mailer(region: Deployment) -> None:
    # given a clinic's mail server, of another authority, and the password that it wants
    authority, own, password = trustme.CA(), region.folder / "mail", secrets.token_hex(8)
    own.mkdir()
    authority.issue_cert("mail").private_key_and_cert_chain_pem.write_to_path(str(own / "server.pem"))
    for file in (own / "password", region.folder / "smtp-password"):
        file.write_text(password)
    for part in (own, *own.iterdir()):
        part.chmod(0o755)
    trusted = region.secrets / "users/mailer/mail-ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    trusted.chmod(0o644)
    region.files = ("compose.yaml", HERE / "compose.mail.yaml")
    region.named |= {
        "ONTRACK_MAIL_SECRETS": str(own),
        "ONTRACK_SMTP_HOST": "mail",
        "ONTRACK_SMTP_PORT": "10587",
        "ONTRACK_SMTP_CA_FILE": f"/run/secrets/{trusted.name}",
        "ONTRACK_SMTP_USERNAME": "ontrack",
        "ONTRACK_MAIL_FROM": "ontrack@clinic.example",
        "ONTRACK_PORTAL_URL": "https://ontrack.clinic.example",
    }

    # when somebody types what the page says, then there is a mailer
    (typed,) = blocks("Mail")
    done = region.typed(["bash", "-eux", "-o", "pipefail", "-c", typed])
    assert done.returncode == 0, done.stdout + done.stderr
    region.named["COMPOSE_PROFILES"] = "mail"
    region.wait_until_healthy("mailer")


def test_what_the_page_says_of_checkpoints_has_the_log_sealed(region: Deployment) -> None:
    # when somebody types what the page says
    (typed,) = blocks("Checkpoints")
    done = region.typed(["bash", "-eux", "-o", "pipefail", "-c", typed])
    assert done.returncode == 0, done.stdout + done.stderr

    # then what stands on the log is signed, with the key that was made
    region.wait_until_healthy("auditor")
    region.wait_until(lambda: any(region.checkpoints.glob("checkpoint-*.txt")), "a checkpoint")
    verifier = Verifier.read((region.secrets / "users/auditor/seal.pub").read_text())
    for file in region.checkpoints.glob("checkpoint-*.txt"):
        assert Checkpoint.read(verifier.opened(file.read_text())).lines


def letters(region: Deployment) -> list[dict[str, Any]]:
    """What the mail server has taken: a letter is a line of JSON, and its library says things too."""
    said = region.logged("mail")
    return [json.loads(line) for line in said if line.startswith("{")]


def test_everything_arrives_whatever_crashes(region: Deployment, tmp_path: Path) -> None:
    # given a region with four cases, in the group of two therapists
    region.wait_until_healthy(*BROKERS, "mongodb", *SERVICES, "mailer")
    caller = Caller(region)
    for name in THERAPISTS:
        caller.put(f"/v1/therapists/{name}", address=f"{name}@clinic.example")
    caller.put("/v1/groups/mondays", sessions={}, therapists=list(THERAPISTS))
    cases = {number: caller.post("/v1/cases", enrolment(number), f"enrol-{number}")["case"] for number in NUMBERS}

    # when they answer, and before each session something crashes: the doors, a broker, the database, the stages
    crashes = [("ingest", "mailer"), ("kafka-2",), ("mongodb",), STAGES, ()]
    answered = []
    for session, crashing in enumerate(crashes):
        for service in crashing:
            region.crash(service)
        answered += [respond(caller, case_id, session) for case_id in cases.values()]

    # then each is started again, and is well
    for service in chain(*crashes):
        region.wait_until(partial(region.was_started_again, service), f"{service} started again")
    region.wait_until_healthy(*BROKERS, "mongodb", *SERVICES, "mailer")

    # and each case has its report
    def reported() -> set[str]:
        return {report["case"] for report in json.loads(region.ontrack("reports", "--format", "json"))}

    region.wait_until(lambda: reported() == set(NUMBERS), "a report of each case")

    # and everything that was to be told was sent, and nothing is wrong
    def is_settled() -> bool:
        nobody_waits = region.ontrack("notices", "--outcome", "waits", "--format", "json") == "[]\n"
        return nobody_waits and region.compose("run", "--rm", "ontrack", "doctor").returncode == 0

    region.wait_until(is_settled, "everything processed, sent and well")

    # and no mail says whom it is about
    for letter in letters(region):
        assert not [name for name in (*cases, *cases.values(), "mondays") if name in letter["text"]]

    # and what was answered is on the log, once, and what was concluded is what an embedded home concludes from it
    exported = tmp_path / "exported"
    tmp_path.chmod(0o777)
    region.ontrack("export", "--output", "/out/exported", "--reveal", volume=f"{tmp_path}:/out")
    facts = events(exported, CASES.name)
    assert sorted(each["id"] for each in facts if each["type"] == ResponseSubmitted.type()) == sorted(answered)
    assert_all_equal(succeeded("import", exported, "--data", tmp_path / "home"))

    # and each therapist was told once of each notice, and no mail is another one
    requested = [each["id"] for each in events(exported, NOTICES.name) if each["type"] == NoticeRequested.type()]
    told = [each["data"] for each in facts if each["type"] == NoticeSent.type()]
    assert Counter((each["notice"], each["recipient"]) for each in told) == Counter(product(requested, THERAPISTS))
    assert len({each["id"] for each in letters(region)}) == len(told) >= len(cases) * len(THERAPISTS)

    # and each episode has its one report
    for case_id in cases.values():
        own = {
            topic: [event for event in events(exported, topic) if event["subject"] == case_id]
            for topic in (TRACKS.name, NOTICES.name)
        }
        assert reported_episodes(case_id, own[TRACKS.name], own[NOTICES.name]) == 1


def type_in(region: Deployment, *texts: str) -> None:
    """Type what a page says; each command has to succeed."""
    for text in texts:
        done = region.typed(["bash", "-eux", "-o", "pipefail", "-c", text])
        assert done.returncode == 0, done.stdout + done.stderr


def doctor_is_content(region: Deployment) -> bool:
    return region.compose("run", "--rm", "ontrack", "doctor").returncode == 0


def test_what_the_pages_say_to_type_when_something_is_wrong_tells_what(region: Deployment) -> None:
    looking, *_ = blocks("When something is wrong")
    last_table = (ROOT / "docs/clinic-it.md").read_text("utf-8").partition("\n## What to do when\n")[2]
    also = re.findall(r"`(docker compose [^`]+)`", last_table)
    assert also
    type_in(region, looking, *also, "docker compose exec mailer ontrack ready")


def test_a_broker_that_has_lost_its_disk_gets_everything_from_the_others(region: Deployment) -> None:
    # when somebody types what the page says
    _, a_broker, _ = blocks("When something is wrong")
    type_in(region, a_broker)

    # then it works, and lacks nothing
    region.wait_until_healthy(*BROKERS)
    region.wait_until(partial(doctor_is_content, region), "a doctor who misses nothing")


def test_a_database_that_is_lost_is_put_back_from_a_backup_and_the_log(region: Deployment) -> None:
    # given a backup
    backing_up, _ = blocks("Backing up and restoring")
    type_in(region, backing_up)
    before = region.ontrack("reports", "--format", "json")

    # when somebody types what the page says
    *_, a_database = blocks("When something is wrong")
    type_in(region, a_database)

    # then all that was reported is there again, and nothing is wrong
    region.wait_until_healthy(*BROKERS, "mongodb", *SERVICES, "mailer")
    assert region.ontrack("reports", "--format", "json") == before
    region.wait_until(partial(doctor_is_content, region), "a doctor who finds nothing")
    (region.folder / "backups/monday.backup").unlink()


def test_what_is_made_anew_holds(region: Deployment) -> None:
    # given another password, and another certificate
    for file in ("users/scoring/ontrack_kafka_password", "users/scoring/ontrack_mongodb_password"):
        (region.secrets / file).unlink()
    for name in ("certificate.pem", "key.pem"):
        (region.secrets / "api" / name).unlink()
    region.succeeded("run", "--rm", "secrets")

    # when whoever uses them is started again, as the page says
    region.succeeded("up", "--detach", "--force-recreate", "provision", "scoring")
    region.succeeded("restart", "ingest")

    # then they are what holds
    region.wait_until_healthy("scoring", "ingest")
    assert region.asked("GET", "/v1/groups")[0] == HTTPStatus.UNAUTHORIZED


def test_a_user_may_do_only_what_its_service_does(region: Deployment) -> None:
    # given the password of scoring, which may not write facts
    wrong = ["--env", "ONTRACK_KAFKA_USERNAME=scoring", "--env", "ONTRACK_MONGODB_USERNAME=scoring"]
    folder = f"{region.secrets}/users/scoring:/run/secrets:ro"

    # when somebody takes in a file with it
    tried = region.compose("run", "--rm", *wrong, "--volume", folder, "ontrack", "reports")

    # then the brokers do not let them read what scoring does not read
    assert tried.returncode != 0
    assert "Authorization" in tried.stderr, tried.stderr


def test_a_region_that_is_lost_comes_back_from_its_backup_as_a_small_clinic_with_one_broker(region: Deployment) -> None:
    # given a backup, made as the page says
    backing_up, restoring = blocks("Backing up and restoring")
    done = region.typed(["bash", "-eux", "-o", "pipefail", "-c", backing_up])
    assert done.returncode == 0, done.stdout + done.stderr
    before = region.ontrack("reports", "--format", "json")

    # when all but secrets and backup is lost, and somebody types what the page says, with the overlay
    region.succeeded("--profile", "*", "down", "--volumes", "--timeout", "1")
    region.files, region.named = ("compose.yaml", "compose.small.yaml"), {}
    done = region.typed(["bash", "-eux", "-o", "pipefail", "-c", restoring])

    # then there is one broker, and all that was reported
    assert done.returncode == 0, done.stdout + done.stderr
    region.wait_until_healthy("kafka-1", "mongodb", *SERVICES)
    running = region.succeeded("ps", "--services").split()
    assert sorted(running) == sorted(("kafka-1", "mongodb", *SERVICES))
    region.wait_until(lambda: region.ontrack("reports", "--format", "json") == before, "all reports concluded again")

    # and what is said is recorded
    caller = Caller(region)
    case_id = caller.post("/v1/cases", enrolment("P2001"), "once-more")["case"]
    assert respond(caller, case_id, 0)
