"""Names that are derived from what they name, so that a repeated run gives the same ones."""

from __future__ import annotations

from hashlib import sha256

LEGS = ("exit", "entry")


def derived_id(*parts: object) -> str:
    """32 letters and digits from the SHA-256 of the parts; fits an exchange's client order id."""
    return "aa" + sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:30]


def order_id(trader: str, symbol: str, timeframe: str, bar_ts: int, leg: str) -> str:
    """Client order id of a decision's order, `leg` one of LEGS. It holds no attempt number: a repeated attempt is the same order."""
    return derived_id(trader, symbol, timeframe, bar_ts, leg)
