"""Adds up the metrics of several processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


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
    registry = CollectorRegistry()
    registry.register(_Sums([_filled(families[name], samples[name]) for name in families]))
    return generate_latest(registry)


def _filled(family: Metric, samples: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> Metric:
    whole = Metric(family.name, family.documentation, family.type)
    for (name, labels), value in samples.items():
        whole.add_sample(name, dict(labels), value)
    return whole


class _Sums(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)
