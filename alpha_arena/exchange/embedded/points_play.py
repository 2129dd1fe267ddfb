"""Profile `market`: a point of trading acts on an account. Order of events at a point: triggers, resting orders, liquidation, arrivals."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from math import sqrt
from random import Random

from alpha_arena.exchange.embedded import margin
from alpha_arena.exchange.embedded.algos import act, attach, hit, live, release
from alpha_arena.exchange.embedded.contracts import Profile, SwapContract
from alpha_arena.exchange.embedded.feed import Point
from alpha_arena.exchange.embedded.money import LIQUIDATED, Cashier, Quotes
from alpha_arena.exchange.embedded.state import ZERO, Algo, Client, Holding, PlacedOrder

WOULD_TAKE, REST_CANCELED, NOTHING_TO_REDUCE = "31", "14", "5"
AT_ONCE = ("market", "optimal_limit_ioc", "ioc", "fok")


def exact(price: float) -> Decimal:
    """A price as it is written."""
    return Decimal(repr(price))


class PointPlay:
    """Plays one instrument's points for accounts.

    Args:
        seed: of all chance; what it gives depends on order and time alone, so that a restart changes nothing.

    Attributes:
        traded: base currency of the newest point with trading.
    """

    def __init__(self, rules: SwapContract, profile: Profile, cashier: Cashier, seed: int) -> None:
        self.rules, self.profile, self.cashier, self.seed = rules, profile, cashier, seed
        self.attach_fails = False
        self.traded = 0.0

    def play(self, client: Client, point: Point) -> None:
        """One point for one account; order arrivals included."""
        self.traded = point.volume or self.traded
        for algo in live(client, self.rules.inst_id):
            if algo.state != "live" or self._too_late(client, algo, point):
                continue
            reached = hit(algo, point, self.profile.path == "pessimistic")
            made = act(self.cashier, client, algo, reached, point.ts) if reached else None
            if made and reached:
                self._from_level(client, made, exact(point.last) if point.jump else reached.level, point)
        self._rest(client, point)
        for held in list(client.holdings.values()):
            self._liquidate(client, held, point)

    def _too_late(self, client: Client, algo: Algo, point: Point) -> bool:
        """Whether its position is liquidated before the price gets to its stop."""
        held = client.holdings.get((algo.inst_id, algo.td_mode))
        if held is None or algo.sl_trigger_px is None or not self._doomed(client, held, point):
            return False
        ends = margin.liquidation_px(held, self.rules, self.profile.taker, margin.free(client))
        return ends is not None and (algo.sl_trigger_px - ends) * held.pos <= 0

    def _rest(self, client: Client, point: Point) -> None:
        for order in [order for order in client.orders.values() if order.open and order.inst_id == self.rules.inst_id]:
            if order.c_time + self.profile.latency_ms > point.ts:
                continue
            if order.ord_type in AT_ONCE or order.px is None:
                self.take(client, order, point)
            elif self._through(order, point):
                self._fill(client, order, self._room(order, point), order.px, True, point)

    def arrive(self, client: Client, order: PlacedOrder, point: Point) -> None:
        """An order meets the market at the newest point."""
        crosses = order.px is None or self._marketable(order, point)
        if order.ord_type == "post_only" and crosses:
            self.cancel(client, order, WOULD_TAKE, point.ts)
        elif crosses:
            self.take(client, order, point)
        elif order.ord_type in AT_ONCE:
            self.cancel(client, order, REST_CANCELED, point.ts)

    def take(self, client: Client, order: PlacedOrder, point: Point) -> None:
        """Fill against the other side of the book, as much as a point's volume lets one order have."""
        room = self._room(order, point)
        if order.ord_type == "fok" and room < order.sz:
            self.cancel(client, order, REST_CANCELED, point.ts)
            return
        self._fill(client, order, room, self._touch(order, exact(point.last), room), False, point)
        if order.open and order.ord_type in ("ioc", "optimal_limit_ioc", "fok"):
            self.cancel(client, order, REST_CANCELED, point.ts)

    def _from_level(self, client: Client, order: PlacedOrder, level: Decimal, point: Point) -> None:
        """An order that a level sent: the market's at the level, or at the price beyond it that comes next."""
        if order.px is None:
            self._fill(client, order, order.sz, self._touch(order, level, order.sz), False, point)
        else:
            self.arrive(client, order, point)

    def _touch(self, order: PlacedOrder, price: Decimal, sz: Decimal) -> Decimal:
        """The price that a taker gets: half the spread and the impact of its size, on the tick, and not beyond its limit."""
        side = 1 if order.side == "buy" else -1
        share = float(self.rules.base(sz)) / self.traded if self.traded else 0.0
        moved = self.profile.half_spread + self.profile.impact * sqrt(share)
        px = self.rules.ticks(float(price) * (1 + side * moved))
        px = max(px, self.rules.tick_sz)
        return px if order.px is None else (min if side > 0 else max)(px, order.px)

    def _marketable(self, order: PlacedOrder, point: Point) -> bool:
        assert order.px is not None
        side = 1 if order.side == "buy" else -1
        return (exact(point.last * (1 + side * self.profile.half_spread)) - order.px) * side <= 0

    def _through(self, order: PlacedOrder, point: Point) -> bool:
        """Whether a resting order's turn has come: the price went through it, or touched it and luck would have it."""
        assert order.px is not None
        beyond = (order.px - exact(point.last)) * (1 if order.side == "buy" else -1)
        return beyond > 0 or (beyond == 0 and self._in_front(order, point.ts))

    def _in_front(self, order: PlacedOrder, ts: int) -> bool:
        return Random(f"{self.seed} {order.ord_id} {ts}").random() < self.profile.queue_probability

    def _room(self, order: PlacedOrder, point: Point) -> Decimal:
        """Contracts that the order may have at a point: what is open of it, within its share of the volume, at least a lot."""
        share = self.profile.participation * (point.volume or self.traded)
        lots = (exact(share) / self.rules.base(self.rules.lot_sz)).to_integral_value(ROUND_DOWN)
        return min(order.sz - order.acc_fill_sz, max(lots, Decimal(1)) * self.rules.lot_sz)

    def _fill(self, client: Client, order: PlacedOrder, sz: Decimal, px: Decimal, maker: bool, point: Point) -> None:
        held = client.holdings.get((order.inst_id, order.td_mode))
        if order.reduce_only:
            closes = held is not None and held.pos and (held.pos > 0) == (order.side == "sell")
            sz = min(sz, abs(held.pos)) if held is not None and closes else ZERO
        if not sz:
            self.cancel(client, order, NOTHING_TO_REDUCE, point.ts)
            return
        self.cashier.fill(client, order, sz, px, maker, point.ts, Quotes(exact(point.mark), exact(point.index)))
        if order.state == "filled" and order.attached:
            attach(self.cashier, client, order, point.ts, self.attach_fails)
        release(self.cashier, client, order.inst_id, order.td_mode, point.ts)

    def cancel(self, client: Client, order: PlacedOrder, source: str, ts: int) -> None:
        """End an order; what was filled of it keeps its protection."""
        order.state, order.cancel_source, order.u_time = "canceled", source, ts
        self.cashier.touch(client, "order", order.ord_id, order)
        if order.acc_fill_sz and order.attached:
            attach(self.cashier, client, order, ts, self.attach_fails)

    def _liquidate(self, client: Client, held: Holding, point: Point) -> None:
        if held.inst_id == self.rules.inst_id and self._doomed(client, held, point):
            self.bankrupt(client, held, point)

    def _doomed(self, client: Client, held: Holding, point: Point) -> bool:
        free = margin.free(client) if held.mgn_mode == "cross" else ZERO
        return margin.doomed(held, self.rules, exact(point.mark), self.profile.taker, free)

    def bankrupt(self, client: Client, held: Holding, point: Point) -> None:
        """Close a position at the mark price, where that costs no more than there is.

        The penalty is what is left of an isolated one's margin, of a crossed one its maintenance margin.
        """
        size, side, mark = self.rules.base(abs(held.pos)), 1 if held.pos > 0 else -1, exact(point.mark)
        cover = held.margin if held.mgn_mode == "isolated" else margin.free(client)
        least = held.avg_px - side * cover / size
        px = (max if side > 0 else min)(mark, least)
        left = cover + margin.upl(held, self.rules, px) if px == mark else ZERO
        penalty = left if held.mgn_mode == "isolated" else min(left, margin.maintenance(held, self.rules, mark))
        self.cashier.forced(client, held, abs(held.pos), px, point.ts, Quotes(mark, exact(point.index)), LIQUIDATED, penalty)
        release(self.cashier, client, held.inst_id, held.mgn_mode, point.ts)
