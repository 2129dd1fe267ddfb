"""Decisions, orders and trades as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Any

from alpha_arena.core.records import FINAL_STATES, OPEN_STATES
from alpha_arena.core.types import Position
from alpha_arena.data import queries
from alpha_arena.monitor import talks
from alpha_arena.monitor.numbers import runs
from alpha_arena.monitor.reader import Reader

Row = dict[str, Any]
MOST = 5_000
SEARCHED = 1_000
STATES = {"open": OPEN_STATES, "filled": ("FILLED",), "rejected": tuple(state for state in FINAL_STATES if state != "FILLED")}
ACTED = ("enter_long", "enter_short", "exit", "add", "reduce", "reverse")
TREND_BARS = 20
TONES = {"RANGE": "range", "LOW_VOLATILITY": "range", "HIGH_VOLATILITY": "volatile", "UNKNOWN": "none"}


def action(before: float, ordered: float, wanted: float) -> str:
    """What a decision did, from the position before it and the quantity it ordered (both signed, base currency).

    Args:
        wanted: exposure after risk rules; tells holding a position from staying out.
    """
    after = round(before + ordered, 10)
    if not ordered:
        return "hold" if before or wanted else "flat"
    if not before:
        return "enter_long" if ordered > 0 else "enter_short"
    if not after:
        return "exit"
    if before * after < 0:
        return "reverse"
    return "add" if abs(after) > abs(before) else "reduce"


class Books:
    """What traders decided, ordered and earned.

    Args:
        reader: the database.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def decisions(self, trader: str, symbol: str, which: str, limit: int, before_id: int | None) -> list[Row]:
        """Newest first, a model's part in short under `model`. which: all, acted, refused or fallback."""

        def read() -> list[Row]:
            found = queries.decisions(self.reader.service, trader or None, limit if which == "all" else SEARCHED, before_id)
            named = self._named([row for row in found if symbol in ("", row["symbol"])])
            chosen = [row for row in named if _is(which, row)][:limit]
            records = talks.records(self.reader.service, chosen)
            return [talks.told(row, records) for row in chosen]

        return self.reader.keep(("decisions", trader, symbol, which, limit, before_id), read)

    def decision(self, decision_id: int) -> Row | None:
        """One decision with its allocations, indicators, what came of it, and the record where a model was asked; None if there is none."""
        row = queries.decision(self.reader.service, decision_id)
        if row is None:
            return None
        named = self._named([row])
        records = talks.records(self.reader.service, named)
        came = {"record": next(iter(records.values()), None), "outcome": queries.outcome(self.reader.service, decision_id)}
        return {**talks.told(named[0], records), **came}

    def _named(self, found: Sequence[Row]) -> list[Row]:
        """Decisions with what they did, newest first as they came."""
        if not found:
            return []
        oldest = min(row["ts"] for row in found)
        made: list[Row] = []
        for trader in dict.fromkeys(row["trader"] for row in found):
            orders = self._orders_since(trader, oldest)
            later = [row for row in queries.fills(self.reader.service, trader, MOST) if row["ts"] >= oldest]
            held = {row["symbol"]: row["quantity"] for row in queries.positions(self.reader.service, trader)}
            made += [_shown(row, _before(row, held, later), orders) for row in found if row["trader"] == trader]
        return sorted(made, key=lambda row: -row["id"])

    def _orders_since(self, trader: str, ts: int) -> Mapping[tuple[str, int], float]:
        """Quantity that decisions ordered, by symbol and time."""
        total: dict[tuple[str, int], float] = {}
        for row in queries.orders(self.reader.service, trader, MOST):
            if row["created_ts"] >= ts and row["kind"] == "market":
                # a flip is two orders
                key = (row["symbol"], row["created_ts"])
                total[key] = round(total.get(key, 0.0) + row["quantity"], 10)
        return total

    def last_decision(self, trader: str) -> Row | None:
        """The newest decision: action and time."""
        found = self.decisions(trader, "", "all", 1, None)
        return {"id": found[0]["id"], "action": found[0]["action"], "ts": found[0]["ts"]} if found else None

    def orders(self, trader: str, symbol: str, which: str, limit: int) -> Row:
        """Newest first with the number of each kind. which: all, open, filled or rejected."""
        every = self.reader.keep(("orders", trader), lambda: queries.orders(self.reader.service, trader or None, MOST))
        mine = [row for row in every if symbol in ("", row["symbol"])]
        kinds = {name: [row for row in mine if row["state"] in states] for name, states in STATES.items()}
        shown = [_order(row) for row in kinds.get(which, mine)[:limit]]
        return {"orders": shown, "counts": {name: len(rows) for name, rows in kinds.items()}}

    def order_events(self, order_id: str) -> list[Row]:
        """An order's life, oldest first."""
        names = ("id", "ts", "state", "cause")
        return [{name: row[name] for name in names} for row in queries.order_events(self.reader.service, order_id)]

    def trades(self, trader: str) -> list[Row]:
        """Round trips, oldest first, those still open last."""
        return self.reader.keep(("trades", trader), lambda: self._trades(trader))

    def _trades(self, trader: str) -> list[Row]:
        orders = queries.orders(self.reader.service, trader, MOST)
        levels = {(row["symbol"], row["created_ts"]): row for row in orders if row["kind"] == "market" and not row["reduce_only"]}
        closed = [_trade(trader, row, levels) for row in reversed(queries.round_trips(self.reader.service, trader))]
        return closed + [self._open(trader, symbol, position) for symbol, position in self._held(trader)]

    def _held(self, trader: str) -> list[tuple[str, Position]]:
        return [(symbol, p) for symbol, p in self.reader.account(trader).positions.items() if p.quantity]

    def _open(self, trader: str, symbol: str, position: Position) -> Row:
        opened = self.opened_ms(trader, symbol, position.quantity)
        price = self.reader.prices().get(symbol, nan)
        return {
            **_named_trade(trader, symbol, opened),
            **dict.fromkeys(("exit_ms", "exit_price", "exit_reason", "fees", "funding")),
            "entry_ms": opened,
            "side": "long" if position.quantity > 0 else "short",
            "quantity": abs(position.quantity),
            "entry_price": position.entry,
            "stop": position.stop,
            "take": position.take,
            "pnl": position.quantity * (price - position.entry),
        }

    def opened_ms(self, trader: str, symbol: str, quantity: float) -> int:
        """Time of the fill that opened the present position: going back over fills, the first before which there was none."""
        left = quantity
        for row in queries.fills(self.reader.service, trader, MOST):
            if row["symbol"] != symbol:
                continue
            before = round(left - row["quantity"], 10)
            if before * left <= 0:
                return int(row["ts"])
            left = before
        return 0

    def positions(self, trader: str) -> list[Row]:
        """Open positions, the largest first, marked at the newest close.

        at_stop: result of the position if its stop fills at its price. protection: who keeps it, engine, exchange or none.
        """
        prices = self.reader.prices()
        rows = [self._position(trader, symbol, p, prices.get(symbol, nan)) for symbol, p in self._held(trader)]
        return sorted(rows, key=lambda row: -abs(row["quantity"] * row["mark"]))

    def _position(self, trader: str, symbol: str, p: Position, mark: float) -> Row:
        levels = {"symbol": symbol, "quantity": p.quantity, "entry": p.entry, "stop": p.stop, "take": p.take, "mark": mark}
        result = {"unrealised": p.quantity * (mark - p.entry), "at_stop": p.quantity * (p.stop - p.entry)}
        kept = {"protection": self._protection(trader, symbol, p), "opened_ms": self.opened_ms(trader, symbol, p.quantity)}
        return {**levels, **result, **kept}

    def _protection(self, trader: str, symbol: str, p: Position) -> str:
        if isnan(p.stop):
            return "none"
        if self.reader.scope.mode == "simulated":
            return "engine"
        return "exchange" if symbol in queries.protected(self.reader.service, trader) else "none"

    def regimes(self, trader: str, symbol: str) -> list[Row]:
        """Stretches of one regime as the trader's decisions saw it; tone: range, up, down, volatile or none."""
        return self.reader.keep(("regimes", trader, symbol), lambda: self._regimes(trader, symbol))

    def _regimes(self, trader: str, symbol: str) -> list[Row]:
        found = queries.decisions(self.reader.service, trader or None, MOST)
        rows = sorted((row for row in found if row["symbol"] == symbol), key=lambda row: int(row["bar_ts"]))
        bar_ms = self.reader.scope.bar_ms
        return [_band(rows, first, last, bar_ms) for first, last in runs([row["regime"] for row in rows])]


def _is(which: str, row: Row) -> bool:
    chosen = {"acted": row["action"] in ACTED, "refused": bool(row["refusals"]), "fallback": talks.fell_back(row)}
    return chosen.get(which, True)


def _before(row: Row, held: Mapping[str, float], later: Iterable[Row]) -> float:
    """Position before a decision: the present one less all that was filled from then on."""
    since: float = sum(fill["quantity"] for fill in later if fill["symbol"] == row["symbol"] and fill["ts"] >= row["ts"])
    return round(held.get(row["symbol"], 0.0) - since, 10)


def _shown(row: Row, before: float, orders: Mapping[tuple[str, int], float]) -> Row:
    ordered = orders.get((row["symbol"], row["ts"]), 0.0)
    names = ("id", "trader", "symbol", "ts", "bar_ts", "decider", "why", "regime", "refusals", "catch_up", "allocations")
    figures = ("wanted_exposure", "exposure", "stop", "take", "confidence", "equity", "price")
    indicators = row["regime_context"].get("indicators", {})
    same = {name: row[name] for name in names + figures}
    told = {"indicators": indicators, "advice": row["wanted"].get("advice"), "action": action(before, ordered, row["exposure"])}
    return {**same, **told}


def _order(row: Row) -> Row:
    names = ("trader", "symbol", "kind", "quantity", "price", "average", "fee", "state", "cause", "reduce_only", "stop", "take")
    filled = abs(row["filled"] / row["quantity"]) if row["quantity"] else nan
    times = {"created_ms": row["created_ts"], "updated_ms": row["updated_ts"]}
    return {**{name: row[name] for name in names}, "id": row["client_order_id"], **times, "filled_fraction": filled}


def _named_trade(trader: str, symbol: str, entry_ms: int) -> Row:
    return {"id": f"{trader}.{symbol.partition('/')[0]}.{entry_ms // 1000}", "trader": trader, "symbol": symbol}


def _trade(trader: str, row: Row, levels: Mapping[tuple[str, int], Row]) -> Row:
    order = levels.get((row["symbol"], row["entry_ts"]), {})
    names = ("side", "quantity", "entry_price", "exit_price", "fees", "funding", "pnl", "exit_reason")
    times = {"entry_ms": row["entry_ts"], "exit_ms": row["exit_ts"], "stop": order.get("stop"), "take": order.get("take")}
    return {**_named_trade(trader, row["symbol"], row["entry_ts"]), **times, **{name: row[name] for name in names}}


def _band(rows: Sequence[Row], first: int, last: int, bar_ms: int) -> Row:
    name = str(rows[first]["regime"])
    # a regime says how strongly the market moves, not where to: that is read off the closes
    rose = rows[last]["price"] >= rows[max(0, first - TREND_BARS)]["price"]
    tone = TONES.get(name, "up" if rose else "down")
    return {"start_ms": rows[first]["bar_ts"], "end_ms": rows[last]["bar_ts"] + bar_ms, "regime": name, "tone": tone}
