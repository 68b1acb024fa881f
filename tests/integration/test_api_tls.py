"""Ingest's API speaks TLS where it has a certificate, and the service tells how it is beside it as ever."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from pathlib import Path

import pytest
import trustme

from services.runtime.greeting import AT_MOST
from tests.integration.test_security import certificate
from tests.support.command import ontrack
from tests.support.region import Process, Region, region_of_its_own


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ingest(tmp_path: Path, authority: trustme.CA) -> Iterator[Process]:
    """Ingest with a certificate for this machine."""
    tls = certificate(authority, tmp_path)
    with region_of_its_own(tmp_path) as region:
        (process,) = region.provision().serve_with(
            "ingest", ONTRACK_API_CERTIFICATE_FILE=str(tls.certificate), ONTRACK_API_KEY_FILE=str(tls.key)
        )
        yield process.wait_until_ready()


def connection(process: Process, authority: trustme.CA) -> http.client.HTTPSConnection:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return http.client.HTTPSConnection("127.0.0.1", process.api_port, timeout=30, context=trusting)


def test_the_api_answers_over_tls_only(ingest: Process, authority: trustme.CA) -> None:
    # when somebody asks the API over TLS, then it answers
    with closing(connection(ingest, authority)) as trusted:
        trusted.request("GET", "/v1/groups")
        assert trusted.getresponse().status == HTTPStatus.UNAUTHORIZED

    # and nobody is answered who does not trust it, or asks without TLS
    with closing(connection(ingest, trustme.CA())) as stranger, pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/v1/groups")
    assert ingest.request("GET", "/v1/groups") == (0, None)

    # and how it is, it tells without
    assert ingest.asked("/ready")[0] == HTTPStatus.OK


def test_a_client_that_stays_keeps_it_from_nothing(ingest: Process, authority: trustme.CA) -> None:
    # given a client that keeps its connection open
    with closing(connection(ingest, authority)) as stays:
        stays.request("GET", "/v1/groups")
        stays.getresponse().read()

        # when the service is told to end, then it does so in order
        assert ingest.stop() == 0
    assert "stopped" in ingest.log.read_text()


def test_clients_that_connect_and_say_nothing_cost_little_and_keep_nobody_out(
    ingest: Process, authority: trustme.CA
) -> None:
    # given more who connect and say nothing than are borne at a time
    before = memory(ingest)
    with ExitStack() as silent:
        for _ in range(3 * AT_MOST):
            silent.enter_context(socket.create_connection(("127.0.0.1", ingest.api_port)))

        # when somebody asks meanwhile, then they are answered, and it has cost no more than it may
        with closing(connection(ingest, authority)) as trusted:
            trusted.request("GET", "/v1/groups")
            assert trusted.getresponse().status == HTTPStatus.UNAUTHORIZED
    assert memory(ingest) - before < 40


def memory(process: Process) -> float:
    """Give how much memory a process has had at most, in megabytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1_024


def test_whoever_watches_asks_by_a_command(region: Region) -> None:
    # given a service that has nothing to stand on
    (service,) = region.serve("scoring")
    service.wait_until_not_alive(60)

    # when it is asked whether it is ready, then it says why not
    ran = ontrack("ready", "--port", str(service.port))
    assert ran.exit_code == 1
    assert "ontrack provision" in ran.told

    # and that it is once it is
    region.provision()
    service.wait_until_ready()
    assert ontrack("ready", "--port", str(service.port)).out == b"ready\n"

    # and when it is gone, that it does not answer
    service.stop()
    gone = ontrack("ready", "--port", str(service.port))
    assert (gone.exit_code, gone.told) == (1, "Error: it does not answer\n")
