"""`ontrack doctor` on a region: what is wrong there is found, and said with what to do."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import trustme

from contracts.topics import SEALS
from deploy.local.kafka import KafkaCluster, Security
from deploy.local.mongodb import MongoStandIn
from deploy.local.ports import free_ports
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.documents import Server
from services.runtime.log.topics import Cluster, Safety
from tests.integration.test_security import PASSWORDS, USER, SecureRegion, as_files
from tests.support.region import Process, Region, region_of_its_own, wait_until
from tests.support.removed import remove_topics
from tests.support.scripted import HELLO, scripted
from tests.support.servers import FERRETDB_AT_ONCE

SERVICES: Final = ("ingest", "scoring", "not-detector", "notifier")
THREE_THAT_AGREE: Final = Safety(replication=3, min_insync=2)
ONE_THAT_FLUSHES: Final = Safety(replication=1, min_insync=1, flushed=True)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with region_of_its_own(tmp_path_factory.mktemp("region"), safety=ONE_THAT_FLUSHES) as region:
        yield region.provision()


@pytest.fixture(scope="module")
def services(region: Region) -> list[Process]:
    return [process.wait_until_ready() for process in region.serve(*SERVICES)]


def checked(region: Region, **environment: str) -> dict[str, dict[str, Any]]:
    """What was checked, by what it is about."""
    ran = region.ontrack_with(environment, "doctor", "--format", "json")
    found = {each["what"]: each for each in orjson.loads(ran.out)}
    assert ran.exit_code == bool(findings(found)), ran.told
    return found


def findings(found: dict[str, dict[str, Any]]) -> list[str]:
    return [what for what, each in found.items() if each["verdict"] == "finding"]


def test_in_a_region_in_order_nothing_is_found(region: Region, services: list[Process]) -> None:
    # given a region whose services run, but for the mailer, and where no mail server is named
    assert len(services) == len(SERVICES)

    # when it is checked
    found = checked(region)

    # then nothing is wrong
    assert findings(found) == []
    assert found["services"]["says"] == "each is run; of the mailer it is not known"
    assert found["brokers"]["says"] == "1 of 1 answer"
    assert found["copies"]["says"] == "1 copy of everything, in step"
    assert found["clock of the database"]["verdict"] == "ok"
    assert found[f"disk of broker {region.brokers.servers}"]["says"].endswith("GB are free")
    assert found["progress"]["says"] == "nothing waits"


def test_checkpoints_of_a_region_are_looked_at_on_its_log(
    region: Region, services: list[Process], tmp_path: Path
) -> None:
    # given a region that was sealed by a key that only the service has
    assert len(services) == len(SERVICES)
    region.succeeded("audit", "key", "north.example", "--output", tmp_path / "seal.key")
    region.succeeded("audit", "seal", "--key", tmp_path / "seal.key", "--output", tmp_path / "kept")

    # when it is checked, told how often that happens, then the last is found there
    found = checked(region, ONTRACK_SEAL_MINUTES="60")
    assert found["seals"]["says"].startswith("the last was signed at 20")
    assert findings(found) == []


def test_whether_the_api_can_be_reached_is_looked_at_where_it_is_said_where_it_is(
    region: Region, services: list[Process]
) -> None:
    ingest, (nobody,) = services[0], free_ports(1)
    found = checked(region, ONTRACK_INGEST_URL=f"http://127.0.0.1:{ingest.api_port}")
    assert found["API"]["says"] == f"it listens at 127.0.0.1:{ingest.api_port}"
    found = checked(region, ONTRACK_INGEST_URL=f"http://127.0.0.1:{nobody}")
    assert findings(found) == ["API"]
    assert found["API"]["says"] == f"nothing listens at 127.0.0.1:{nobody}"


def test_where_mail_is_to_be_sent_somebody_has_to_run_the_mailer(region: Region, services: list[Process]) -> None:
    assert len(services) == len(SERVICES)
    ran = region.ontrack_with(
        {"ONTRACK_SMTP_HOST": "127.0.0.1", "ONTRACK_SMTP_PORT": "1"}, "doctor", "--format", "json"
    )
    found = {each["what"]: each for each in orjson.loads(ran.out)}
    assert found["services"]["says"] == "nobody runs mailer"
    assert found["services"]["do"] == "start what is not run, such as: ontrack serve mailer"


def test_a_topic_that_is_missing_is_found_and_nothing_behind_it_is_checked(tmp_path: Path) -> None:
    with region_of_its_own(tmp_path) as region:
        # given a region of one broker that does not flush, and then one without one of its topics
        region.provision()
        copies = checked(region)["copies"]
        assert copies["says"].startswith("one broker keeps ")
        assert copies["says"].endswith("and 6 more topics and does not flush each message: a power cut loses answers")
        asyncio.run(remove_topics(region.brokers, [SEALS]))

        # when it is checked
        found = checked(region)

        # then that is found
        assert findings(found) == ["topics", "copies"]
        assert f"{region.brokers.topic(SEALS)}" in found["topics"]["says"]
        assert found["services"]["verdict"] == "unknown"


def test_one_broker_of_three_that_is_away_is_found(tmp_path: Path) -> None:
    with scratch_directory() as servers:
        # given a region on three brokers, one of which has ended
        kafka = KafkaCluster(servers / "kafka", 3)
        kafka.start()
        with region_of_its_own(tmp_path, Brokers(kafka.servers), safety=THREE_THAT_AGREE) as region:
            region.provision()
            assert checked(region)["copies"]["says"] == "3 copies of everything, in step"
            kafka.brokers[2].kill()
            wait_until(lambda: asyncio.run(Cluster(region.brokers).servers()).gone == [3], "one broker fewer")

            # when it is checked
            found = checked(region)

            # then that is found, and the others are looked at
            assert findings(found) == ["brokers that are away", "copies", "services"]
            assert found["brokers that are away"]["says"] == (
                "1 of 3 cannot be used: broker 3 is to keep something, and is not there"
            )
            assert found["brokers"]["says"] == "2 of 3 answer"
            assert found["copies"]["says"].endswith("and 6 more topics is on broker 3")


def test_a_broker_that_calls_itself_by_an_address_at_which_it_is_not_is_found(region: Region) -> None:
    (nobody,) = free_ports(1)
    with scratch_directory() as servers:
        kafka = KafkaCluster(servers / "kafka")
        kafka.brokers[0].advertised_port = nobody
        kafka.start()
        found = checked(region, ONTRACK_KAFKA_SERVERS=kafka.servers)
    assert findings(found) == ["brokers"]
    assert found["brokers"]["says"].startswith(f"none of 1 can be used: 127.0.0.1:{nobody} does not listen")
    assert "advertised.listeners" in found["brokers"]["do"]


def test_servers_that_are_away_are_found(region: Region) -> None:
    nowhere = free_ports(2)
    for name, what, port in (("KAFKA_SERVERS", "brokers", nowhere[0]), ("MONGODB_URL", "database", nowhere[1])):
        place = f"127.0.0.1:{port}" if what == "brokers" else f"mongodb://127.0.0.1:{port}/"
        ran = region.ontrack_with({f"ONTRACK_{name}": place}, "doctor", "--format", "json")
        found = {each["what"]: each for each in orjson.loads(ran.out)}
        assert ran.exit_code == 1
        assert findings(found) == [what]
        assert "check that it runs" in found[what]["says"]
        assert found["services"]["verdict"] == "unknown"


def test_members_of_the_database_that_are_away_are_found(region: Region) -> None:
    # given a MongoDB whose replica set has two members, one of which is away
    (nobody,) = free_ports(1)
    hello = {**HELLO, "localTime": datetime.now(UTC), "setName": "ontrack"}
    hello["hosts"] = [region.brokers.servers, f"127.0.0.1:{nobody}"]
    build, size = {"ok": 1.0, "version": "8.0.17"}, {"ok": 1.0}
    nothing = {"ok": 1.0, "cursor": {"id": 0, "ns": "ontrack.any", "firstBatch": []}}
    with scripted(buildInfo=[build], hello=[hello], dbStats=[size], find=[nothing]) as url:
        # when the region is checked
        ran = region.ontrack_with({"ONTRACK_MONGODB_URL": url}, "doctor", "--format", "json")

    # then that is found
    found = {each["what"]: each for each in orjson.loads(ran.out)}
    assert found["database"]["says"] == "MongoDB 8.0.17, a replica set of 2"
    assert found["members of the database"]["verdict"] == "finding"
    assert found["members of the database"]["says"] == f"1 of 2 cannot be reached: 127.0.0.1:{nobody}"


def test_certificates_that_are_about_to_expire_are_found(tmp_path: Path) -> None:
    # given servers whose certificates hold for ten days more
    authority, soon = trustme.CA(), datetime.now(UTC) + timedelta(days=10, hours=1)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    tls = as_files(authority.issue_cert("127.0.0.1", not_after=soon), tmp_path)
    with scratch_directory() as servers:
        kafka = KafkaCluster(servers / "kafka", security=Security(tls, {USER: PASSWORDS["kafka"]}))
        mongodb = MongoStandIn(servers / "mongodb", tls=tls, users={USER: PASSWORDS["mongodb"]})
        kafka.start()
        mongodb.start()
        server = Server(f"mongodb://{mongodb.secure_address}/", at_once=FERRETDB_AT_ONCE)
        region = SecureRegion(Brokers(kafka.secure_servers), server, tmp_path, trusted=tmp_path / "authority.pem")
        region.succeeded("provision", "--single-broker")

        # when they are checked, with an API that shows it too
        found = checked(region, ONTRACK_INGEST_URL=f"https://{kafka.secure_servers}")

    # then each is found, with its day
    wanted = [f"{what} {kafka.secure_servers}" for what in ("broker", "API")] + [f"database {mongodb.secure_address}"]
    assert set(findings(found)) == {*wanted, "services"}
    assert found[f"file {region.trusted}"]["verdict"] == "ok"
    assert {found[each]["says"] for each in wanted} == {f"its certificate expires in 10 days, on {soon:%Y-%m-%d}"}
