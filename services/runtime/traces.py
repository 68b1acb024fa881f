"""Traces, for whoever sets where they go: one span for each batch of a partition. Without keys, cases or content."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from services.runtime.logger import logger
from services.runtime.runner import Done

EXPORT_TIMEOUT: Final = 5.0
"""Seconds within which one batch of spans is taken; else it is lost."""

_NANOSECONDS: Final = 1_000_000_000


class Traces:
    """Makes spans, and sends them from a thread of its own. Whatever becomes of them, the service goes on."""

    def __init__(self, endpoint: str, stage: str, topic: str) -> None:
        """Send the spans of a stage that reads a topic to an endpoint for OTLP over HTTP."""
        self._stage = stage
        self._topic = topic
        resource = Resource.create({SERVICE_NAME: f"ontrack-{stage}"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = _TellingOnce(OTLPSpanExporter(endpoint, timeout=EXPORT_TIMEOUT))
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("ontrack")

    def heard(self, partition: int, done: Done, seconds: float) -> None:
        """Make the span of a batch that has just been processed."""
        end = time.time_ns()
        span = self._tracer.start_span(
            self._stage,
            start_time=end - round(seconds * _NANOSECONDS),
            attributes={
                "ontrack.stage": self._stage,
                "ontrack.topic": self._topic,
                "ontrack.partition": partition,
                "ontrack.first_offset": done.first,
                "ontrack.records": done.read,
                "ontrack.published": done.published,
            },
        )
        span.end(end)

    async def close(self) -> None:
        """Send what is left, and wait no longer than for one batch."""
        sending = asyncio.ensure_future(asyncio.to_thread(self._provider.shutdown))
        await asyncio.wait({sending}, timeout=EXPORT_TIMEOUT)
        self._exporter.shutdown()
        await sending


class _TellingOnce(SpanExporter):
    """An exporter that says when spans begin to get lost, and when they no longer do."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        if works != self._works:
            self._works = works
            if works:
                logger.info("traces-go-on")
            else:
                logger.warning(
                    "traces-are-lost", why="the endpoint is away or refuses them: check ONTRACK_TRACES_ENDPOINT"
                )
        return result

    def shutdown(self) -> None:
        """Stop, also where sending is tried again."""
        self._exporter.shutdown()
