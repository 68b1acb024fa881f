"""What a service measures of itself, for Prometheus. Every metric is declared once, in the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from services.runtime.runner import Done

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. labels: what it is told apart by, besides the stage."""

    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RECORDS: Final = (1, 3, 10, 30, 100, 300, 1_000, 2_000)

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "ontrack_lag_events": Metric("gauge", "Events of a partition that are not processed yet.", ("partition",)),
        "ontrack_lag_seconds": Metric(
            "gauge",
            "Age of the oldest event of a partition that is not processed yet; 0 if there is none.",
            ("partition",),
        ),
        "ontrack_events_read_total": Metric("counter", "Events that were read and processed."),
        "ontrack_events_published_total": Metric("counter", "Events that were published and acknowledged."),
        "ontrack_batch_records": Metric("histogram", "Events in one batch of one partition.", (), _RECORDS),
        "ontrack_batch_seconds": Metric(
            "histogram", "Seconds from the start of a batch until its position is stored.", (), _SECONDS
        ),
        "ontrack_duplicates_dropped_total": Metric("counter", "Events that had been taken already and were dropped."),
        "ontrack_dead_letters_total": Metric("counter", "Facts that could not be read and went to rom.cases.v1.dlq."),
        "ontrack_halted_cases": Metric("gauge", "Cases that cannot go on until a cause is gone, in all partitions."),
        "ontrack_states_lost_total": Metric(
            "counter", "Partitions that were given up because another process had written one of their states."
        ),
        "ontrack_mail_tries_total": Metric(
            "counter", "Mails that were tried, by what came of that: taken, put_off, refused or given_up.", ("fate",)
        ),
        "ontrack_mail_waiting": Metric("gauge", "Mails that were begun and are neither sent nor given up."),
        "ontrack_partitions": Metric(
            "gauge", "Partitions that this process has, by how it stands with them.", ("standing",)
        ),
    }
)


class Metrics:
    """The metrics of one stage."""

    def __init__(self, stage: str) -> None:
        """Count for `stage`."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it untyped
        self._stage = stage
        self.registry = CollectorRegistry()
        self._counters = {name: self._counter(name) for name, metric in METRICS.items() if metric.kind == "counter"}
        self._gauges = {name: self._gauge(name) for name, metric in METRICS.items() if metric.kind == "gauge"}
        self._histograms = {
            name: self._histogram(name) for name, metric in METRICS.items() if metric.kind == "histogram"
        }

    def _counter(self, name: str) -> Counter:
        metric = METRICS[name]
        return Counter(name.removesuffix("_total"), metric.says, ("stage", *metric.labels), registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        metric = METRICS[name]
        return Gauge(name, metric.says, ("stage", *metric.labels), registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        metric = METRICS[name]
        labels = ("stage", *metric.labels)
        return Histogram(name, metric.says, labels, buckets=metric.buckets, registry=self.registry)

    def heard(self, done: Done, seconds: float) -> None:
        """Count a batch."""
        self.add("ontrack_events_read_total", done.read)
        self.add("ontrack_events_published_total", done.published)
        self.add("ontrack_duplicates_dropped_total", done.repeated)
        self.add("ontrack_dead_letters_total", done.dead_letters)
        self._histograms["ontrack_batch_records"].labels(stage=self._stage).observe(done.read)
        self._histograms["ontrack_batch_seconds"].labels(stage=self._stage).observe(seconds)

    def add(self, name: str, number: int, **labels: str) -> None:
        """Count something."""
        self._counters[name].labels(stage=self._stage, **labels).inc(number)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Say how much of something there is."""
        self._gauges[name].labels(stage=self._stage, **labels).set(value)

    def forget(self, name: str) -> None:
        """Forget what was said of something, so that what is gone is not reported for ever."""
        self._gauges[name].clear()

    def page(self) -> bytes:
        """Give everything as Prometheus reads it."""
        return generate_latest(self.registry)
