"""What Prometheus reads: equity, exposure, drawdown and trades of each trader, age of each feed, state of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from alpha_arena.monitor.boards import Boards
from alpha_arena.monitor.reader import Reader

TRADER = {
    "equity": "equity of a trader, quote currency",
    "exposure": "notional / equity",
    "drawdown": "equity against its peak, 0 or a negative fraction",
    "total_fraction": "return since the start, a fraction",
}


class Engine:
    """Collects the figures when they are asked for.

    Args:
        reader: the database. boards: figures over traders.
    """

    def __init__(self, reader: Reader, boards: Boards) -> None:
        self.reader = reader
        self.boards = boards

    def collect(self) -> Iterator[Metric]:
        """All figures as they are now."""
        kpis = {name: self.boards.kpi(name) for name in self.boards.names()}
        for field, words in TRADER.items():
            yield gauge(f"alpha_arena_{field}", words, ["trader"], {(name,): kpi[field] for name, kpi in kpis.items()})
        status = self.boards.status()
        now = status["clock"]["now_ms"]
        ages = {(feed["symbol"],): (now - feed["close_ms"]) / 1000 for feed in status["feeds"]}
        yield gauge("alpha_arena_feed_age_seconds", "age of the newest close on the market's clock", ["symbol"], ages)
        yield gauge("alpha_arena_clock_running", "1 while the market's clock runs", [], {(): float(status["clock"]["running"])})
        yield gauge("alpha_arena_halts", "halts that nobody has acknowledged", [], {(): float(len(status["halts"]))})


def gauge(name: str, words: str, labels: list[str], values: dict[Any, float]) -> GaugeMetricFamily:
    """A family of figures by label."""
    family = GaugeMetricFamily(name, words, labels=labels)
    for label, value in values.items():
        family.add_metric(list(label), value)
    return family


def exposition(reader: Reader, boards: Boards) -> bytes:
    """Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Engine(reader, boards))
    return generate_latest(registry)
