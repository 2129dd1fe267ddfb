"""What an answer of OKX means for an order that was sent (specs: okx-wire §8). The exception classes of ccxt do not say it."""

from __future__ import annotations

from typing import Literal, cast

Outcome = Literal["rejected", "unknown", "retry", "fatal"]

UNKNOWN_ORDER = "51603"
STALE_TIMESTAMP = "50102"

# 51016 and 50071 are unknown: the name is taken, most likely by this very order
TABLE = """
rejected 50000 50002 50006 50014 50015 50016 50024 50025 50036 50037 51000 51001 51004 51005 51006 51008 51020 51046 51047 51048 51049
rejected 51050 51051 51052 51053 51100 51101 51102 51121 51137 51138 51169 51170 51202 51204 51279 51280 54012 54030 54031
rejected 59000 59101 59102 59107 59108 59109
unknown 50001 50004 50005 50013 50026 50040 50042 50071 51016 51054 51149 51412 51416
retry 50011 50061 50102 51021 51022 51027 51028 51029 51030
fatal 50007 50009 50022 50027 50100 50101 50103 50104 50105 50106 50107 50110 50111 50112 50113 50114 50119 50120 51010 51024
"""
OUTCOMES = {code: cast(Outcome, line.split()[0]) for line in TABLE.strip().splitlines() for code in line.split()[1:]}


def outcome(code: str, status: int = 200) -> Outcome:
    """Whether an order was definitely refused, may have been accepted, may be sent again, or trading has to stop.

    Args:
        code: OKX's, "" where there was none. status: of HTTP.
    """
    return OUTCOMES.get(code, "fatal" if status == 401 else "unknown")
