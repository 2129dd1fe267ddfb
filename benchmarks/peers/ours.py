"""Our side of the comparison: the same rule and money, through the kernel and through the loop.

As a command of its own, ours.py WHAT BARS.npz [COUNT]: one cold backtest ("cold", "cold-kernel") or a search in a fresh process
("memory", "search"), JSON on the last line.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.peers import terms
from benchmarks.peers.terms import Columns

BTC = "BTC/USDT:USDT"
LEVERAGE = 1.0
BLOCKS = 16
WARM_BARS = 2_000


def market_of(c: Columns) -> Any:
    """Bars without funding."""
    from alpha_arena.core.market import Market
    from alpha_arena.core.types import Candles

    return Market.of(BTC, terms.HOUR_MS, Candles(*(c[name] for name in ("ts", "open", "high", "low", "close", "volume"))))


def strategy(fast: int = terms.FAST, slow: int = terms.SLOW, stop: float = terms.STOP) -> Any:
    """The rule."""
    from alpha_arena.strategies.ema_trend import EmaTrend

    return EmaTrend(
        ema_fast=fast,
        ema_medium=terms.MEDIUM,
        ema_slow=slow,
        atr_period=terms.ATR,
        stop_loss_atr=stop,
        take_profit_atr=terms.TAKE,
        max_position=terms.SIZE,
        max_leverage=LEVERAGE,
        rsi_min=terms.LONG[0],
        rsi_max=terms.LONG[1],
        rsi_short_min=terms.SHORT[0],
        rsi_short_max=terms.SHORT[1],
        volume_threshold=terms.BUSY,
    )


def account() -> dict[str, Any]:
    """The taker's fee on every fill, no slippage, whole units, and a position that is held as it was bought, as the peers do."""
    from alpha_arena.core.costs import Costs
    from alpha_arena.core.types import Instrument

    costs = Costs(terms.FEE, terms.FEE, 0.0, 0.0, 0.0, 0.0, 1.0, 0.004, 1)
    return {"costs": costs, "instrument": Instrument(BTC, 1.0, 1e-8, 1.0, 10.0, "2026-01-01"), "leverage": LEVERAGE}


def full(market: Any) -> dict[str, Any]:
    """Signals, the path of the account, and figures of it."""
    from alpha_arena.backtest import statistics
    from alpha_arena.backtest.kernel import simulate

    made = simulate(market, strategy().signals(market), initial_capital=terms.CASH, **account())
    curve = statistics.curve(terms.CASH, made.equity)
    sharpe = statistics.sharpe(statistics.returns(curve), 8760)
    figures = {"total_return": float(curve[-1] / terms.CASH - 1), "sharpe": sharpe, "max_drawdown": statistics.max_drawdown(curve)}
    return {**figures, "trades": len(made.trades), "wins": int((made.trades.pnl > 0).sum())}


def in_sums(market: Any) -> dict[str, Any]:
    """Signals and the sums of the same history."""
    from alpha_arena.backtest.columns import TALLIED
    from alpha_arena.backtest.kernel import staged, tallied

    stage = staged(market, initial_capital=terms.CASH, **account())
    seen = dict(zip(TALLIED, tallied(stage, strategy().signals(market), LEVERAGE, BLOCKS).figures, strict=True))
    return {"total_return": seen["final_equity"] / terms.CASH - 1, "trades": int(seen["trades"]), "max_drawdown": seen["max_drawdown"]}


def ours_sweep(market: Any, chosen: Sequence[tuple[int, int, float]]) -> Any:
    """The sums of each combination (fast, slow, stop), by the search's own engine."""
    from alpha_arena.backtest.space import Template
    from alpha_arena.backtest.trials import Draft, bench_of, evaluate

    terms_of = account()
    bench = bench_of(market, (), terms_of["costs"], terms_of["instrument"], terms.CASH, [(0, len(market))])
    whole = strategy()
    template = Template(type(whole), {name: value for name, value in vars(whole).items() if not name.startswith("_")})
    drafts = [Draft("ema_trend", {"ema_fast": fast, "ema_slow": slow, "stop_loss_atr": stop}) for fast, slow, stop in chosen]
    return evaluate(bench, {"ema_trend": template}, drafts)


def small(c: Columns, count: int = WARM_BARS) -> Columns:
    """The first bars."""
    return {name: values[:count] for name, values in c.items()}


def rss_mib() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


def search(c: Columns, count: int) -> dict[str, float]:
    """A search after a short one that compiles: when it began and ended, CPU seconds, and the most memory above what was held before."""
    market = market_of(c)
    ours_sweep(market_of(small(c)), terms.combinations(2))
    before, began, cpu = rss_mib(), time.time(), process_time()
    ours_sweep(market, terms.combinations(count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"began": began, "ended": time.time(), "cpu": process_time() - cpu, "mib": peak - before}


def cold(c: Columns) -> dict[str, Any]:
    """The notebook's call."""
    import pandas as pd

    import alpha_arena

    frame = pd.DataFrame({name: c[name] for name in ("ts", "open", "high", "low", "close", "volume")})
    run = alpha_arena.backtest(frame, "ema_trend")
    return {"trades": run.result["trades"]}


def main(what: str, path: str, *rest: str) -> None:
    """Do it and print."""
    c = terms.load(Path(path))
    made = search(c, int(rest[0])) if what == "search" else cold(c) if what == "cold" else full(market_of(c))
    print(json.dumps(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
