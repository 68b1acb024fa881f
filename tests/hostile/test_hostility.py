"""While a hundred thousand broken requests come, the others are answered, and nothing of the broken ones is recorded.

What is printed is what is quoted: how long a request takes meanwhile, as a ratio to the same with nobody else there,
and how much memory that took.
"""

import asyncio
import http.client
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any, Final

import orjson
import pytest
import trustme

from contracts.topics import CASES
from services.embedded import EmbeddedHome
from services.home import Home
from services.ingest.access import TOKENS, Client, Tokens
from tests.hostile.attacks import MARK
from tests.integration.test_security import certificate
from tests.support.region import region_of_its_own
from tests.support.requests import Requests
from tests.support.running import running
from tests.support.said import said_on

PATIENCE: Final = 1_800.0
ALONE: Final = 200
"""Requests by which it is measured how long one takes with nobody else there."""

MEGABYTES: Final = 300
"""So much more memory may be taken at most: the bodies that may be in hand, ten times as large when they are read."""


@dataclass(frozen=True)
class Attacked:
    """What is attacked, and what can be seen of it from behind. authority: vouches for it, where it speaks TLS."""

    requests: Requests
    tokens: Tokens
    pid: int
    log: Path
    asked: Callable[[Callable[[Home], Any]], Any]
    is_alive: Callable[[], bool]
    authority: Path | None = None

    def memory(self, of: str) -> float:
        """Give how much memory the process has (`VmRSS`), or had at most (`VmHWM`), in megabytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith(f"{of}:")).split()[1]) / 1_024


@contextmanager
def one_process(folder: Path) -> Iterator[Attacked]:
    with running(folder / "live") as clinic:

        async def ask(question: Callable[[Home], Any]) -> Any:
            async with await EmbeddedHome.open(clinic.data) as home:
                return await question(home)

        yield Attacked(
            Requests(clinic.port),
            Tokens(clinic.data / TOKENS),
            clinic.process.pid,
            clinic.said,
            lambda question: asyncio.run(ask(question)),
            clinic.is_alive,
        )


@contextmanager
def a_service(folder: Path) -> Iterator[Attacked]:
    ca, authority = trustme.CA(), folder / "authority.pem"
    ca.cert_pem.write_to_path(str(authority))
    tls = certificate(ca, folder)
    with region_of_its_own(folder) as region:
        (process,) = region.provision().serve_with(
            "ingest", ONTRACK_API_CERTIFICATE_FILE=str(tls.certificate), ONTRACK_API_KEY_FILE=str(tls.key)
        )
        process.wait_until_ready()
        yield Attacked(
            Requests(process.api_port, ssl.create_default_context(cafile=authority)),
            Tokens(region.tokens),
            process.pid,
            process.log,
            region.asked,
            lambda: process.why_not("alive") == [],
            authority,
        )


@dataclass
class Patient:
    """A client that sends one good request after the other, each on a connection of its own, and keeps a list.

    answered: key -> the fact that the answer named; again: how often a request had to come again
    """

    requests: Requests
    token: str
    case: str
    answered: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    again: int = 0

    def attend(self, until: Callable[[], bool]) -> None:
        """Say that the patient came to one session after the other, until that is enough."""
        while not until():
            began = time.perf_counter()
            key = f"visit-{len(self.answered)}"
            self.answered[key] = self._answered(key)
            self.seconds.append(time.perf_counter() - began)

    def _answered(self, key: str) -> str:
        body = {"session": len(self.answered) % 1_000}
        for _ in range(20):
            try:
                status, answer = self.requests.ask(
                    "POST", f"/v1/cases/{self.case}/session-attended", self.token, body, key
                )
            except (OSError, http.client.HTTPException):
                self.again += 1
                continue
            if status == 201:
                return str(answer["fact"])
            assert status == 503, (status, answer)
            self.again += 1
        raise AssertionError("a good request was not served in twenty tries")


def attacked(target: Attacked, token: str, case: str, number: int) -> subprocess.Popen[bytes]:
    tls = [] if target.authority is None else [str(target.authority)]
    sent = [str(target.requests.port), token, case, str(number), "1", *tls]
    return subprocess.Popen([sys.executable, "-m", "tests.hostile.attacker", *sent], stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("where", "number"),
    [
        pytest.param(one_process, 100_000, id="one process"),
        pytest.param(a_service, 5_000, id="a service over TLS"),
        pytest.param(a_service, 100_000, id="a service over TLS, for long", marks=pytest.mark.torture),
    ],
)
def test_whatever_is_sent_the_others_are_answered_and_nothing_of_it_is_recorded(
    tmp_path: Path, where: Callable[[Path], AbstractContextManager[Attacked]], number: int
) -> None:
    with where(tmp_path) as target:
        # given a case, and a client that says something of it again and again
        token = target.tokens.make(Client("records", "ehr", "north"), datetime.now(UTC))
        case = target.requests.enrolled(token, "1001")
        alone = Patient(target.requests, token, case["case"])
        alone.attend(lambda: len(alone.answered) == ALONE)
        before = target.memory("VmRSS")

        # when somebody sends whatever else there is
        beside = Patient(target.requests, token, case["case"], dict(alone.answered))
        attack = attacked(target, token, case["case"], number)
        began, is_over = time.perf_counter(), Signal()
        attending = Thread(target=beside.attend, args=[is_over.is_set])
        attending.start()
        try:
            came, _ = attack.communicate(timeout=PATIENCE)
        finally:
            is_over.set()
            attending.join()
            attack.kill()
        took = time.perf_counter() - began
        told = orjson.loads(came)

        # then it goes on: every good request was answered, and its fact is on the log, once; and nothing else is
        assert target.is_alive()
        on_log = target.asked(lambda home: said_on(home.log, home.keyring, CASES))
        assert sorted(fact.id for fact in on_log) == sorted([case["fact"], *beside.answered.values()])

        # and it has told nobody anything but that something is wrong, nor has it taken more memory than it may
        assert told["requests"] >= number
        assert told["forgotten"] == 0
        assert told["let_go"] > 0
        assert told["echoed"] == 0
        assert {status for status in told["answered"] if status >= "500"} <= {"503"}
        assert {"400", "401", "404", "405", "408", "415", "422"} <= told["answered"].keys()
        assert MARK not in target.log.read_text("utf-8")
        assert len(target.log.read_bytes()) < 20_000
        peak, after = target.memory("VmHWM"), target.memory("VmRSS")
        assert peak - before < MEGABYTES

    print(f"\n{told['requests']:,} broken requests and {told['beside']:,} idle ones in {took:.0f} s:")
    print(f"  answered {sum(told['answered'].values()):,}: {told['answered']}")
    print(f"  memory before {before:.0f} MB, at most {peak:.0f}, afterwards {after:.0f}")
    print(f"  {len(beside.seconds):,} good requests beside them, {beside.again} of them again")
    for name, at in (("p50", 49), ("p99", 98)):
        quiet, loud = (statistics.quantiles(each.seconds, n=100)[at] for each in (alone, beside))
        print(f"  {name} {quiet * 1e3:.1f} ms alone, {loud * 1e3:.1f} ms meanwhile: {loud / quiet:.1f} times")
