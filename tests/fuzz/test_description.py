"""What the API says of itself is what it does, whoever asks, and whatever of it is asked; on a file and on servers."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import pytest

from contracts.definitions.files import library
from contracts.events.event import Data, Event
from contracts.events.facts import SessionCancelled, SessionMoved, SessionScheduled
from contracts.topics import CASES
from services.embedded import EmbeddedHome
from services.home import Home
from services.ingest.access import EVERY, TOKENS, Client, Role, Tokens
from services.ingest.domain.clock import SOURCE
from services.ingest.http.api import DESCRIPTION, LOOKED_THROUGH_WITHIN
from services.ingest.http.operations import OPERATIONS
from tests.docs.markdown import ROOT
from tests.support.region import Region, region_of_its_own
from tests.support.requests import Requests
from tests.support.running import running
from tests.support.said import said_on

SCHEMATHESIS: Final = Path(sys.executable).parent / "schemathesis"
CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
PATIENCE: Final = 3_000.0
THE_SAME: Final = ("--generation-deterministic",)
LEFT_OUT: Final = (
    # Whether somebody may ask is up to the hooks, which let somebody ask each time; tests/ingest/test_api.py asks
    # everything without a credential.
    "ignored_auth",
    "missing_required_header",
    "object_level_authorization",
    # What fits the description can be refused for what the case is, and is described so.
    "positive_data_acceptance",
    # An entry that was removed can be entered again by the next request.
    "use_after_free",
    "ensure_resource_availability",
)
ASKED_OF_THE_SAME: Final = (
    # Where hooks lead a broken request on to a case that there is, nothing may be left that is broken. Of what one
    # process is asked each time alike it is known that something is; by chance, or of a service, it is not.
    "negative_data_rejection",
)
CLIENTS: Final[Sequence[tuple[Role, str]]] = (
    *((role, clinic) for clinic in ("north", "south") for role in ("admin", "ehr", "patient-app")),
    ("mailer", EVERY),
)
MARK: Final = "kanin"


class Place(Protocol):
    """Where an API answers, and what can be seen of it from behind."""

    requests: Requests
    tokens: Tokens

    def logged(self) -> str:
        """Give everything that it has logged."""

    def held(self) -> "Held":
        """Give what is on its log in the end."""


class Held:
    """What a home holds: its facts, and the cases that cannot go on."""

    def __init__(self, facts: Sequence[Event[Data]], halted: Sequence[object]) -> None:
        self.facts = facts
        self.halted = halted


async def held(home: Home) -> Held:
    return Held(await said_on(home.log, home.keyring, CASES), await home.halted())


class OneProcess:
    """`ontrack up`."""

    def __init__(self, data: Path, port: int, said: Path) -> None:
        self.requests = Requests(port)
        self.tokens = Tokens(data / TOKENS)
        self._data = data
        self._said = said

    def logged(self) -> str:
        return self._said.read_text("utf-8")

    def held(self) -> Held:
        async def look() -> Held:
            async with await EmbeddedHome.open(self._data) as home:
                return await held(home)

        return asyncio.run(look())


class AService:
    """`ontrack serve ingest`."""

    def __init__(self, region: Region) -> None:
        (process,) = region.serve("ingest")
        process.wait_until_ready()
        self.requests = Requests(process.api_port)
        self.tokens = Tokens(region.tokens)
        self._region = region
        self._process = process

    def logged(self) -> str:
        return self._process.log.read_text("utf-8")

    def held(self) -> Held:
        return self._region.asked(held)


@contextmanager
def one_process(folder: Path) -> Iterator[Place]:
    with running(folder / "live") as clinic:
        yield OneProcess(clinic.data, clinic.port, clinic.said)


@contextmanager
def a_service(folder: Path) -> Iterator[Place]:
    with region_of_its_own(folder) as region:
        yield AService(region.provision())


def a_world(place: Place, folder: Path) -> None:
    """Let clients in, enter a group of each clinic, enrol some cases, and write down who and which."""
    now = datetime.now(UTC)
    clients = [(role, clinic, place.tokens.make(Client(f"the-{role}", role, clinic), now)) for role, clinic in CLIENTS]
    cases: dict[str, list[str]] = {}
    facts: list[str] = []
    for role, clinic, token in clients:
        if role == "admin":
            place.requests.ask("PUT", "/v1/groups/mondays", token, {"sessions": {}, "therapists": []})
            enrolled = [place.requests.enrolled(token, f"{MARK}{number:08x}") for number in range(4)]
            cases[clinic] = [case["case"] for case in enrolled]
            facts += [case["fact"] for case in enrolled]
    world = {
        "clients": clients,
        "cases": cases,
        "numbers": [f"{MARK}{number:08x}" for number in range(4)],
        "refs": [entry.ref for entry in library()],
        "facts": facts,
    }
    (folder / "world.json").write_bytes(orjson.dumps(world))


def asked_by_chance(
    place: Place, folder: Path, *options: str, left_out: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Let schemathesis ask."""
    command: list[str | Path] = [
        SCHEMATHESIS,
        "--config-file",
        CONFIGURATION,
        "run",
        DESCRIPTION,
        "--url",
        place.requests.url,
        "--no-color",
    ]
    # A client that does not wait for an answer could not tell what it was told.
    patient = ["--request-timeout", str(LOOKED_THROUGH_WITHIN)]
    chosen = ["--checks", "all", "--exclude-checks", ",".join(left_out), *patient, *options]
    environment = {
        **os.environ,
        "ONTRACK_FUZZ": str(folder),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [*command, *chosen], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def answers(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (folder / "answers.ndjson").read_bytes().splitlines()]


def strangers(facts: Sequence[Event[Data]], told: Sequence[Mapping[str, Any]], known: set[str]) -> list[Event[Data]]:
    """The facts that no answer has told of: neither they nor what they follow from, nor the times of their group."""
    answered = known.union(*(each["facts"] for each in told))
    times = {(name, datetime.fromisoformat(at)) for each in told for name, at in each["sessions"].items()}
    return [
        fact
        for fact in facts
        if not {fact.id, fact.causationid} & answered
        and fact.source != SOURCE
        and not (fact.source.endswith(":group") and is_of_a_group(fact.data, times))
    ]


def is_of_a_group(data: Data, times: Container[tuple[str, datetime]]) -> bool:
    """Tell whether a group can have said it: that a session is at a time of the group's, or is not any more."""
    if isinstance(data, SessionScheduled | SessionMoved):
        return (str(data.session), data.scheduled) in times
    return isinstance(data, SessionCancelled)


@pytest.mark.parametrize(
    ("where", "options"),
    [
        pytest.param(one_process, (*THE_SAME, "--max-examples", "4"), id="one process"),
        pytest.param(a_service, (*THE_SAME, "--phases", "fuzzing", "--max-examples", "8"), id="a service"),
        pytest.param(one_process, ("--max-examples", "400"), id="one process, often", marks=pytest.mark.torture),
        pytest.param(a_service, ("--max-examples", "60"), id="a service, often", marks=pytest.mark.torture),
    ],
)
def test_whatever_is_asked_is_answered_as_described_and_only_what_was_answered_is_recorded(
    tmp_path: Path, where: Any, options: Sequence[str]
) -> None:
    with where(tmp_path) as place:
        # given two clinics, and clients of every role
        a_world(place, tmp_path)

        # when they ask whatever the description makes one think of
        is_known = where is one_process and set(THE_SAME) <= set(options)
        left_out = LEFT_OUT if is_known else (*LEFT_OUT, *ASKED_OF_THE_SAME)
        ran = asked_by_chance(place, tmp_path, *options, left_out=left_out)

        # then each answer is one that is described, and says nothing that was said before
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
        logged, found = place.logged(), place.held()
    assert MARK not in logged
    assert "fault" not in logged

    # and they were led to what there is to be done, and to every way in which it is refused
    tried, done = Counter[str](), Counter[str]()
    for each in answers(tmp_path):
        tried[each["operation"]] += 1
        done[each["operation"]] += each["status"] < 400
    assert tried.keys() == {operation.name for operation in OPERATIONS}
    never = {name for name, times in tried.items() if times >= 30 and not done[name]}
    # What became of a mail is taken of few cases, three times of ninety: by chance it can be none of one of the two.
    assert never < {"notice-sent", "notice-failed"}
    assert {400, 401, 403, 404, 422} <= {each["status"] for each in answers(tmp_path)}

    # and what is on the log is what was answered, and what follows from it; every case goes on
    world = orjson.loads((tmp_path / "world.json").read_bytes())
    told = answers(tmp_path)
    assert {fact for each in told for fact in each["facts"]} - {fact.id for fact in found.facts} == set()
    assert strangers(found.facts, told, set(world["facts"])) == []
    assert list(found.halted) == []
