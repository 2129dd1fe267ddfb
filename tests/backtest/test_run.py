"""What a run says of itself, from the kernel and from the loop's bookings."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
from candle_tables import CASES, FLAT, HOUR, T0, Bar, Case
from engines import run_kernel
from histories import COSTS, INSTRUMENT, History, histories, history
from hypothesis import given, settings

from alpha_arena.backtest import statistics as figures
from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.record import SIGNAL_COLUMNS, TRADE_COLUMNS, Record, from_bookings, from_simulation
from alpha_arena.backtest.reference import buy_and_hold
from alpha_arena.backtest.result import Run, Terms, plain, shown
from alpha_arena.core.market import Market
from alpha_arena.core.records import Booking, Decision, RegimeContext
from alpha_arena.core.types import Account, Candles, Fill, Payment, Position, Target

CONTRACT = {
    *(
        "initial_capital",
        "final_equity",
        "total_return",
        "cagr",
        "sharpe",
        "sortino",
        "calmar",
        "max_drawdown",
        "win_rate",
        "profit_factor",
    ),
    *("trades", "exposure_time", "turnover", "fees", "funding", "bars", "start_ts", "end_ts", "seconds", "simulation"),
}
INPUTS = {
    *("lot", "taker_fee", "maker_fee", "slippage", "stop_slippage", "min_notional", "diff_threshold", "diff_fraction"),
    *("maintenance_margin", "leverage", "rearm_bars", "timeframe_ms"),
}
BTC = "BTC/USDT:USDT"


def record_of(case: Case) -> Record:
    """A candle table through the kernel."""
    return from_simulation(run_kernel(case), case.market, case.signals, case.capital)


def run_of(case: Case, **more: object) -> Run:
    """A candle table as a run."""
    terms = Terms(case.terms, {BTC: case.instrument}, case.leverage, **more)
    return Run.of("table", record_of(case), terms, {"strategy": "table"})


def run_of_history(h: History) -> Run:
    """A random history as a run."""
    s = simulate(h.market, h.signals, COSTS, INSTRUMENT, h.leverage, 10_000.0, forced=h.forced)
    return Run.of("random", from_simulation(s, h.market, h.signals, 10_000.0), Terms(COSTS, {BTC: INSTRUMENT}, h.leverage))


def case_named(name: str) -> Case:
    """One of the candle tables."""
    return next(case for case in CASES if case.name == name)


def test_result_has_all_that_is_relied_on() -> None:
    """The keys of result.json, and the inputs as used."""
    result = run_of(case_named("market fills pay slippage and the taker fee on each side")).result
    assert set(result) >= CONTRACT
    assert set(result["simulation"]) >= INPUTS
    assert result["simulation"]["timeframe_ms"] == HOUR
    assert (result["bars"], result["start_ts"], result["end_ts"]) == (3, T0, T0 + 2 * HOUR)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_frames_have_the_columns_of_the_page() -> None:
    """In order, with types, also where nothing was traded."""
    for name in ("market fills pay slippage and the taker fee on each side", "a signal on the last bar is never filled"):
        run = run_of(case_named(name))
        assert {column: str(kind) for column, kind in run.trades.dtypes.items()} == TRADE_COLUMNS
        assert list(run.signals) == list(SIGNAL_COLUMNS)
        assert list(run.equity) == ["ts", "equity", "exposure", "drawdown"]
        assert len(run.equity) == len(run.signals) == run.result["bars"]


def test_costs_lead_from_gross_to_net() -> None:
    """Five bought at 100 and sold at 110 without costs earn 50; slippage of 1 % and fees of 0.1 % each way are taken from that."""
    costs = run_of(case_named("market fills pay slippage and the taker fee on each side")).result["costs"]
    expected = {"gross": 50, "fees": 1.0495, "slippage": 5 + 5.5, "funding": 0, "net": 38.4505}
    assert costs == pytest.approx(expected, abs=1e-9)


def test_slippage_of_a_stop() -> None:
    """A stop at 95 that is filled 1 % lower cost 0.95 a piece."""
    assert run_of(case_named("a stop pays stop_slippage and the taker fee")).result["slippage"] == pytest.approx(4.75)


def test_funding_and_what_was_assumed() -> None:
    """Paid is positive; payments at an assumed rate are counted."""
    result = run_of(case_named("a settlement that is not known is charged at 1 bp and counted")).result
    assert result["funding"] == pytest.approx(0.55)
    assert result["funding_assumed"] == 1


def test_an_open_position_is_no_trade() -> None:
    """It is named, and marked at the last close."""
    result = run_of(case_named("a position open at the end is marked at the last close and is no trade")).result
    assert result["trades"] == 0
    assert result["win_rate"] is result["profit_factor"] is None
    (held,) = result["open_positions"]
    assert held == {
        "symbol": BTC,
        "side": "long",
        "quantity": 5,
        "entry_ts": T0 + HOUR,
        "entry_price": 100,
        "price": 108,
        "unrealised": 40,
        "realised": 0,
    }


def test_bars_that_do_not_say_which_came_first() -> None:
    """Stop and take in one bar: counted, with what the take would have brought more; a gap over the stop is no doubt."""
    doubtful = run_of(case_named("of a stop and a take in one bar the stop is taken")).result["ambiguous"]
    assert [doubtful[name] for name in ("bars", "decided_by_detail", "left", "gain_if_take_first")] == [1, 0, 1, 75]
    assert [doubtful[name] for name in ("share_of_trades", "share_of_bars")] == [1, 0.25]
    assert run_of(case_named("short: of both the stop")).result["ambiguous"]["gain_if_take_first"] == 75
    assert run_of(case_named("an open beyond the stop is the stop's price")).result["ambiguous"]["bars"] == 0
    bars = [FLAT, FLAT, FLAT, (100, 112, 94, 100)]
    moved = Case("", bars, [0.5] * 4, stop={0: 90, 1: 95, 2: 80}, take={0: 120, 2: 110})
    assert run_of(moved).result["ambiguous"]["bars"] == 1


@pytest.mark.parametrize(
    ("bar", "side", "stop", "expected"),
    [
        ((100, 112, 48, 100), 1, nan, (1, 300)),
        ((100, 152, 88, 100), -1, nan, (1, 300)),
        # liquidation is nearer than the stop, and the stop than liquidation
        ((100, 112, 48, 100), 1, 40, (1, 300)),
        ((100, 112, 48, 100), 1, 95, (1, 75)),
        ((100, 109, 48, 100), 1, nan, (0, 0)),
        ((100, 112, 51, 100), 1, nan, (0, 0)),
        ((49, 112, 48, 100), 1, nan, (0, 0)),
    ],
)
def test_bars_that_reached_liquidation_and_take(bar: Bar, side: int, stop: float, expected: tuple[int, float]) -> None:
    """Five are liquidated at 50.2 (a short of five at 149.4) and pay 50 (150); the take lies 10 from the entry at 100."""
    case = Case("", [FLAT, FLAT, bar], [0.5 * side] * 3, stop={0: stop}, take={0: 100 + 10 * side})
    told = run_of(case).result["ambiguous"]
    assert (told["bars"], told["gain_if_take_first"]) == (expected[0], pytest.approx(expected[1]))


def test_use_of_capital() -> None:
    """Half of the bars held at an exposure of a half; both ways count as turnover."""
    result = run_of(Case("", [FLAT] * 4, [0.5, 0.5, 0, 0])).result
    assert result["exposure_time"] == 0.5
    assert result["average_leverage"] == pytest.approx(0.25)
    assert result["turnover"] == pytest.approx(1000 / 1000 / (4 / 8760))
    assert result["trades_by_exit"] == {"signal": 1, "stop": 0, "take": 0, "liquidation": 0}


def test_ruin_is_reported() -> None:
    """Equity below 0 is neither hidden nor a crash."""
    result = run_of(case_named("without equity the account is flat for good")).result
    assert result["final_equity"] == pytest.approx(-960)
    assert result["cagr"] is None
    assert result["max_drawdown"] == pytest.approx(-1.96)


@given(histories)
@settings(max_examples=40, deadline=None)
def test_figures_of_any_history(h: History) -> None:
    """Whatever happens: JSON can say it, net is what the account gained, drawdown lies between 0 and the figure."""
    run = run_of_history(h)
    json.dumps(run.result, allow_nan=False)
    assert run.result["costs"]["net"] == pytest.approx(run.result["final_equity"] - 10_000, abs=1e-6)
    assert run.equity["drawdown"].min() == pytest.approx(run.result["max_drawdown"], abs=1e-12)
    assert sum(run.result["trades_by_exit"].values()) == run.result["trades"] == len(run.trades)


def test_the_table_of_a_run() -> None:
    """Short, in words and percent, unknown as a dash."""
    run = run_of(case_named("a position open at the end is marked at the last close and is no trade"))
    text = repr(run)
    assert text.startswith("table: BTC/USDT:USDT 1h, 2 bars, 2023-11-15 to 2023-11-15, 1,000.00 to 1,040.00\n")
    assert "total_return              4.00 %" in text
    assert "win_rate                       –" in text
    assert shown("sharpe", -1.5) == "−1.50"


def test_plain_values() -> None:
    """What JSON cannot say is null; numpy's numbers become Python's."""
    assert plain({"a": [nan, inf, np.float64(1.5), np.int64(2), np.bool_(True)], "b": (np.nan, None, "x")}) == {
        "a": [None, None, 1.5, 2, True],
        "b": [None, None, "x"],
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("detail: the stop came first", (1, 1, 0)),
        ("detail: the take came first", (1, 1, 0)),
        ("detail, short: the take came first", (1, 1, 0)),
        ("detail: a shorter bar that opens beyond the take", (1, 1, 0)),
        ("detail: where a shorter bar reached both the stop is assumed", (1, 0, 1)),
        ("detail: with a shorter bar missing the stop is assumed", (1, 0, 1)),
        ("detail: where none of it reached a level the stop is assumed", (1, 0, 1)),
        ("detail: liquidation came first of liquidation and take", (1, 1, 0)),
        ("detail: take came first of liquidation and take", (1, 1, 0)),
        ("detail: a gap over the take is none", (0, 0, 0)),
        ("detail: a bar that reached one level is not looked into", (0, 0, 0)),
    ],
)
def test_what_shorter_bars_decide(name: str, expected: tuple[int, int, int]) -> None:
    """Doubtful bars, those decided and those left; shares are of what is left."""
    case = case_named(name)
    record = replace(record_of(case), details={BTC: case.details})
    told = Run.of("table", record, Terms(case.terms, {BTC: case.instrument}, case.leverage)).result["ambiguous"]
    assert (told["bars"], told["decided_by_detail"], told["left"]) == expected
    assert (told["share_of_trades"], told["share_of_bars"]) == (expected[2], expected[2] / case.rows)


def test_buying_and_holding_two_symbols() -> None:
    """Equal parts; a missing bar keeps the last price."""
    ts = T0 + np.arange(3) * HOUR

    def market(rows: list[int], close: list[float]) -> Market:
        price = np.array(close)
        return Market.of("x", HOUR, Candles(ts[rows], price, price, price, price, price))

    held = buy_and_hold({"a": market([0, 1, 2], [10, 11, 12]), "b": market([0, 2], [10, 20])}, ts)
    assert held == pytest.approx([1, 1.05, 1.6])


def as_bookings(case: Case) -> tuple[list[Booking], list[Decision]]:
    """What the kernel did, told as the loop tells it."""
    s, market = run_kernel(case), case.market
    record = from_simulation(s, market, case.signals, case.capital)
    bookings, position, cash = [], Position(), case.capital
    for t, ts in enumerate(market.ts.tolist()):
        rows = record.fills[record.fills["ts"] == ts].to_dict("records")
        fills = tuple(Fill(str(i), "o", ts, BTC, r["quantity"], r["price"], r["fee"], r["reason"]) for i, r in enumerate(rows))
        paid = (Payment(ts, BTC, -float(s.funding[t]), 0.0, assumed=s.funding_assumed > 0),) if s.funding[t] else ()
        entry = fills[-1].price if fills else position.entry
        position = Position(float(s.quantity[t]), entry)
        cash = float(s.equity[t]) - (position.quantity * (float(market.close[t]) - entry) if position.quantity else 0)
        prices = {BTC: float(market.close[t])}
        bookings.append(Booking(ts, ts + HOUR, Account(cash, {BTC: position}), float(s.equity[t]), prices, fills, paid))
    wanted = [case.signals.at(t) for t in range(case.rows)]
    return bookings, [decided(int(ts), target) for ts, target in zip(market.ts, wanted, strict=True)]


def decided(ts: int, target: Target, symbol: str = BTC) -> Decision:
    """A decision with this target."""
    return Decision("t", symbol, "1h", ts, ts + HOUR, "single", target, target, (), RegimeContext("RANGE"), 1000.0, 100.0)


LOOP_CASES = [
    "an order of the close is filled at the next open",
    "levels act in the bar of the entry",
    "a change of sign closes first, then opens",
]
OPEN_CASES = [
    "a position open at the end is marked at the last close and is no trade",
    "funding at a bar's open is paid at the open by what is carried in",
]


@pytest.mark.parametrize("name", [*LOOP_CASES, *OPEN_CASES])
def test_the_loop_leaves_the_same_record(name: str) -> None:
    """Frames, open positions and figures made from bookings equal those made from the kernel's arrays."""
    case = case_named(name)
    ours = record_of(case)
    theirs = from_bookings(*as_bookings(case), {BTC: case.market}, case.capital)
    for table in ("trades", "signals", "fills"):
        pd.testing.assert_frame_equal(getattr(theirs, table), getattr(ours, table), rtol=1e-12)
    assert theirs.exposure == pytest.approx(ours.exposure)
    assert theirs.notional == pytest.approx(ours.notional)
    assert theirs.open_positions == ours.open_positions
    assert theirs.funding == pytest.approx(ours.funding)


def two_symbols() -> Record:
    """One long and one short over three bars, the long one closed with a gain."""
    ts = [T0 + row * HOUR for row in range(3)]
    held = {"a": Position(1.0, 100.0), "b": Position(-1.0, 100.0)}
    fills = tuple(Fill(s, s, ts[1], s, p.quantity, 100.0, 0.1) for s, p in held.items())
    closing = (Fill("c", "c", ts[2], "a", -1.0, 110.0, 0.1),)
    accounts = [Account(1000.0), Account(999.8, held), Account(1009.7, {"b": held["b"]})]
    bookings = [
        Booking(stamp, stamp + HOUR, account, account.equity({"a": 100.0, "b": 100.0}), {"a": 100.0, "b": 100.0}, done)
        for stamp, account, done in zip(ts, accounts, ((), fills, closing), strict=True)
    ]
    price = np.full(3, 100.0)
    markets = {s: Market.of(s, HOUR, Candles(np.array(ts), price, price, price, price, price)) for s in held}
    decisions = [decided(stamp, Target(0.1), s) for stamp in ts for s in held]
    return from_bookings(bookings, decisions, markets, 1000.0)


def test_several_symbols_are_named() -> None:
    """Trades and signals of two symbols carry the symbol; exposure is net, the market is used where either is held."""
    record = two_symbols()
    assert record.trades["symbol"].tolist() == ["a"]
    assert list(record.signals) == ["symbol", *SIGNAL_COLUMNS]
    assert record.exposure[1] == 0
    assert record.notional.tolist() == [0, 200, 100]
    run = Run.of("two", record, Terms(COSTS, dict.fromkeys(record.markets, INSTRUMENT), 2.0))
    assert run.result["simulation"]["lot"] == {"a": 0.001, "b": 0.001}
    assert [p["symbol"] for p in run.result["open_positions"]] == ["b"]
    assert run.result["exposure_time"] == pytest.approx(2 / 3)


def test_the_figures_are_those_of_the_equity_frame() -> None:
    """Sharpe and drawdown recomputed from what is written, the initial capital before the first bar."""
    run = run_of_history(history(5))
    curve = figures.curve(10_000.0, run.equity["equity"].to_numpy())
    assert run.result["sharpe"] == pytest.approx(figures.sharpe(figures.returns(curve), 8760))
    assert run.result["max_drawdown"] == pytest.approx((curve / np.maximum.accumulate(curve) - 1).min())
