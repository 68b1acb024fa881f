"""The compose file is one that Compose takes, and gives no container more than it needs."""

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import pytest

from deploy.local.prerequisites import Missing
from services.cli.secrets import OWNERS
from services.cli.serve import SERVICES
from services.runtime.process import ENDS_WITHIN
from services.runtime.settings import PREFIX
from tests.containers.compose_program import compose
from tests.containers.deployment import BROKERS, DEPLOY, ROOT
from tests.containers.ontrack_image import context
from tests.docs.markdown import table
from tests.docs.operation_tables import setting_rows
from tests.support import containers

# One worker has Compose read the files.
pytestmark = pytest.mark.xdist_group("docker")

FILE: Final = "compose.yaml"
SMALL: Final = "compose.small.yaml"

RUN_ONCE: Final = {"provision", "ontrack", "restore", "secrets"}
OF_THE_ADMINISTRATOR: Final = {"provision", "restore"}
AS_ROOT: Final = {"secrets": {"CHOWN", "DAC_OVERRIDE"}}
"""Who is root, and what it may do as such: it gives files to those who read them."""

WRITTEN: Final = {("ontrack", "/run/tokens"), ("restore", "/run/tokens"), ("auditor", "/checkpoints")}
"""Who writes where: tokens are made by one command, and come back by another; checkpoints are signed."""

SERVED: Final = {"mongodb", *BROKERS, *SERVICES}


@cache
def read(*files: str, interpolated: bool = True) -> Mapping[str, Any]:
    """Let Compose read files, which says so if they are none of its own."""
    named = [option for file in files for option in ("--file", str(DEPLOY / file))]
    try:
        program = compose()
    except Missing as missing:
        pytest.skip(str(missing))
    ran = subprocess.run(
        [
            *(str(program), *named, "--profile", "*", "config", "--format", "json"),
            *([] if interpolated else ["--no-interpolate"]),
        ],
        env={"PATH": "", "HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said: Mapping[str, Any] = json.loads(ran.stdout)
    return said


def service(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = read(FILE)["services"][name]
    return found


def seconds(text: str) -> float:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text).groups()  # type: ignore[union-attr] # Compose's form
    return 60 * int(minutes or 0) + int(rest or 0)


each_service = pytest.mark.parametrize("name", sorted(SERVED | RUN_ONCE))


def test_it_has_every_service() -> None:
    assert read(FILE)["services"].keys() == SERVED | RUN_ONCE
    for name in SERVICES:
        assert service(name)["command"] == ["serve", name]


@each_service
def test_a_container_can_do_nothing_but_its_work(name: str) -> None:
    own = service(name)
    assert own["read_only"] is True
    assert own["cap_drop"] == ["ALL"]
    assert set(own.get("cap_add", ())) == AS_ROOT.get(name, set())
    assert own["security_opt"] == ["no-new-privileges:true"]
    assert (own["user"] == "0:0") == (name in AS_ROOT)
    assert int(own["mem_limit"]) > 0
    assert own["pids_limit"] > 0
    assert not own.keys() & {"privileged", "devices", "pid", "ipc", "volumes_from", "userns_mode"}
    assert own.get("network_mode") == ("none" if name in AS_ROOT else None)


@each_service
def test_a_container_is_the_user_whose_the_files_are(name: str) -> None:
    kind = "kafka" if name in BROKERS else "mongodb" if name == "mongodb" else "ontrack"
    assert name in AS_ROOT or service(name)["user"] == f"{OWNERS[kind]}:{OWNERS[kind]}"


@each_service
def test_what_a_container_logs_does_not_fill_the_disk(name: str) -> None:
    logging = service(name)["logging"]
    assert logging["driver"] == "json-file"
    assert logging["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", sorted(SERVED))
def test_what_serves_says_how_it_is_and_is_started_again(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD"
    assert service(name)["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(RUN_ONCE))
def test_what_runs_once_is_not_started_again(name: str) -> None:
    assert service(name)["restart"] == "no"


def test_what_one_container_for_commands_has_made_is_known_to_the_next_as_made_on_the_same_machine() -> None:
    # Without a name of its own, each container has another one.
    assert service("ontrack")["hostname"] == service("restore")["hostname"] == "ontrack"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_the_time_that_it_needs_to_end(name: str) -> None:
    assert seconds(service(name)["stop_grace_period"]) > ENDS_WITHIN


def test_each_starts_when_those_before_it_work() -> None:
    provisioning = service("provision")["depends_on"]
    assert {name: on["condition"] for name, on in provisioning.items()} == {
        "kafka-1": "service_healthy",
        "mongodb": "service_healthy",
    }
    # Two of three brokers are enough.
    assert {name for name, on in provisioning.items() if on["required"]} == {"mongodb"}
    for name in SERVICES:
        assert service(name)["depends_on"]["provision"]["condition"] == "service_completed_successfully"


# What can be reached


def test_nothing_is_published_but_the_api_and_that_to_this_machine() -> None:
    published = {name: own["ports"] for name, own in read(FILE)["services"].items() if "ports" in own}
    assert published.keys() == {"ingest"}
    (port,) = published["ingest"]
    assert port["host_ip"] == "127.0.0.1"
    assert str(port["target"]) == service("ingest")["environment"]["ONTRACK_API_PORT"]


def test_only_the_door_and_the_mailer_have_a_way_out() -> None:
    assert read(FILE)["networks"]["inside"]["internal"] is True
    networks = {name: set(own["networks"]) for name, own in read(FILE)["services"].items() if name not in AS_ROOT}
    both = {"inside", "outside"}
    assert networks == {name: {"inside"} for name in networks} | {"ingest": both, "mailer": both}


# Secrets


@each_service
def test_no_secret_stands_in_the_environment(name: str) -> None:
    for variable, value in service(name).get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|KEY", variable) and value:
            assert value.startswith(("/run/", "PEM")), variable


@each_service
def test_each_sees_its_own_secrets_only_and_is_not_started_without(name: str) -> None:
    mounted = {each["target"]: each for each in service(name)["volumes"] if each["type"] == "bind"}
    if name == "secrets":
        assert mounted.keys() == {"/secrets"}
        return
    of_people = "users/operator" if name == "ontrack" else name
    folder = "users/administrator" if name in OF_THE_ADMINISTRATOR else of_people
    own = f"users/{name}" if name in SERVICES else folder
    assert mounted["/run/secrets"]["source"] == str(DEPLOY / "secrets" / own)
    for target, each in mounted.items():
        assert each["bind"].get("create_host_path", False) is False
        assert each.get("read_only", False) is ((name, target) not in WRITTEN)
    assert not any("authority" in each["source"] for each in mounted.values())


def test_what_the_services_are_told_are_settings() -> None:
    known = {row["setting"].strip("`") for row in setting_rows()} | {f"{PREFIX}SECRETS"}
    for name in (*SERVICES, "provision", "restore", "ontrack"):
        assert service(name)["environment"].keys() <= known, name


# Images


def variables() -> dict[str, str]:
    """Every variable of the file, and what holds where it is not set."""
    text = DEPLOY.joinpath(FILE).read_text("utf-8")
    return dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))


def test_every_variable_has_a_default_so_that_none_has_to_be_set() -> None:
    text = DEPLOY.joinpath(FILE).read_text("utf-8")
    assert set(re.findall(r"\$\{?(\w+)", text)) == variables().keys()


def test_each_image_is_named_by_a_variable_and_has_a_version_if_none_is_named() -> None:
    images = {own["image"] for own in read(FILE, interpolated=False)["services"].values()}
    version = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert images == {
        f"${{{containers.KAFKA.variable}:-{containers.KAFKA.published}}}",
        f"${{{containers.MONGODB.variable}:-{containers.MONGODB.published}}}",
        f"${{ONTRACK_IMAGE:-ontrack:{version}}}",
    }


def test_mongodb_is_one_that_tells_no_secrets() -> None:
    # CVE-2025-14847: those before let anybody read from their memory
    version = tuple(map(int, containers.MONGODB.published.removeprefix("mongo:").split(".")))
    assert version >= (8, 0, 17)


def test_the_image_is_built_on_what_the_file_says_too() -> None:
    dockerfile = DEPLOY.joinpath("Dockerfile").read_text("utf-8")
    (base,) = re.findall(r"^ARG ONTRACK_BASE_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    assert base == variables()["ONTRACK_BASE_IMAGE"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    assert service("provision")["build"]["dockerfile"] == "deploy/Dockerfile"


def test_the_image_is_made_from_what_is_shipped_and_from_nothing_else() -> None:
    sent = {name if name.startswith("deploy/") else name.partition("/")[0] for name in context()}
    build = {".dockerignore", "deploy", "deploy/Dockerfile", "wheels"}
    assert sent - build == {"contracts", "services", "pyproject.toml", "requirements.lock"}
    assert {"contracts/library/instruments/odsis.json", "services/cli/main.py"} <= set(context())
    assert not any("__pycache__" in name for name in context())


def test_the_image_names_no_place_where_packages_come_from() -> None:
    assert "://" not in DEPLOY.joinpath("Dockerfile").read_text("utf-8")


# A small clinic


def test_a_small_clinic_has_one_broker_that_flushes_every_message() -> None:
    # given both files
    small = read(FILE, SMALL)["services"]

    # then the other brokers do not run, and nobody seeks them
    assert {name for name in BROKERS if "profiles" not in small[name]} == {"kafka-1"}
    for name in (*SERVICES, "provision", "restore", "ontrack", "kafka-1"):
        for variable, value in small[name]["environment"].items():
            assert variable == "KAFKA_SUPER_USERS" or not re.search(r"kafka-[23]", value), (name, variable)

    # and the one that does writes every message to its disk, and keeps one copy
    own = small["kafka-1"]["environment"]
    assert own["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"] == "1"
    copies = {name: value for name, value in own.items() if re.search(r"REPLICATION_FACTOR|ISR$|INSYNC", name)}
    assert set(copies.values()) == {"1"}
    assert len(copies) == 7
    assert "--single-broker" in small["provision"]["command"]
    assert "--single-broker" in small["restore"]["entrypoint"]
    assert small["restore"]["depends_on"].keys() == {"kafka-1", "mongodb"}


def test_three_brokers_keep_three_copies_and_acknowledge_with_two() -> None:
    own = service("kafka-1")["environment"]
    assert {value for name, value in own.items() if "REPLICATION_FACTOR" in name} == {"3"}
    assert {value for name, value in own.items() if re.search(r"ISR$|INSYNC", name)} == {"2"}


# The page


def test_the_page_lists_every_variable_with_its_default() -> None:
    rows = table(DEPLOY / "README.md", "variables")
    listed: dict[str, str] = {}
    for row in rows:
        names, defaults = (re.findall(r"`([^`]+)`", row[column]) for column in ("variable", "unless it does"))
        listed |= dict(zip(names, defaults or [""], strict=True))
    assert listed.keys() == variables().keys()
    shown = {name: default for name, default in listed.items() if default}
    assert shown == {name: variables()[name] for name in shown}
