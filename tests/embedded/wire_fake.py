"""A small exchange with the real interface for tests of the wire: prices stand still, market orders fill at once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from hashlib import sha256
from itertools import count
from math import sin

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Candles
from alpha_arena.exchange.embedded.codes import refused
from alpha_arena.exchange.embedded.ports import AlgoTicket, Kind, Ticket
from alpha_arena.exchange.embedded.state import ZERO, Algo, Bill, Client, FillRow, Holding, PlacedOrder

NOW = 1_795_414_682_000
SWAP = "BTC-USDT-SWAP"


@dataclass(frozen=True)
class StandPrice:
    last: float = 60_000.0
    mark: float = 60_001.2
    index: float = 60_002.0


@dataclass(frozen=True)
class OneTier:
    min_sz: Decimal = ZERO
    max_sz: Decimal = Decimal(1000)
    imr: Decimal = Decimal("0.01")
    mmr: Decimal = Decimal("0.004")
    max_lever: Decimal = Decimal(100)


@dataclass(frozen=True)
class Swap:
    inst_id: str = SWAP
    uly: str = "BTC-USDT"
    code: int = 10459
    ct_val: Decimal = Decimal("0.01")
    lot_sz: Decimal = Decimal("0.01")
    min_sz: Decimal = Decimal("0.01")
    tick_sz: Decimal = Decimal("0.1")
    max_mkt_sz: Decimal = Decimal(12000)
    max_lmt_sz: Decimal = Decimal(100000000)
    max_lever: Decimal = Decimal(100)
    list_ms: int = 1_573_557_408_000
    tiers: tuple[OneTier, ...] = (OneTier(),)


@dataclass(frozen=True)
class Costs:
    maker: Decimal = Decimal("0.0002")
    taker: Decimal = Decimal("0.0005")
    half_spread: float = 0.00001


@dataclass
class HandClock:
    ms: int = NOW
    mode: str = "stepped"
    speed: float = 1.0

    def now_ms(self) -> int:
        return self.ms

    def step_to(self, ms: int) -> None:
        self.ms = max(ms, self.ms)

    def set(self, mode: str | None = None, now_ms: int | None = None, speed: float | None = None) -> None:
        self.mode, self.ms, self.speed = mode or self.mode, now_ms or self.ms, speed or self.speed


class WaveFeed:
    """A wave around 60,000; funding each eight hours."""

    bar_ms = 60_000

    def price(self, inst_id: str, now_ms: int) -> StandPrice:
        return StandPrice()

    def candles(
        self, inst_id: str, bar_ms: int, start_ms: int, end_ms: int, now_ms: int, kind: Kind = "last"
    ) -> tuple[Candles, NDArray[np.bool_]]:
        first = -(-start_ms // bar_ms) * bar_ms
        ts = np.arange(first, min(end_ms, now_ms + 1), bar_ms, dtype=np.int64)
        close = np.array([60_000 + round(100 * sin(t / 3.6e6), 1) for t in ts])
        flat = np.full(ts.size, 12.5)
        return Candles(ts, close, close + 10, close - 10, close, flat), ts + bar_ms <= now_ms

    def funding(self, inst_id: str, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        step = 8 * 3_600_000
        return [(ts, 0.0001) for ts in range(after_ms // step * step + step, until_ms + 1, step)]

    def forecast(self, inst_id: str, now_ms: int) -> tuple[float, int, int, float]:
        step = 8 * 3_600_000
        following = now_ms // step * step + step
        return 0.00012, following, following + step, 0.0001


@dataclass
class FakeExchange:
    """Keeps one account."""

    clock: HandClock = field(default_factory=HandClock)
    feed: WaveFeed = field(default_factory=WaveFeed)
    profile: Costs = field(default_factory=Costs)
    seed: int = 7
    contracts: dict[str, Swap] = field(default_factory=lambda: {SWAP: Swap()})
    clients: dict[str, Client] = field(default_factory=dict)
    saved: int = 0
    numbers: count[int] = field(default_factory=lambda: count(10**17))

    def __post_init__(self) -> None:
        client = Client("one", "44705892343619584", "demo-one", "s", "p", cash=Decimal(10000))
        client.bills.append(Bill(self.number(), self.clock.now_ms(), client.cash, client.cash, "1", "11"))
        self.clients[client.api_key] = client

    def number(self) -> str:
        return str(next(self.numbers))

    def run_to(self, now_ms: int) -> None: ...

    def save(self) -> None:
        self.saved += 1

    def close(self) -> None: ...

    def dump(self) -> tuple[bytes, str]:
        rows = [asdict(client) | {"levers": str(client.levers), "holdings": str(client.holdings)} for client in self.clients.values()]
        content = json.dumps(rows, default=str, sort_keys=True).encode()
        return content, sha256(content).hexdigest()

    def refuse_duplicate(self, client: Client, cl_ord_id: str) -> None:
        if cl_ord_id and any(order.cl_ord_id == cl_ord_id for order in client.orders.values()):
            raise refused("51016")

    def place(self, client: Client, ticket: Ticket) -> PlacedOrder:
        lever, now = self.leverage(client, ticket.inst_id, ticket.td_mode), self.clock.now_ms()
        if not ticket.reduce_only and ticket.sz * 600 / lever > self.available(client):
            raise refused("51008")
        wish = {name: getattr(ticket, name) for name in ("inst_id", "td_mode", "side", "ord_type", "sz", "px", "reduce_only", "tag")}
        order = PlacedOrder(ord_id=self.number(), cl_ord_id=ticket.cl_ord_id, lever=lever, c_time=now, u_time=now, **wish)
        order.attached = list(ticket.attached)
        for held in order.attached:
            held.algo_id = self.number()
        client.orders[order.ord_id] = order
        if ticket.px is None:
            self._fill(client, order)
        return order

    def _fill(self, client: Client, order: PlacedOrder) -> None:
        now, px = self.clock.now_ms(), Decimal(60000)
        order.state, order.acc_fill_sz, order.fill_sz, order.avg_px, order.fill_px = "filled", order.sz, order.sz, px, px
        order.fee, order.trade_id, order.fill_time = -order.sz * 600 * self.profile.taker, self.number(), now
        bill, side = self.number(), "1" if order.side == "buy" else "2"
        facts = bill, order.trade_id, order.ord_id, order.cl_ord_id, order.inst_id, side, order.side
        client.fills.append(FillRow(*facts, px, order.sz, ZERO, px, px, "T", order.fee, now))
        client.cash += order.fee
        client.bills.append(Bill(bill, now, client.cash, order.fee, "2", side, order.inst_id, order.td_mode, order.sz, px, ZERO, order.fee))
        held = client.holdings.setdefault((order.inst_id, order.td_mode), Holding(self.number(), order.inst_id, order.td_mode, c_time=now))
        held.pos += order.sz if order.side == "buy" else -order.sz
        held.avg_px, held.lever, held.fee, held.u_time, held.trade_id = px, order.lever, held.fee + order.fee, now, order.trade_id
        held.margin = abs(held.pos) * 600 / held.lever if order.td_mode == "isolated" else ZERO

    def _order(self, client: Client, inst_id: str, ord_id: str, cl_ord_id: str, code: str) -> PlacedOrder:
        found = [o for o in client.orders.values() if o.open and (o.ord_id == ord_id or (not ord_id and o.cl_ord_id == cl_ord_id))]
        if not found:
            raise refused(code)
        return found[0]

    def cancel(self, client: Client, inst_id: str, ord_id: str = "", cl_ord_id: str = "") -> PlacedOrder:
        order = self._order(client, inst_id, ord_id, cl_ord_id, "51400")
        order.state, order.cancel_source, order.u_time = "canceled", "1", self.clock.now_ms()
        return order

    def amend(
        self, client: Client, inst_id: str, ord_id: str, cl_ord_id: str, new_sz: Decimal | None, new_px: Decimal | None
    ) -> PlacedOrder:
        order = self._order(client, inst_id, ord_id, cl_ord_id, "51503")
        order.sz, order.px = new_sz or order.sz, new_px or order.px
        return order

    def place_algo(self, client: Client, ticket: AlgoTicket) -> Algo:
        now = self.clock.now_ms()
        wish = {name: getattr(ticket, name) for name in ticket.__slots__}
        algo = Algo(algo_id=self.number(), lever=Decimal(3), c_time=now, u_time=now, **wish)
        client.algos[algo.algo_id] = algo
        return algo

    def cancel_algo(self, client: Client, inst_id: str, algo_id: str = "", algo_cl_ord_id: str = "") -> Algo:
        found = [a for a in client.algos.values() if a.state == "live" and algo_id in (a.algo_id, "")]
        if not found:
            raise refused("51400")
        found[0].state = "canceled"
        return found[0]

    def set_leverage(self, client: Client, inst_id: str, mgn_mode: str, lever: Decimal) -> None:
        if lever > 100:
            raise refused("59102")
        client.levers[inst_id, mgn_mode] = lever

    def leverage(self, client: Client, inst_id: str, mgn_mode: str) -> Decimal:
        return client.levers.get((inst_id, mgn_mode), Decimal(3))

    def set_position_mode(self, client: Client, pos_mode: str) -> None:
        if pos_mode != "net_mode":
            raise refused("51000", "posMode")

    def close_position(self, client: Client, inst_id: str, mgn_mode: str, cl_ord_id: str, auto_cancel: bool) -> None:
        held = client.holdings[inst_id, mgn_mode]
        self.place(client, Ticket(inst_id, mgn_mode, "sell" if held.pos > 0 else "buy", "market", abs(held.pos), reduce_only=True))

    def cancel_all_after(self, client: Client, seconds: int) -> None:
        client.cancel_after_ms = self.clock.now_ms() + seconds * 1000 if seconds else 0

    def equity(self, client: Client) -> Decimal:
        return client.cash + sum((self.upl(each) for each in client.holdings.values()), ZERO)

    def available(self, client: Client) -> Decimal:
        return self.equity(client) - sum((self.initial_margin(each) for each in client.holdings.values()), ZERO)

    def frozen(self, client: Client) -> Decimal:
        return ZERO

    def upl(self, holding: Holding) -> Decimal:
        return holding.pos * Decimal("0.01") * (Decimal("60001.2") - holding.avg_px)

    def initial_margin(self, holding: Holding) -> Decimal:
        return abs(holding.pos) * 600 / holding.lever

    def maintenance(self, holding: Holding) -> Decimal:
        return abs(holding.pos) * Decimal("2.4")

    def liquidation_px(self, holding: Holding) -> Decimal | None:
        return Decimal("40180.9")

    def deposit(self, client: Client, amount: Decimal) -> None:
        client.cash += amount

    def external_trade(self, client: Client, inst_id: str, side: str, sz: Decimal) -> None:
        self.place(client, Ticket(inst_id, "isolated", side, "market", sz))

    def liquidate(self, client: Client, inst_id: str) -> None: ...

    def adl(self, client: Client, inst_id: str, sz: Decimal) -> None: ...
