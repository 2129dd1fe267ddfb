"""Where a search runs: in this process or on Ray, by how much work there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from alpha_arena.backtest.pool import Pool, Threads
from alpha_arena.backtest.space import Template
from alpha_arena.backtest.trials import Bench
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Cluster
from flows.raypool import LOCAL, ray_pool


def wants_ray(cluster: Cluster, estimate_s: float) -> bool:
    """Whether Ray is worth its start, or was asked for."""
    asked = cluster.use == "always" or cluster.address != LOCAL
    return cluster.use != "never" and (asked or estimate_s > cluster.above_s)


@contextmanager
def pool_for(settings: Settings, benches: Sequence[Bench], templates: Mapping[str, Template], estimate_s: float) -> Iterator[Pool]:
    """Workers for a search.

    Args:
        estimate_s: seconds of one core.

    Raises:
        ConfigError: Ray was asked for and is not there.
    """
    assert settings.cluster
    if wants_ray(settings.cluster, estimate_s):
        with ray_pool(benches, templates, settings.cluster, [str(path) for path in settings.plugins]) as pool:
            yield pool
    else:
        yield Threads(benches, templates, settings.cluster.workers or os.cpu_count() or 1)
