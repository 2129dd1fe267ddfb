"""What a backtest is worth: a run with its frames and the figures of result.json (specs: quant §2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from alpha_arena.backtest import consulted
from alpha_arena.backtest import statistics as figures
from alpha_arena.backtest.ambiguous import doubts
from alpha_arena.backtest.record import Record
from alpha_arena.backtest.reference import Codes, buy_and_hold, by_regime, costs_per_side, holds, leverages
from alpha_arena.backtest.wording import FRACTIONS, number, percent
from alpha_arena.core.advice import Advice
from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.timeframes import bars_per_year, timeframe_name
from alpha_arena.core.types import Floats, Instrument

SHOWN = ("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "trades", "win_rate", "profit_factor", "exposure_time", "fees")


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which conditions it was simulated.

    Attributes:
        instruments: by symbol. leverage: notional / margin. seconds: of wall time. fixed_equity: sizes positions, quote currency.
        synthetic: the candles were generated, so that the figures say nothing about a market.
        engine: kernel or loop. engine_reason: why that one, in a sentence.
    """

    costs: Costs
    instruments: Mapping[str, Instrument]
    leverage: float
    seconds: float = 0.0
    fixed_equity: float | None = None
    synthetic: bool = False
    engine: str = "kernel"
    engine_reason: str = ""


@dataclass(frozen=True)
class Run:
    """A backtest.

    Attributes:
        name: e.g. "ema_trend". settings: the resolved configuration, secrets masked.
        result: the figures of result.json; None where one is not defined or infinite.
        trades, signals: frames in the columns of specs: simulation. equity: ts, equity, exposure, drawdown, a row a bar.
        fills: every execution. markets: the simulated bars by symbol. advice: of the models that were consulted, in order.
        outcomes: of their decisions that have ended.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any]
    trades: pd.DataFrame
    equity: pd.DataFrame
    signals: pd.DataFrame
    fills: pd.DataFrame
    markets: Mapping[str, Market] = field(repr=False)
    advice: tuple[Advice, ...] = field(default=(), repr=False)
    outcomes: tuple[Outcome, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        record: Record,
        terms: Terms,
        settings: Mapping[str, Any] | None = None,
        regimes: Mapping[str, Codes] | None = None,
    ) -> Run:
        """A run from what an engine left; `regimes`: by symbol, as of known_regimes, where they were read."""
        result = summarise(record, terms, regimes or {})
        frames = (record.trades, equity_frame(record), record.signals, record.fills)
        return cls(name, settings or {}, result, *frames, record.markets, record.advice, record.outcomes)

    @property
    def returns(self) -> Floats:
        """Simple, net, of each bar."""
        return figures.returns(figures.curve(self.result["initial_capital"], self.equity["equity"].to_numpy(np.float64)))

    @property
    def held(self) -> Floats:
        """Exposure through each bar, that of the close before it."""
        exposure = self.equity["exposure"].to_numpy(np.float64)
        return np.concatenate([[0.0], exposure[:-1]])

    def __repr__(self) -> str:
        """A short table."""
        r = self.result
        first = f"{self.name}: {', '.join(self.markets)} {timeframe_name(r['simulation']['timeframe_ms'])}, {r['bars']:,} bars"
        span = f"{day(r['start_ts'])} to {day(r['end_ts'])}, {r['initial_capital']:,.2f} to {r['final_equity']:,.2f}"
        rows = [f"  {name:<20}{shown(name, r[name]):>12}" for name in (*SHOWN, "funding", "buy_and_hold_return")]
        return "\n".join([f"{first}, {span}", *rows])


def day(ts: int) -> str:
    """Date of a time in ms."""
    return str(np.datetime64(ts, "ms").astype("datetime64[D]"))


def shown(name: str, value: float | None) -> str:
    """A figure for people: percent, count or number; unknown ones as a dash."""
    return percent(value) if name in FRACTIONS else number(value, 0 if isinstance(value, int) else 2)


def plain(value: Any) -> Any:
    """As JSON can say it: numbers of numpy as Python's, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not isfinite(value) else value


def equity_frame(record: Record) -> pd.DataFrame:
    """ts, equity (quote), exposure, drawdown (0 or negative), a row a bar."""
    drawdown = figures.drawdowns(figures.curve(record.initial_capital, record.equity))[1:]
    return pd.DataFrame({"ts": record.ts, "equity": record.equity, "exposure": record.exposure, "drawdown": drawdown})


def summarise(record: Record, terms: Terms, regimes: Mapping[str, Codes]) -> dict[str, Any]:
    """All figures of result.json. Money is quote currency; fees, slippage and funding are positive when paid."""
    bar_ms = next(iter(record.markets.values())).bar_ms
    hold, ppy = buy_and_hold(record.markets, record.ts), bars_per_year(bar_ms)
    cutoff = consulted.Cutoff.of(record.advice)
    named: dict[str, Any] = plain(
        {
            **_growth(record, ppy),
            **_trading(record),
            **_use(record, ppy),
            **_paid(record, terms),
            **_doubts(record, terms),
            "bars": int(record.ts.size),
            "missing_bars": missing_bars(record),
            "warnings": [*warnings(record, terms), *consulted.doubts(record.advice, cutoff, record.ts)],
            "start_ts": record.ts[0],
            "end_ts": record.ts[-1],
            "seconds": terms.seconds,
            "synthetic": terms.synthetic,
            "engine": terms.engine,
            "engine_reason": terms.engine_reason,
            "buy_and_hold_return": float(hold[-1] - 1),
            **holds(record, hold, ppy),
            "by_regime": by_regime(record, hold, regimes, ppy),
            "open_positions": [asdict(position) for position in record.open_positions],
            "simulation": inputs(terms, bar_ms),
            **({"llm": consulted.figures(record, cutoff, ppy)} if record.advice else {}),
        }
    )
    return named


def missing_bars(record: Record) -> int:
    """Bars between first and last that no market has."""
    bar_ms = next(iter(record.markets.values())).bar_ms
    return int(record.ts[-1] - record.ts[0]) // bar_ms + 1 - int(record.ts.size)


def warnings(record: Record, terms: Terms) -> list[str]:
    """What makes the figures doubtful, in sentences."""
    missing, costs = missing_bars(record), terms.costs
    said = []
    if missing:
        share = missing / (missing + record.ts.size)
        said.append(
            f"{missing:,} bars ({share:.1%}) are missing: nothing could be traded or stopped in them; run alpha-arena data action=repair"
        )
    if not record.signals["exposure"].any():
        said.append(
            f"no position was wanted in {record.ts.size:,} bars: the rules never fired, or there are fewer bars than they need to warm up"
        )
    free = [name for name in ("taker_fee", "maker_fee", "slippage", "stop_slippage") if getattr(costs, name) == 0]
    if free:
        said.append(f"{', '.join(free)} of 0: no exchange is that cheap")
    return said


def inputs(terms: Terms, bar_ms: int) -> dict[str, Any]:
    """The inputs of specs: simulation as used; lot by symbol where there are several."""
    costs = terms.costs
    names = ("taker_fee", "maker_fee", "slippage", "stop_slippage", "min_notional", "diff_threshold", "diff_fraction", "maintenance_margin")
    lots = {symbol: instrument.lot for symbol, instrument in terms.instruments.items()}
    return {
        "lot": next(iter(lots.values())) if len(lots) == 1 else lots,
        **{name: getattr(costs, name) for name in names},
        "leverage": terms.leverage,
        "rearm_bars": costs.rearm_bars,
        "timeframe_ms": bar_ms,
        "fixed_equity": terms.fixed_equity,
    }


def _growth(record: Record, ppy: float) -> dict[str, Any]:
    curve = figures.curve(record.initial_capital, record.equity)
    r = figures.returns(curve)
    sharpe, skew, kurt = figures.bar_sharpe(r), figures.skewness(r), figures.kurtosis(r)
    return {
        "initial_capital": record.initial_capital,
        "final_equity": curve[-1],
        "total_return": curve[-1] / curve[0] - 1,
        "cagr": figures.cagr(curve, ppy),
        "sharpe": figures.sharpe(r, ppy),
        "sortino": figures.sortino(r, ppy),
        "calmar": figures.calmar(curve, ppy),
        "max_drawdown": figures.max_drawdown(curve),
        "longest_drawdown_bars": figures.longest_drawdown(curve),
        "ulcer": figures.ulcer(curve),
        "volatility": figures.volatility(r, ppy),
        "value_at_risk": figures.value_at_risk(r),
        "expected_shortfall": figures.expected_shortfall(r),
        "probabilistic_sharpe": figures.probabilistic_sharpe(sharpe, r.size, skew, kurt),
    }


def _trading(record: Record) -> dict[str, Any]:
    pnl = record.trades["pnl"].to_numpy()
    sides, why = record.trades["side"], record.trades["exit_reason"]
    return {
        "trades": int(pnl.size),
        "win_rate": figures.win_rate(pnl),
        "profit_factor": figures.profit_factor(pnl),
        "expectancy": figures.mean(pnl),
        "average_win": figures.mean(pnl[pnl > 0]),
        "average_loss": figures.mean(pnl[pnl < 0]),
        "average_bars_held": figures.mean(record.trades["bars_held"].to_numpy()),
        "trades_by_side": {side: int((sides == side).sum()) for side in ("long", "short")},
        "trades_by_exit": {reason: int((why == reason).sum()) for reason in ("signal", "stop", "take", "liquidation")},
    }


def _use(record: Record, ppy: float) -> dict[str, Any]:
    return {
        "exposure_time": figures.mean((record.notional > 0).astype(np.float64)),
        "average_leverage": figures.mean(leverages(record)),
        "turnover": figures.turnover(traded(record.fills), record.equity, ppy),
    }


def traded(fills: pd.DataFrame) -> float:
    """Notional of all fills, quote currency; each way counts."""
    return float((fills["quantity"].abs() * fills["price"]).sum())


def slippage_paid(fills: pd.DataFrame, costs: Costs) -> float:
    """What market fills and stops paid against the price that they were triggered at, quote currency."""
    rates = fills["reason"].map({"signal": costs.slippage, "stop": costs.stop_slippage}).astype("float64").fillna(0.0)
    notional = fills["quantity"].abs() * fills["price"]
    return float((notional * rates / (1 + rates * np.sign(fills["quantity"]))).sum())


def _paid(record: Record, terms: Terms) -> dict[str, Any]:
    fees, slippage = float(record.fills["fee"].sum()), slippage_paid(record.fills, terms.costs)
    net = float(record.equity[-1]) - record.initial_capital
    gross = net + fees + slippage + record.funding
    split = {"gross": gross, "fees": fees, "slippage": slippage, "funding": record.funding, "net": net}
    paid = {"fees": fees, "funding": record.funding, "funding_assumed": record.funding_assumed, "slippage": slippage}
    return {**paid, "costs": split, **costs_per_side(split, traded(record.fills))}


def _doubts(record: Record, terms: Terms) -> dict[str, Any]:
    seen = doubts(record, terms.costs, terms.leverage)
    left = seen.bars - seen.decided
    shares = {"share_of_trades": left / max(len(record.trades), 1), "share_of_bars": left / max(record.ts.size, 1)}
    told = {"bars": seen.bars, "decided_by_detail": seen.decided, "left": left}
    return {"ambiguous": {**told, **shares, "gain_if_take_first": float(seen.gains.sum())}}
