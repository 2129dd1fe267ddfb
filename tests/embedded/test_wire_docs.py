"""The documentation of the embedded exchange's endpoints is its route table.

python tests/embedded/test_wire_docs.py        writes it anew
"""

from __future__ import annotations

from pathlib import Path

from alpha_arena.exchange.embedded.route import Route
from alpha_arena.exchange.embedded.table import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "embedded_endpoints.md"
HEAD = """# Endpoints of the embedded exchange

All of `/api/v5/`, as OKX has them. A client for them: [embedded_ccxt.py](embedded_ccxt.py). Requests over the limit get 50011; a batch
of one order counts as a single order; new and amended orders together are limited to 1,000 in 2 s for an account (50061).

| endpoint | keys needed | requests | counted by |
|---|---|---|---|
"""
TAIL = """
## What of OKX is left out

Refused with 51000:

- `long_short_mode`, and `posSide` long or short: positions are netted
- `ordType` move_order_stop of an algo order, and whatever else than conditional, oco and trigger
- more than one element in `attachAlgoOrds`, and `attachAlgoOrds` of a trigger order

Not modelled: instruments other than linear swaps in USDT, account levels other than futures mode, and partial liquidation: it closes the
whole position.
"""


def line(route: Route) -> str:
    """A row of the page's table."""
    keys = "yes" if route.private else "no"
    return f"| {route.method} {route.path} | {keys} | {route.limit} in {route.window_ms // 1000} s | {route.key.replace('+', ' and ')} |\n"


def page() -> str:
    """The whole page."""
    return HEAD + "".join(line(route) for route in TABLE) + TAIL


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == page(), f"write it anew: python {Path(__file__).name}"


def test_each_endpoint_is_told_by_its_handler() -> None:
    for route in TABLE:
        assert (route.handler.__doc__ or "").startswith(f"{route.method} {route.path}"), route.path


if __name__ == "__main__":
    PAGE.write_text(page())
