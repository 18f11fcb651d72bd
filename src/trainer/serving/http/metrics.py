"""Metrics of one server, in Prometheus' format at `/metrics`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

# The values of the labels, and the number.
Sample = tuple[tuple[str, ...], float]


class Metrics:
    """The counters of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        requests = Counter(
            "trainer_requests", "Requests answered", ("route", "status"), registry=self._registry
        )
        seconds = Histogram(
            "trainer_request_seconds", "From the headers to the answer, in seconds", ("route",),
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        rows = Histogram(
            "trainer_batch_rows", "Instances in one call of a model", ("model",), buckets=ROWS,
            registry=self._registry,
        )  # fmt: skip
        # Looking up a label's counter takes longer than counting; there are few label values.
        self._count = functools.cache(lambda route, status: requests.labels(route, status).inc)
        self._observe = functools.cache(lambda route: seconds.labels(route).observe)
        self._rows = rows

    def count_response(self, route: str, status: int, seconds: float) -> None:
        """Count a response.

        Args:
            route: Name of the endpoint.
            status: HTTP's.
            seconds: From the headers of the request to the response.
        """
        self._count(route, status)()
        self._observe(route)(seconds)

    def rows_of(self, model: str) -> Callable[[float], None]:
        """Return the function that counts a call of a model, given the rows of its batch."""
        return self._rows.labels(model).observe

    def gauge(
        self, name: str, help: str, labels: tuple[str, ...], read: Callable[[], Iterable[Sample]]
    ) -> None:
        """Add a gauge.

        Args:
            name: Of the metric.
            help: One line about it.
            labels: Their names.
            read: Returns the current samples; called for each request of `/metrics`.
        """
        self._registry.register(_Gauge(name, help, labels, read))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauge:
    """A gauge whose samples are read when Prometheus asks."""

    def __init__(
        self, name: str, help: str, labels: tuple[str, ...], read: Callable[[], Iterable[Sample]]
    ) -> None:
        self._name, self._help, self._labels, self._read = name, help, labels, read

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._help, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        return [family]
