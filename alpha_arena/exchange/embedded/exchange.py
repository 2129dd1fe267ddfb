"""The embedded exchange: accounts on a market that is played as its clock runs. Same seed and same requests, same ledger."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from alpha_arena.core.types import Instrument
from alpha_arena.exchange.embedded.acceptance import accept, ahead, amended, only_whole, reducing
from alpha_arena.exchange.embedded.accounts import Accounts
from alpha_arena.exchange.embedded.algos import attach, release
from alpha_arena.exchange.embedded.bars_play import BarPlay
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.codes import refused, wrong
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.feed import Feed, Point
from alpha_arena.exchange.embedded.money import DELEVERAGED, Quotes, signed
from alpha_arena.exchange.embedded.points_play import PointPlay, exact
from alpha_arena.exchange.embedded.ports import AlgoTicket, Ticket
from alpha_arena.exchange.embedded.state import ZERO, Algo, Client, PlacedOrder, Rejection

if TYPE_CHECKING:
    from alpha_arena.exchange.embedded.books import Books

BY_CLIENT, BY_TIMER = "1", "20"
NO_POSITION = "51023"
VOLUME_BARS = 8


class EmbeddedExchange(Accounts):
    """Accounts, orders and money; keeps `embedded.ports.Exchange`.

    Args:
        feed: the market. clock: its time, from which alone everything happens.
        instruments: what can be traded. profile: how orders are filled.
        seed: of ids and of all chance. books: where it is kept, None for memory alone.

    Attributes:
        dup_policy: forever, while_live, or window (of dup_window_ms): how long a client order id is taken.
        attach_fails: whether protection that orders carry is not made.
    """

    def __init__(
        self,
        feed: Feed,
        clock: SimClock,
        instruments: Iterable[Instrument],
        profile: Profile,
        seed: int = 0,
        books: Books | None = None,
    ) -> None:
        listed = list(instruments)
        super().__init__(feed, clock, listed, profile, seed)
        self.books = books
        made = list(self.contracts.values())
        self._points = {each.inst_id: PointPlay(each, profile, self.cashier, seed) for each in made}
        pairs = zip(made, listed, strict=True)
        self._bars = {each.inst_id: BarPlay(feed, each, instrument, profile, self.cashier) for each, instrument in pairs}
        self._arriving: list[tuple[int, Client, PlacedOrder]] = []
        self.played_ms = clock.now_ms()
        self.dup_policy, self.dup_window_ms = "forever", 0
        self._attach_fails = False
        if books:
            books.load(self)
            self._arriving = self._on_their_way()
            self._go_on()

    def _go_on(self) -> None:
        """What was traded last, which the next orders' impact depends on, is not in the books: the market knows it."""
        for name, play in self._points.items() if self.clients and not self.profile.spec else ():
            point = self.feed.price(name, self.played_ms)
            play.traded = point.volume or self.feed.price(name, point.ts).volume

    def _on_their_way(self) -> list[tuple[int, Client, PlacedOrder]]:
        """Orders that were accepted and had not met the market when the books were written."""
        every = [
            (order.c_time + self.profile.latency_ms, client, order) for client in self.clients.values() for order in client.orders.values()
        ]
        return [one for one in every if one[2].open and one[0] > self.played_ms and not self.profile.spec]

    @property
    def attach_fails(self) -> bool:
        """Whether protection that orders carry is not made (a fault)."""
        return self._attach_fails

    @attach_fails.setter
    def attach_fails(self, fails: bool) -> None:
        self._attach_fails = fails
        plays: list[PointPlay | BarPlay] = [*self._points.values(), *self._bars.values()]
        for play in plays:
            play.attach_fails = fails

    def run_to(self, now_ms: int) -> None:
        """Play the market up to a time; time never goes back."""
        if now_ms > self.played_ms:
            self._play_bars(now_ms) if self.profile.spec else self._play_points(now_ms)
            self._expire(now_ms)

    def _play_bars(self, now_ms: int) -> None:
        start = self.played_ms
        bars = [(bar.ts, name, bar) for name in self.contracts for bar in self.feed.drive_bars(name, start, now_ms)]
        for ts, name, bar in sorted(bars, key=lambda each: each[:2]):
            play = self._bars[name]
            settled = play.settlements(bar)
            for client in self.clients.values():
                play.play(client, bar, *settled)
            self.played_ms = ts + self.feed.bar_ms

    def _play_points(self, now_ms: int) -> None:
        """Points before now, in their order with settlements and arrivals; where nobody has anything in the market, none."""
        while self.played_ms < now_ms:
            active = [client for client in self.clients.values() if is_active(client)]
            if not active:
                break
            # a bar at a time, so that an account that has become idle costs nothing
            until = min(now_ms, (self.played_ms // self.feed.bar_ms + 60) * self.feed.bar_ms)
            self._stretch(active, until)
            self.played_ms = until
        self.played_ms = now_ms

    def _stretch(self, active: list[Client], until: int) -> None:
        due = {name: self.feed.funding(name, self.played_ms - 1, until - 1) for name in self.contracts}
        for point in self.feed.points(self.played_ms - 1, until - 1):
            self._arrive(point.ts)
            waiting = due[point.inst_id]
            while waiting and waiting[0][0] <= point.ts:
                self._settle(active, point, *waiting.pop(0))
            self._expire(point.ts)
            play = self._points[point.inst_id]
            for client in active:
                play.play(client, point)
        self._arrive(until)

    def _settle(self, active: Iterable[Client], point: Point, ts: int, rate: float) -> None:
        for client in active:
            for held in client.holdings.values():
                if held.pos and held.inst_id == point.inst_id:
                    self.cashier.fund(client, held, exact(rate), exact(point.mark), ts)

    def _arrive(self, now_ms: int) -> None:
        for arrival in [each for each in self._arriving if each[0] <= now_ms]:
            self._arriving.remove(arrival)
            ts, client, order = arrival
            if order.open:
                self._meet(client, order, ts)

    def _meet(self, client: Client, order: PlacedOrder, ts: int) -> None:
        play = self._points[order.inst_id]
        recent = [
            p.volume for p in self.feed.points(ts - VOLUME_BARS * self.feed.bar_ms, ts - 1) if p.volume and p.inst_id == order.inst_id
        ]
        play.traded = recent[-1] if recent else play.traded
        play.arrive(client, order, self.now(order.inst_id)._replace(ts=ts, volume=0.0))

    def _expire(self, now_ms: int) -> None:
        """The dead-man switches: pending orders of their tag are canceled, algos stay."""
        for client in self.clients.values():
            for due_ms, tag in sorted((due_ms, tag) for tag, due_ms in client.cancel_after_ms.items() if due_ms <= now_ms):
                for order in [order for order in client.orders.values() if order.open and tag in ("", order.tag)]:
                    self._end(client, order, BY_TIMER, due_ms)
                del client.cancel_after_ms[tag]
                self.cashier.touch(client, "client", client.api_key, client)

    def refuse_duplicate(self, client: Client, cl_ord_id: str) -> None:
        """Refuse a client order id that is taken.

        Raises:
            Rejection: 51016.
        """
        if cl_ord_id and any(order.cl_ord_id == cl_ord_id and self._taken(order) for order in reversed(client.orders.values())):
            raise refused("51016")

    def _taken(self, order: PlacedOrder) -> bool:
        if self.dup_policy == "window":
            return order.c_time + self.dup_window_ms > self.clock.now_ms()
        return order.open or self.dup_policy == "forever"

    def place(self, client: Client, ticket: Ticket) -> PlacedOrder:
        """Accept an order; in profile market it meets the market after its latency, in profile spec at the next bar.

        Raises:
            Rejection: 51016, 51169, 51170, 51046 to 51049, 51100, 51004, 51008, 51102.
        """
        self.refuse_duplicate(client, ticket.cl_ord_id)
        now = self.clock.now_ms()
        wish = {
            name: getattr(ticket, name) for name in ("inst_id", "td_mode", "side", "ord_type", "sz", "px", "reduce_only", "tag", "stp_mode")
        }
        lever = self.leverage(client, ticket.inst_id, ticket.td_mode)
        order = PlacedOrder(ord_id="", cl_ord_id=ticket.cl_ord_id, lever=lever, c_time=now, u_time=now, **wish)
        accept(self, client, order, ticket)
        order.ord_id = self.cashier.numbers.take()
        order.attached = list(ticket.attached)
        for each in order.attached:
            each.algo_id = self.cashier.numbers.take()
        client.orders[order.ord_id] = order
        self.cashier.touch(client, "order", order.ord_id, order)
        if not self.profile.spec:
            self._arriving.append((now + self.profile.latency_ms, client, order))
            self._arrive(now)
        return order

    def _open_order(self, client: Client, inst_id: str, ord_id: str, cl_ord_id: str, code: str) -> PlacedOrder:
        if ord_id:
            found = [client.orders[ord_id]] if ord_id in client.orders else []
        else:
            found = [order for order in reversed(client.orders.values()) if cl_ord_id and order.cl_ord_id == cl_ord_id][:1]
        if not found or not found[0].open or found[0].inst_id != inst_id:
            raise refused(code)
        return found[0]

    def cancel(self, client: Client, inst_id: str, ord_id: str = "", cl_ord_id: str = "") -> PlacedOrder:
        """Cancel an order.

        Raises:
            Rejection: 51400, it is done or unknown.
        """
        order = self._open_order(client, inst_id, ord_id, cl_ord_id, "51400")
        self._end(client, order, BY_CLIENT, self.clock.now_ms())
        return order

    def _end(self, client: Client, order: PlacedOrder, source: str, ts: int) -> None:
        order.state, order.cancel_source, order.u_time = "canceled", source, ts
        self.cashier.touch(client, "order", order.ord_id, order)
        if order.acc_fill_sz and order.attached:
            attach(self.cashier, client, order, ts, self._attach_fails)

    def amend(
        self, client: Client, inst_id: str, ord_id: str, cl_ord_id: str, new_sz: Decimal | None, new_px: Decimal | None
    ) -> PlacedOrder:
        """Change size or price of an order.

        Raises:
            Rejection: 51503, it is done or unknown; 51000, less than what is filled; 51004, 51008: more than the account may have.
        """
        order = self._open_order(client, inst_id, ord_id, cl_ord_id, "51503")
        if new_sz is not None and new_sz <= order.acc_fill_sz:
            raise wrong("newSz")
        amended(self, client, order, new_sz or order.sz, new_px or order.px)
        order.sz, order.px, order.u_time = new_sz or order.sz, new_px or order.px, self.clock.now_ms()
        self.cashier.touch(client, "order", order.ord_id, order)
        return order

    def place_algo(self, client: Client, ticket: AlgoTicket) -> Algo:
        """Accept a TP/SL or trigger order.

        Raises:
            Rejection: 51016, its name is taken; 51169, 51170: it may only reduce, and there is nothing to reduce; 51000: another one
                closes the whole position; 51279, 51280: a level has been reached already (in profile spec that is the bars' business).
        """
        name = ticket.algo_cl_ord_id
        if name and any(algo.algo_cl_ord_id == name for algo in client.algos.values()):
            raise refused("51016")
        held = client.holdings.get((ticket.inst_id, ticket.td_mode))
        if ticket.reduce_only:
            reducing(held.pos if held else ZERO, signed(ticket.side, Decimal(1)))
        only_whole(client, ticket)
        if not self.profile.spec:
            ahead(ticket, self.now(ticket.inst_id))
        now = self.clock.now_ms()
        wish = {name: getattr(ticket, name) for name in ticket.__slots__}
        lever = self.leverage(client, ticket.inst_id, ticket.td_mode)
        algo = Algo(algo_id=self.cashier.numbers.take(), lever=lever, c_time=now, u_time=now, **wish)
        algo.ref_px = self.last(ticket.inst_id)
        client.algos[algo.algo_id] = algo
        self.cashier.touch(client, "algo", algo.algo_id, algo)
        return algo

    def cancel_algo(self, client: Client, inst_id: str, algo_id: str = "", algo_cl_ord_id: str = "") -> Algo:
        """Cancel an algo.

        Raises:
            Rejection: 51400, it has acted, is canceled or unknown.
        """
        asked = ("algo_id", algo_id) if algo_id else ("algo_cl_ord_id", algo_cl_ord_id)
        live = [algo for algo in client.algos.values() if algo.state == "live" and algo.inst_id == inst_id]
        found = [algo for algo in live if getattr(algo, asked[0]) == asked[1]]
        if not found:
            raise refused("51400")
        found[0].state, found[0].u_time = "canceled", self.clock.now_ms()
        self.cashier.touch(client, "algo", found[0].algo_id, found[0])
        return found[0]

    def set_leverage(self, client: Client, inst_id: str, mgn_mode: str, lever: Decimal) -> None:
        """Set the leverage of new orders and of the position that is held.

        Raises:
            Rejection: 59102, too high; 59108, the position would need more margin than there is.
        """
        rules = self.contracts[inst_id]
        if lever > rules.max_lever:
            raise refused("59102")
        held = client.holdings.get((inst_id, mgn_mode))
        if held is not None and held.pos and mgn_mode == "isolated":
            needed = rules.base(abs(held.pos)) * held.avg_px / lever
            if needed - held.margin > self.available(client):
                raise Rejection("59108", "Insufficient account balance")
            self.cashier.set_margin(client, held, needed, self.clock.now_ms())
        if held is not None:
            held.lever = lever
            self.cashier.touch(client, "holding", held.pos_id, held)
        client.levers[inst_id, mgn_mode] = lever
        self.cashier.touch(client, "client", client.api_key, client)

    def set_position_mode(self, client: Client, pos_mode: str) -> None:
        """Positions are netted here; the other mode is not offered.

        Raises:
            Rejection: 59000, there are positions or orders; 51000, long_short_mode.
        """
        busy = any(held.pos for held in client.holdings.values()) or any(order.open for order in client.orders.values())
        if pos_mode != client.pos_mode and busy:
            raise refused("59000")
        if pos_mode != "net_mode":
            raise wrong("posMode")

    def close_position(self, client: Client, inst_id: str, mgn_mode: str, cl_ord_id: str, auto_cancel: bool) -> None:
        """Close a whole position at the market.

        Raises:
            Rejection: 51023, there is none.
        """
        held = client.holdings.get((inst_id, mgn_mode))
        if held is None or not held.pos:
            raise Rejection(NO_POSITION, "Position does not exist")
        for order in [order for order in client.orders.values() if auto_cancel and order.open and order.inst_id == inst_id]:
            self._end(client, order, BY_CLIENT, self.clock.now_ms())
        side = "sell" if held.pos > 0 else "buy"
        self.place(client, Ticket(inst_id, mgn_mode, side, "market", abs(held.pos), cl_ord_id=cl_ord_id, reduce_only=True))

    def cancel_all_after(self, client: Client, seconds: int, tag: str = "") -> None:
        """The dead-man switch of a tag's orders, "" for all of the account; 0 switches it off."""
        client.cancel_after_ms.pop(tag, None)
        if seconds:
            client.cancel_after_ms[tag] = self.clock.now_ms() + seconds * 1000
        self.cashier.touch(client, "client", client.api_key, client)

    def external_trade(self, client: Client, inst_id: str, side: str, sz: Decimal) -> None:
        """Somebody else trades on the account, without a client order id."""
        self.place(client, Ticket(inst_id, "isolated", side, "market", sz))

    def liquidate(self, client: Client, inst_id: str) -> None:
        """The exchange closes the positions of an instrument."""
        point = self.now(inst_id)._replace(ts=self.clock.now_ms())
        for held in [each for each in client.holdings.values() if each.inst_id == inst_id and each.pos]:
            self._points[inst_id].bankrupt(client, held, point)

    def adl(self, client: Client, inst_id: str, sz: Decimal) -> None:
        """The exchange deleverages: it closes a part of a position at the mark price."""
        point, now = self.now(inst_id), self.clock.now_ms()
        quotes = Quotes(exact(point.mark), exact(point.index))
        for held in [each for each in client.holdings.values() if each.inst_id == inst_id and each.pos]:
            self.cashier.forced(client, held, min(sz, abs(held.pos)), quotes.mark, now, quotes, DELEVERAGED)
            release(self.cashier, client, inst_id, held.mgn_mode, now)

    def save(self) -> None:
        """Write what has changed to the books, if there are any."""
        if self.books:
            self.books.save(self)
        self.cashier.touched.clear()

    def close(self) -> None:
        """Close the books."""
        if self.books:
            self.save()
            self.books.close()


def is_active(client: Client) -> bool:
    """Whether an account has anything in the market."""
    return (
        any(held.pos for held in client.holdings.values())
        or any(order.open for order in client.orders.values())
        or any(algo.state == "live" for algo in client.algos.values())
        or bool(client.cancel_after_ms)
    )
