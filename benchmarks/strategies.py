"""The strategies and the portfolio decider on real candles, as a table: python benchmarks/strategies.py FOLDER

FOLDER holds okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet and binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CANDLES = "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet"
FUNDING = "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"
SINGLE = ["ema_trend", "bollinger_range", "funding_rate_arbitrage", "breakout", "grid_trading", "momentum", "mean_reversion"]
RUNS = {name: [f"strategy={name}"] for name in SINGLE} | {"weighted": ["decision=weighted"], "portfolio": ["decision=portfolio"]}
FIGURES = {
    "final_equity": ",.0f",
    "total_return": ".1%",
    "cagr": ".1%",
    "sharpe": ".2f",
    "sortino": ".2f",
    "calmar": ".2f",
    "max_drawdown": ".1%",
    "win_rate": ".1%",
    "profit_factor": ".2f",
    "trades": ",d",
    "exposure_time": ".1%",
    "turnover": ".0f",
    "fees": ",.0f",
    "funding": ",.0f",
    "seconds": ".1f",
}


def command(*arguments: str) -> dict[str, Any]:
    """A command's JSON."""
    done = subprocess.run([sys.executable, "-m", "alpha_arena.cli", *arguments, "report=json"], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def row(name: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    cells = ["–" if result[key] is None else format(result[key], form) for key, form in FIGURES.items()]
    return f"| {name} | {' | '.join(cells)} |"


def main(data: Path) -> None:
    """Import, run, print."""
    with tempfile.TemporaryDirectory() as folder:
        where = [f"database.url=sqlite:///{folder}/db.sqlite", "exchange=file"]
        command("db", "upgrade", where[0])
        files = [f"exchange.path={data / CANDLES}", f"exchange.funding_path={data / FUNDING}"]
        for label in ("first import", "again"):
            made = command("ingest", *where, *files)
            print(f"{label}: {json.dumps({key: made[key] for key in ('rows', 'inserted', 'changed', 'rows_per_second')})}", flush=True)
        print(f"\n| | {' | '.join(FIGURES)} |\n|---{'|---:' * len(FIGURES)}|")
        for name, overrides in RUNS.items():
            print(row(name, command("backtest", *where, f"outputs={folder}", *overrides)), flush=True)
        for year in (2023, 2024):
            span = [f"start={year}-01-01", f"end={year + 1}-01-01"]
            held = command("backtest", *where, f"outputs={folder}", *span)["buy_and_hold_return"]
            print(f"\nbuy and hold {year}: {held:+.1%}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
