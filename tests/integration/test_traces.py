"""Traces reach a collector that speaks OTLP over HTTP, tell of no case, and disturb nobody if it is away."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from contracts.topics import CASES, SCORES, TRACKS
from deploy.local.ports import free_ports
from tests.support.region import Process, Region
from tests.support.simulated import cohort, events, simulated, texts

READS: Final = {"scoring": CASES, "not_detector": SCORES, "notifier": TRACKS}
"""What each stage reads."""

ATTRIBUTES: Final = {"stage", "topic", "partition", "first_offset", "records", "published"}


@dataclass
class Collector:
    """What a collector was sent, and what it answers."""

    endpoint: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Give the service, the name and the attributes of every span."""
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = [
                    each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
                ]
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
                        yield (
                            service,
                            span.name,
                            {
                                each.key.removeprefix("ontrack."): each.value.string_value or each.value.int_value
                                for each in span.attributes
                            },
                        )


@contextmanager
def collector(answers: HTTPStatus = HTTPStatus.OK) -> Iterator[Collector]:
    """Run a collector that takes everything, or nothing."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        taken = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def facts(region: Region, tmp_path: Path) -> Path:
    """What patients said, for a region that is provisioned for it."""
    facts = simulated(tmp_path / "facts")
    region.succeeded("provision", "--single-broker", "--log", facts)
    return facts


def test_there_is_a_span_for_each_batch_and_nothing_of_a_case_in_it(region: Region, facts: Path) -> None:
    with collector() as taken:
        # given services that send traces
        services = region.serve_with(ONTRACK_TRACES_ENDPOINT=taken.endpoint)
        for service in services:
            service.wait_until_ready()

        # when they have worked, and end
        region.succeeded("import", facts)
        for service in services:
            service.stop()

    # then the spans of each service tell where it read, and together how much
    spans = list(taken.spans())
    for name, topic in READS.items():
        own = [attributes for service, span, attributes in spans if (service, span) == (f"ontrack-{name}", name)]
        assert {frozenset(attributes) for attributes in own} == {frozenset(ATTRIBUTES)}
        assert {attributes["stage"] for attributes in own} == {name}
        assert {attributes["topic"] for attributes in own} == {region.brokers.topic(topic)}
        history = region.contents().histories[topic.name]
        assert sum(attributes["records"] for attributes in own) == sum(map(len, history.values()))
        for attributes in own:
            before = [
                other["records"]
                for other in own
                if other["partition"] == attributes["partition"] and other["first_offset"] < attributes["first_offset"]
            ]
            assert attributes["first_offset"] == sum(before)
    assert {name for _, name, _ in spans} == READS.keys()

    # and nothing in them is of a case
    sent = b"".join(taken.bodies)
    cases = {event["subject"] for event in events((facts / f"{CASES.name}.ndjson").read_bytes())}
    assert [case for case in cases if case.encode() in sent] == []
    assert [text for text in texts() if text.encode() in sent] == []
    assert [each.number for each in cohort() if each.number.encode() in sent] == []


@contextmanager
def nobody() -> Iterator[Collector]:
    """Name a port where nobody listens."""
    (port,) = free_ports(1)
    yield Collector(f"http://127.0.0.1:{port}/v1/traces")


def says(service: Process, words: bytes) -> bool:
    return words in service.log.read_bytes()


@pytest.mark.parametrize("away", [nobody, lambda: collector(HTTPStatus.SERVICE_UNAVAILABLE)], ids=["away", "refuses"])
def test_a_collector_that_takes_nothing_disturbs_nobody(region: Region, facts: Path, away: Any) -> None:
    with away() as taken:
        # given services whose traces nobody takes
        services = region.serve_with(ONTRACK_TRACES_ENDPOINT=taken.endpoint, ONTRACK_LOG_FORMAT="json")
        for service in services:
            service.wait_until_ready()

        # when they work
        imported = region.succeeded("import", facts)

        # then they work as ever
        assert "for services that" not in imported.told
        for service in services:
            assert service.why_not("ready") == []

        # and say it once
        for service in services:
            service.wait_until(partial(says, service, b"traces-are-lost"), "lost traces are logged")
        for service in services:
            service.stop()
            said = [orjson.loads(line)["event"] for line in service.log.read_bytes().splitlines()]
            assert said == ["listening", "serving", "traces-are-lost", "stopped"]


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    question = "import sys, services.scoring.app; print('opentelemetry.sdk' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", question], capture_output=True, check=True, text=True)
    assert said.stdout == "False\n"
