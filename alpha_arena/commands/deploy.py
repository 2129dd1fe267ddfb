"""Register the flows with a Prefect server elsewhere."""

from __future__ import annotations

from typing import Any

from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Make deployments of ingest, trade, sync and backtest at PREFECT_API_URL."""
    from flows.deploy import main

    return {"ok": main(settings) == 0}
