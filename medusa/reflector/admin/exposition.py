"""Writes metrics in the text format of Prometheus, and adds up those of several processes.

Import this module only if somebody asks for the metrics: prometheus_client takes long to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from medusa.reflector.metrics import COUNTER, HISTOGRAM, Family, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(families: Iterable[Family]) -> bytes:
    """Returns the metrics as a text."""
    return _written(map(_metric, families))


def summed(expositions: Iterable[str]) -> bytes:
    """Adds up the samples that have the same name and labels. Returns the sums in the text format of Prometheus.

    Args:
        expositions: the metrics of each process, in the same format. All processes run the same program.
    """
    families: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {}
    for text in expositions:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, family)
            known = samples.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                known[key] = known.get(key, 0.0) + sample.value
    return _written(_filled(families[name], samples[name]) for name in families)


def _written(metrics: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collector(list(metrics)))
    return generate_latest(registry)


def _metric(family: Family) -> Metric:
    labels = [family.label] if family.label else []
    histogram = HistogramMetricFamily(family.name, family.what, labels=labels)
    number = (CounterMetricFamily if family.kind == COUNTER else GaugeMetricFamily)(
        family.name, family.what, labels=labels
    )
    for label, value in family.values.items():
        words = [label] if labels else []
        if isinstance(value, Histogram):
            buckets = [(floatToGoString(bound), count) for bound, count in value.buckets()]  # type: ignore[no-untyped-call]
            histogram.add_metric(words, buckets, value.sum)
        else:
            number.add_metric(words, value)
    return histogram if family.kind == HISTOGRAM else number


def _filled(family: Metric, samples: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> Metric:
    whole = Metric(family.name, family.documentation, family.type)
    for (name, labels), value in samples.items():
        whole.add_sample(name, dict(labels), value)
    return whole


class _Collector(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
