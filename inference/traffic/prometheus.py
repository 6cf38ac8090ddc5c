"""All counts in the form that Prometheus scrapes (text format 0.0.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from inference.traffic.models import GatewayProcess, Tally
from inference.traffic.rules import cumulative, summed

# Of the classes of latency each third is told: bounds about twice as far each.
EVERY = 3
MILLION = 1_000_000


class Told:
    """A collector that was told beforehand what it collects."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        yield from self.families


def exposition(tallies: Iterable[Tally], processes: Iterable[GatewayProcess], now: datetime) -> bytes:
    """`tallies` are those of all time."""
    registry = CollectorRegistry()
    registry.register(Told([*of_tallies(tallies), *of_processes(processes, now)]))
    return generate_latest(registry)


def of_tallies(tallies: Iterable[Tally]) -> list[Metric]:
    by_way: dict[tuple[str, ...], list[Tally]] = defaultdict(list)
    by_endpoint: dict[tuple[str, str], list[Tally]] = defaultdict(list)
    for row in tallies:
        name, environment = (row.endpoint.name, row.endpoint.environment) if row.endpoint else ("", "")
        by_way[name, environment, row.key.key_id if row.key else "", row.artifact, row.code].append(row)
        if not row.code:
            by_endpoint[name, environment].append(row)
    counted = CounterMetricFamily(
        "countersign_gateway_requests", "Requests for predictions; code is empty where they were answered",
        labels=("endpoint", "environment", "key", "artifact", "code"),
    )  # fmt: skip
    for labels, rows in sorted(by_way.items()):
        counted.add_metric(labels, sum(row.requests for row in rows))
    predicted = CounterMetricFamily(
        "countersign_gateway_rows", "Rows that were predicted", labels=("endpoint", "environment")
    )
    took = HistogramMetricFamily(
        "countersign_gateway_latency_seconds", "From a request's headers to its answer, of those that were answered",
        labels=("endpoint", "environment"),
    )  # fmt: skip
    for labels, rows in sorted(by_endpoint.items()):
        predicted.add_metric(labels, sum(row.rows for row in rows))
        ends = cumulative(summed(row.classes for row in rows), EVERY)
        buckets = [("+Inf" if end is None else str(end / MILLION), float(count)) for end, count in ends]
        took.add_metric(labels, buckets, sum(row.micros for row in rows) / MILLION)
    return [counted, predicted, took]


def of_processes(processes: Iterable[GatewayProcess], now: datetime) -> list[Metric]:
    up = GaugeMetricFamily(
        "countersign_gateway_up", "1 while a process of the gateway says that it lives", labels=("host", "process")
    )
    told = {
        name: GaugeMetricFamily(f"countersign_gateway_{name}", words, labels=("host", "process"))
        for name, words in (
            ("lease_seconds_left", "How long it may serve without asking the gate again"),
            ("log_dropped", "Rows of the prediction log that were lost since it began"),
            ("log_waiting", "Rows of the prediction log that are not written yet"),
            ("memory_bytes", "How much memory it uses"),
        )
    }
    for each in processes:
        labels = (each.host, str(each.pid))
        up.add_metric(labels, 0 if each.silent(now) else 1)
        for name, value in figures(each.said):
            told[name].add_metric(labels, value)
    return [up, *told.values()]


def figures(said: dict[str, Any]) -> Iterator[tuple[str, float]]:
    log = said.get("prediction_log", {})
    for name, value in (
        ("lease_seconds_left", said.get("lease_seconds_left")),
        ("log_dropped", log.get("dropped")),
        ("log_waiting", log.get("waiting")),
        ("memory_bytes", said.get("memory_bytes")),
    ):
        if value is not None:
            yield name, float(value)
