"""Profile `market`: what a point of trading does to orders, protection and positions, with expected fills; and that money is kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from floor import HOUR, MARKET, MINUTE, START, SWAP, exchange, go, ticket
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.errors import StoreError
from alpha_arena.core.types import Funding
from alpha_arena.exchange.embedded.books import Books
from alpha_arena.exchange.embedded.state import Client, Rejection

FLAT = (40_000.0, 40_000.0, 40_000.0, 40_000.0, 1_000.0)
FEE = Decimal("0.0005")
EXACT = Decimal("1e-12")


def filled(client: Client) -> list[tuple[str, Decimal, Decimal, str]]:
    """Side, contracts, price and liquidity of each fill."""
    return [(fill.side, fill.fill_sz, fill.fill_px, fill.exec_type) for fill in client.fills]


def test_a_market_order_takes_at_once_and_pays_for_it() -> None:
    """One contract is 0.01 BTC: 400 quote and a fee of 0.2."""
    made, client = exchange([FLAT] * 3)
    go(made, 90_000)
    order = made.place(client, ticket("buy", 1))
    assert (order.state, order.avg_px, order.fee) == ("filled", 40_000, Decimal("-0.2"))
    assert client.cash == Decimal("9999.8")
    assert made.equity(client) == Decimal("9999.8")


def test_spread_and_impact_are_paid_by_the_taker() -> None:
    """Half a spread of 1 bp and the square root of the share of the volume times 1 %: 100 of 1000/3 BTC."""
    profile = replace(MARKET, half_spread=0.0001, impact=0.01)
    made, client = exchange([FLAT] * 3, profile)
    go(made, 90_000)
    price = float(made.place(client, ticket("buy", 10)).avg_px or 0)
    assert price == pytest.approx(40_000 * (1 + 0.0001 + 0.01 * (0.1 / (1000 / 3)) ** 0.5), abs=0.1)


def test_an_order_larger_than_its_share_fills_in_parts() -> None:
    """A tenth of 1 BTC a bar: 0.0333 BTC a point, three contracts."""
    thin = [(40_000.0, 40_000.0, 40_000.0, 40_000.0, 1.0)] * 6
    made, client = exchange(thin, replace(MARKET, participation=0.1))
    go(made, 90_000)
    order = made.place(client, ticket("buy", 10))
    states = [order.state]
    for ms in range(105_000, 240_000, 15_000):
        go(made, ms)
        states.append(order.state)
    assert states[0] == "partially_filled"
    assert states[-1] == "filled"
    assert sum(fill.fill_sz for fill in client.fills) == 10


def test_a_resting_order_fills_as_maker_only_when_traded_through() -> None:
    """Touched at 39,900 it stays; at 39,899 it fills at its own price."""
    made, client = exchange([FLAT, (40_000, 40_000, 39_900, 39_950, 1000), (39_950, 39_960, 39_899, 39_950, 1000)])
    go(made, 30_000)
    order = made.place(client, ticket("buy", 1, 39_900))
    go(made, 2 * MINUTE)
    assert order.state == "live"
    go(made, 3 * MINUTE)
    assert filled(client) == [("buy", 1, 39_900, "M")]


def test_post_only_never_takes_and_immediate_orders_never_rest() -> None:
    """cancelSource 31 for what would have taken; the rest of ioc and fok is canceled."""
    made, client = exchange([FLAT] * 3, replace(MARKET, participation=0.0001))
    go(made, 90_000)
    post, below = made.place(client, ticket("buy", 1, 40_001, "post_only")), made.place(client, ticket("buy", 1, 39_000, "ioc"))
    part, whole = made.place(client, ticket("buy", 10, 40_000, "ioc")), made.place(client, ticket("buy", 10, 40_000, "fok"))
    assert (post.state, post.cancel_source, below.state) == ("canceled", "31", "canceled")
    assert (part.state, part.acc_fill_sz) == ("canceled", Decimal("3.33"))
    assert (whole.state, whole.acc_fill_sz) == ("canceled", 0)


def test_attached_levels_become_one_order_that_closes_and_the_other_level_goes() -> None:
    """The stop at its price inside a bar; a gap at the open beyond it."""
    for bar, price in (((40_000, 40_000, 39_400, 39_500, 1000), 39_500), ((39_300, 39_400, 39_200, 39_300, 1000), 39_300)):
        made, client = exchange([FLAT, bar])
        go(made, 30_000)
        made.place(client, ticket("buy", 2, stop=39_500, take=41_000))
        algo = next(iter(client.algos.values()))
        assert (algo.ord_type, algo.sz, algo.side, algo.reduce_only) == ("oco", 2, "sell", True)
        go(made, 2 * MINUTE)
        assert filled(client)[-1] == ("sell", 2, price, "T")
        assert (algo.state, algo.actual_side) == ("effective", "sl")
        assert client.orders[algo.ord_id].source == "7"


def test_where_a_bar_holds_both_levels_the_pessimist_is_stopped() -> None:
    """The path says take first; who fears the worst is stopped."""
    rows = [FLAT, (40_000, 40_600, 39_000, 39_100, 1000)]
    for path, side in (("nearest", "tp"), ("pessimistic", "sl")):
        made, client = exchange(rows, replace(MARKET, path=path))
        go(made, 30_000)
        made.place(client, ticket("buy", 1, stop=39_500, take=40_500))
        go(made, 2 * MINUTE)
        assert next(iter(client.algos.values())).actual_side == side


def test_protection_that_fails_is_told_in_the_parent() -> None:
    """A11: the position is open and bare, and the order says why."""
    made, client = exchange([FLAT] * 2)
    made.attach_fails = True
    go(made, 30_000)
    order = made.place(client, ticket("buy", 1, stop=39_500))
    assert (order.state, order.attached[0].fail_code, client.algos) == ("filled", "51279", {})


def test_a_canceled_order_keeps_protection_for_what_was_filled() -> None:
    """A9: a third of ten contracts is held, and just that is protected."""
    made, client = exchange([FLAT] * 3, replace(MARKET, participation=0.0001))
    go(made, 90_000)
    order = made.place(client, ticket("buy", 10, 40_000, stop=39_000))
    made.cancel(client, SWAP, order.ord_id)
    assert [algo.sz for algo in client.algos.values()] == [order.acc_fill_sz]


def test_the_mark_price_liquidates_and_costs_the_margin() -> None:
    """At 10x and 40,000 a long is lost at about 36,162.7; the traded price alone does nothing."""
    wick = [FLAT, (40_000, 40_000, 30_000, 40_000, 1000), FLAT]
    made, client = exchange(wick, marks=[FLAT] * 3)
    made.set_leverage(client, SWAP, "isolated", Decimal(10))
    go(made, 30_000)
    made.place(client, ticket("buy", 10))
    go(made, 3 * MINUTE)
    assert [held.pos for held in client.holdings.values()] == [10]
    made, client = exchange(wick)
    made.set_leverage(client, SWAP, "isolated", Decimal(10))
    go(made, 30_000)
    made.place(client, ticket("buy", 10, stop=31_000))
    assert made.liquidation_px(next(iter(client.holdings.values()))) == Decimal("36162.7")
    go(made, 3 * MINUTE)
    assert client.fills[-1].trade_id.startswith("-")
    assert (client.bills[-1].type, client.bills[-1].change) == ("5", -400)
    assert [algo.state for algo in client.algos.values()] == ["canceled"]


def test_what_a_liquidation_leaves_of_a_margin_is_its_penalty() -> None:
    """0.1 BTC at 40,000 and 10x, closed at 36,100: 390 lost, 10 of 400 kept; where the mark jumps beyond 36,000, the margin is all lost."""
    for low, lost, kept in ((36_100.0, -390, -10), (30_000.0, -400, 0)):
        made, client = exchange([FLAT, (40_000.0, 40_000.0, low, 40_000.0, 1000.0), FLAT])
        made.set_leverage(client, SWAP, "isolated", Decimal(10))
        go(made, 30_000)
        made.place(client, ticket("buy", 10))
        go(made, 3 * MINUTE)
        bills = [(bill.type, bill.trade_id.startswith("-"), bill.change) for bill in client.bills[2:]]
        assert bills == [("5", True, lost), ("5", False, kept)][: 2 if kept else 1]
        [held] = client.holdings.values()
        assert (client.fills[-1].fill_px, held.liq_penalty, held.margin) == (max(low, 36_000), kept, 0)
        assert client.cash == client.bills[-1].bal == 10_000 - 2 - 400


def test_a_crossed_position_s_penalty_is_its_maintenance_margin() -> None:
    """0.6 BTC at 40,000 with 9,988, closed at 23,450: 9,930 lost, 0.4 % of 14,070 kept."""
    made, client = exchange([FLAT, (40_000.0, 40_000.0, 23_450.0, 40_000.0, 1000.0), FLAT])
    go(made, 30_000)
    made.place(client, replace(ticket("buy", 60), td_mode="cross"))
    go(made, 3 * MINUTE)
    assert [(bill.type, bill.change) for bill in client.bills[2:]] == [("5", -9_930), ("5", Decimal("-56.28"))]


def test_a_crossed_position_is_covered_by_what_no_other_holds() -> None:
    """0.6 BTC at 40,000 with 9,988 are lost at 23,458.9; where 0.1 BTC isolated hold 1,333.3 of it, at 25,694.5."""
    falls = [FLAT, FLAT, (40_000, 40_000, 25_000, 25_000, 1000), FLAT]
    made, client = exchange(falls)
    go(made, 30_000)
    made.place(client, replace(ticket("buy", 60), td_mode="cross"))
    [held] = client.holdings.values()
    assert (held.margin, made.liquidation_px(held)) == (0, Decimal("23458.9"))
    assert made.available(client) == Decimal(10_000) - 12 - 8_000
    go(made, 4 * MINUTE)
    assert held.pos == 60
    made, client = exchange(falls)
    go(made, 30_000)
    made.place(client, replace(ticket("buy", 60), td_mode="cross"))
    made.place(client, ticket("buy", 10))
    crossed, isolated = client.holdings.values()
    assert made.liquidation_px(crossed) == Decimal("25694.5")
    go(made, 4 * MINUTE)
    assert (crossed.pos, client.bills[-1].type) == (0, "5")
    assert isolated.margin <= client.cash


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_funding_is_a_bill_at_its_own_time(mode: str) -> None:
    """A long of 0.1 BTC at 40,000 pays 1 bp of 4,000: 0.4; an isolated one out of its margin, and is liquidated the sooner."""
    made, client = exchange([FLAT] * 4, funding=Funding(np.array([START + 2 * MINUTE]), np.array([0.0001])))
    go(made, 30_000)
    made.set_leverage(client, SWAP, "isolated", Decimal(4))
    made.place(client, replace(ticket("buy", 10), td_mode=mode))
    [held] = client.holdings.values()
    before = made.liquidation_px(held) or 0
    go(made, 4 * MINUTE)
    bill, paid = client.bills[-1], Decimal("-0.4")
    assert (bill.type, bill.sub_type, bill.ts, bill.change) == ("8", "173", START + 2 * MINUTE, paid)
    if mode == "isolated":
        assert (bill.bal, bill.bal_chg, bill.pos_bal, bill.pos_bal_chg) == (9_998 - 1_000, 0, 1_000 + paid, paid)
        assert (held.margin, made.liquidation_px(held)) == (1_000 + paid, before + Decimal("4.0"))
    else:
        assert (bill.bal, bill.bal_chg, bill.pos_bal_chg) == (9_998 + paid, paid, 0)


def test_opening_closing_and_leverage_move_money_between_the_wallet_and_the_position() -> None:
    """4,000 at 4x hold 1,000, at 5x 800; a half closed gives half back."""
    made, client = exchange([FLAT] * 3)
    go(made, 30_000)
    made.set_leverage(client, SWAP, "isolated", Decimal(4))
    made.place(client, ticket("buy", 10))
    made.set_leverage(client, SWAP, "isolated", Decimal(5))
    made.place(client, ticket("sell", 5, reduce_only=True))
    told = [(bill.type, bill.sub_type, bill.bal, bill.bal_chg, bill.pos_bal, bill.pos_bal_chg) for bill in client.bills[1:]]
    assert told == [("2", "1", 8_998, -1_002, 1_000, 1_000), ("6", "161", 9_198, 200, 800, -200), ("2", "2", 9_597, 399, 400, -400)]
    assert (client.cash, made.equity(client)) == (9_997, 9_997)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ticket("sell", 1, reduce_only=True), "51169"),
        (ticket("buy", 1, stop=41_000), "51047"),
        (ticket("buy", 1, take=39_000), "51046"),
        (ticket("sell", 1, stop=39_000), "51049"),
        (ticket("buy", 1_000), "51008"),
        (ticket("buy", 1_000_000), "51004"),
    ],
)
def test_what_the_account_cannot_do_is_refused_and_changes_nothing(order: object, code: str) -> None:
    made, client = exchange([FLAT] * 2)
    go(made, 30_000)
    before = made.dump()
    with pytest.raises(Rejection) as refusal:
        made.place(client, order)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert made.dump() == before


def test_the_dead_man_s_switch_cancels_orders_and_leaves_protection() -> None:
    made, client = exchange([FLAT] * 4)
    go(made, 30_000)
    made.place(client, ticket("buy", 1, stop=39_000))
    rest = made.place(client, ticket("buy", 1, 39_500))
    made.cancel_all_after(client, 60)
    go(made, 89_000)
    assert rest.state == "live"
    go(made, 91_000)
    assert (rest.state, rest.cancel_source) == ("canceled", "20")
    assert [algo.state for algo in client.algos.values()] == ["live"]


@pytest.mark.parametrize(("before", "now"), [(0, {}), (MINUTE, {"": MINUTE})])
def test_a_ledger_of_before_the_switch_knew_tags_is_read(before: int, now: dict[str, int], tmp_path: Path) -> None:
    made, client = exchange([FLAT])
    made.books = Books(tmp_path / "a.db")
    made.cashier.touch(client, "client", client.api_key, client)
    made.save()
    made.books.connection.execute("UPDATE things SET content = json_set(content, '$.cancel_after_ms', ?) WHERE kind = 'client'", (before,))
    again, _ = exchange([FLAT])
    again.clients.clear()
    made.books.load(again)
    assert [one.cancel_after_ms for one in again.clients.values()] == [now]
    made.close()


MOVES = st.lists(
    st.tuples(
        st.floats(-0.02, 0.02),
        st.sampled_from(["", "buy", "sell", "limit", "close", "cancel", "adl", "liquidate"]),
        st.integers(1, 300),
        st.floats(0.001, 0.05),
    ),
    min_size=3,
    max_size=40,
)


@given(MOVES)
def test_money_is_kept_whatever_is_done(moves: list[tuple[float, str, int, float]]) -> None:
    """I3, I4: bills explain cash and margins, fills the position, fees are paid, and an isolated loss ends at the margin."""
    price, rows = 40_000.0, []
    for drift, *_ in moves:
        close = round(price * (1 + drift), 1)
        rows.append((price, max(price, close) + 20, min(price, close) - 20, close, 50.0))
        price = close
    made, client = exchange(rows, replace(MARKET, half_spread=0.0001, impact=0.001, participation=0.2, queue_probability=0.5))
    made.set_leverage(client, SWAP, "isolated", Decimal(5))
    for minute, (_, action, sz, away) in enumerate(moves):
        go(made, minute * MINUTE + 20_000)
        act(made, client, action, sz, away, rows[minute][0])
    go(made, len(moves) * MINUTE)
    margins = sum(held.margin for held in client.holdings.values())
    assert sum(bill.change for bill in client.bills) == pytest.approx(client.cash, abs=EXACT)
    assert sum(bill.bal_chg for bill in client.bills) == pytest.approx(client.bills[-1].bal, abs=EXACT)
    assert (client.cash - margins, client.bills[-1].pos_bal) == pytest.approx((client.bills[-1].bal, margins), abs=EXACT)
    held = sum(held.pos for held in client.holdings.values())
    assert held == sum(fill.fill_sz if fill.side == "buy" else -fill.fill_sz for fill in client.fills)
    assert all(fill.fee <= 0 for fill in client.fills)
    assert client.cash > 0
    for algo in client.algos.values():
        assert algo.state != "live" or held


def act(made, client: Client, action: str, sz: int, away: float, price: float) -> None:
    """Do something; what the exchange refuses is refused."""
    try:
        if action in ("buy", "sell"):
            side = 1 if action == "buy" else -1
            made.place(client, ticket(action, sz, stop=round(price * (1 - away * side), 1), take=round(price * (1 + away * side), 1)))
        elif action == "limit":
            made.place(client, ticket("buy", sz, round(price * (1 - away / 5), 1)))
        elif action == "close":
            made.close_position(client, SWAP, "isolated", "", True)
        elif action == "cancel":
            for order in [order for order in client.orders.values() if order.open]:
                made.cancel(client, SWAP, order.ord_id)
        elif action == "adl":
            made.adl(client, SWAP, Decimal(sz))
        elif action == "liquidate":
            made.liquidate(client, SWAP)
    except Rejection:
        return


def test_a_ledger_goes_on_where_it_stopped_and_the_same_history_has_the_same_hash(tmp_path: Path) -> None:
    """Everything is read back as it was; a copy taken at any saved moment opens; another seed's file is refused."""
    hashes = []
    for name in ("a", "b"):
        made, client = exchange([FLAT] * 120)
        made.books = Books(tmp_path / f"{name}.db")
        go(made, 30_000)
        made.place(client, ticket("buy", 5, stop=39_000, take=42_000))
        made.set_leverage(client, SWAP, "isolated", Decimal(7))
        made.place(client, ticket("buy", 1, 39_500))
        made.cancel_all_after(client, 2 * HOUR // 1000, "mine")
        made.save()
        shutil.copy(tmp_path / f"{name}.db", tmp_path / f"{name}.copy.db")
        shutil.copy(tmp_path / f"{name}.db-wal", tmp_path / f"{name}.copy.db-wal")
        go(made, HOUR)
        hashes.append(made.dump()[1])
        made.close()
        again, _ = exchange([FLAT] * 120)
        again.clients.clear()
        Books(tmp_path / f"{name}.db").load(again)
        hashes.append(again.dump()[1])
        assert again.played_ms == made.played_ms
        assert (tmp_path / f"{name}.db").stat().st_mode & 0o077 == 0
    assert len(set(hashes)) == 1
    other, _ = exchange([FLAT] * 3)
    other.seed = 8
    with pytest.raises(StoreError, match="seed=7, not 8"):
        Books(tmp_path / "a.copy.db").load(other)
