"""Profile `spec` of the embedded exchange does to an account what the simulated executor's matching does, fill by fill."""

from __future__ import annotations

from decimal import Decimal
from math import isnan

import numpy as np
import pytest
from floor import BTC, COSTS, HOUR, RULES, SPEC, START, SWAP, exchange, go, ticket
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.sizing import floor_lots, legs
from alpha_arena.core.types import Account, Fill, Funding, Position, Target
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.money import signed
from alpha_arena.exchange.embedded.state import Client
from alpha_arena.exchange.matching import Bar, MatchingEngine, Settlement

GOALS = st.sampled_from([-0.2, -0.1, 0.0, 0.0, 0.1, 0.2, None])
STEPS = st.lists(st.tuples(st.floats(-0.04, 0.04), st.floats(0, 0.03), st.floats(0, 0.03), GOALS, st.booleans()), min_size=2, max_size=30)


def bars_of(steps: list[tuple[float, float, float, float | None, bool]]) -> list[tuple[float, float, float, float, float]]:
    """Bars with gaps between them."""
    made, price = [], 40_000.0
    for drift, up, down, _, gap in steps:
        opened = round(price * (1 + drift if gap else 1), 1)
        close = round(opened * (1 + drift / 2), 1)
        made.append((opened, round(max(opened, close) * (1 + up), 1), round(min(opened, close) * (1 - down), 1), close, 10.0))
        price = close
    return made


def told(client: Client) -> list[float]:
    """Fills: signed base quantity, then price, of each."""
    return [value for fill in client.fills for value in (float(signed(fill.side, fill.fill_sz)) / 100, float(fill.fill_px))]


@given(STEPS)
def test_every_fill_and_every_cent_is_the_same(steps: list[tuple[float, float, float, float | None, bool]]) -> None:
    """The third equality of the design, at the level of the exchange: same bars, same orders, same fills, same cash."""
    rows = bars_of(steps)
    settled = Funding(START + HOUR * np.arange(0, len(rows), 8, dtype=np.int64), np.full(-(-len(rows) // 8), 0.0003))
    made, client = exchange(rows, SPEC, HOUR, settled)
    made.set_leverage(client, SWAP, "isolated", Decimal(3))
    engine, fills = MatchingEngine("x", Account(10_000.0), {BTC: RULES}, COSTS, 3.0), list[Fill]()
    for row, (opened, high, low, close, _) in enumerate(rows):
        wanted = steps[row][3]
        if wanted is not None:
            decide(engine, made, client, wanted, opened if row == 0 else rows[row - 1][3])
        ts = START + row * HOUR
        carried = [Settlement(ts, 0.0003, False)] if row % 8 == 0 else []
        fills += engine.advance(BTC, Bar(ts, opened, high, low, close), carried, ()).fills
        go(made, (row + 1) * HOUR)
        assert told(client) == pytest.approx([value for fill in fills for value in (fill.quantity, fill.price)], rel=1e-12)
        assert float(client.cash) == pytest.approx(engine.account.cash, rel=1e-9)


def decide(engine: MatchingEngine, made: EmbeddedExchange, client: Client, wanted: float, price: float) -> None:
    """The same orders for both, with levels 3 % away."""
    held: Position = engine.account.position(BTC)
    goal = (1 if wanted > 0 else -1) * floor_lots(abs(wanted) * 20_000 / price, RULES.lot)
    side = 1 if wanted > 0 else -1
    target = Target(wanted, round(price * (1 - 0.03 * side), 1), round(price * (1 + 0.03 * side), 1)) if wanted else Target(0.0)
    for order in legs(round(goal - held.quantity, 10), held, target, BTC, str):
        engine.submit(order)
        fresh = order.quantity * held.quantity <= 0
        stop, take = (level if fresh and not isnan(level) else None for level in (order.stop, order.take))
        sz = round(abs(order.quantity) * 100, 2)
        made.place(client, ticket("buy" if order.quantity > 0 else "sell", sz, stop=stop, take=take, reduce_only=order.reduce_only))


def test_a_protection_that_acts_tells_so_and_a_lapsed_order_is_canceled() -> None:
    """Stop inside the bar of the entry; an entry whose stop lies beyond the open is not made."""
    made, client = exchange([(40_000, 40_100, 39_000, 39_500, 10), (39_500, 39_600, 39_400, 39_500, 10)], SPEC, HOUR)
    made.place(client, ticket("buy", 1, stop=39_800, take=41_000))
    go(made, HOUR)
    algo = next(iter(client.algos.values()))
    assert (algo.state, algo.actual_side, algo.algo_cl_ord_id) == ("effective", "sl", "p")
    assert client.orders[algo.ord_id].state == "filled"
    assert [held.pos for held in client.holdings.values()] == [0]
    late = made.place(client, ticket("buy", 1, stop=39_700))
    go(made, 2 * HOUR)
    assert (late.state, late.acc_fill_sz) == ("canceled", 0)
