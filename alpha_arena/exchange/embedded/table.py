"""The route table: one line an endpoint, which drives dispatch, limits and documentation (specs: okx-wire §1.2)."""

from __future__ import annotations

from typing import Final

from alpha_arena.exchange.embedded import private, public, trade
from alpha_arena.exchange.embedded.route import Route

TABLE: Final = (
    Route("GET", "public/time", public.time, False, 10, "ip"),
    Route("GET", "system/status", public.status, False, 1, "ip", window_ms=5_000),
    Route("GET", "public/instruments", public.instruments, False, 20, "ip+instType"),
    Route("GET", "market/candles", public.candles, False, 40, "ip"),
    Route("GET", "market/history-candles", public.history_candles, False, 20, "ip"),
    Route("GET", "market/mark-price-candles", public.mark_candles, False, 20, "ip"),
    Route("GET", "market/history-mark-price-candles", public.history_mark_candles, False, 20, "ip"),
    Route("GET", "market/index-candles", public.index_candles, False, 20, "ip"),
    Route("GET", "market/history-index-candles", public.history_index_candles, False, 20, "ip"),
    Route("GET", "market/ticker", public.ticker, False, 20, "ip"),
    Route("GET", "market/tickers", public.tickers, False, 20, "ip"),
    Route("GET", "market/index-tickers", public.index_tickers, False, 20, "ip"),
    Route("GET", "market/books", public.books, False, 40, "ip"),
    Route("GET", "public/mark-price", public.mark_price, False, 10, "ip+instId"),
    Route("GET", "public/funding-rate", public.funding_rate, False, 10, "ip+instId"),
    Route("GET", "public/funding-rate-history", public.funding_history, False, 10, "ip+instId"),
    Route("GET", "public/position-tiers", public.position_tiers, False, 10, "ip+instId"),
    Route("GET", "asset/currencies", private.currencies, True, 12, "user"),
    Route("GET", "account/config", private.config, True, 5, "user"),
    Route("POST", "account/set-position-mode", private.set_position_mode, True, 5, "user"),
    Route("POST", "account/set-leverage", private.set_leverage, True, 20, "user"),
    Route("GET", "account/leverage-info", private.leverage_info, True, 20, "user"),
    Route("GET", "account/balance", private.balance, True, 10, "user"),
    Route("GET", "account/positions", private.positions, True, 10, "user"),
    Route("GET", "account/positions-history", private.positions_history, True, 10, "user"),
    Route("GET", "account/bills", private.bills, True, 10, "user"),
    Route("GET", "account/bills-archive", private.bills_archive, True, 5, "user"),
    Route("GET", "account/trade-fee", private.trade_fee, True, 5, "user"),
    Route("POST", "trade/order", trade.place, True, 60, "user+instId", places=True),
    Route("POST", "trade/batch-orders", trade.place_batch, True, 300, "user+instId", places=True),
    Route("POST", "trade/cancel-order", trade.cancel, True, 60, "user+instId"),
    Route("POST", "trade/cancel-batch-orders", trade.cancel_batch, True, 300, "user+instId"),
    Route("POST", "trade/amend-order", trade.amend, True, 60, "user+instId", places=True),
    Route("GET", "trade/order", trade.order, True, 60, "user+instId"),
    Route("GET", "trade/orders-pending", trade.pending, True, 60, "user"),
    Route("GET", "trade/orders-history", trade.history, True, 40, "user"),
    Route("GET", "trade/orders-history-archive", trade.history_archive, True, 20, "user"),
    Route("GET", "trade/fills", trade.fills, True, 60, "user"),
    Route("GET", "trade/fills-history", trade.fills_history, True, 10, "user"),
    Route("POST", "trade/close-position", trade.close_position, True, 20, "user+instId"),
    Route("POST", "trade/cancel-all-after", trade.cancel_all_after, True, 1, "user+tag", window_ms=1_000),
    Route("POST", "trade/order-algo", trade.place_algo, True, 20, "user+instId"),
    Route("POST", "trade/cancel-algos", trade.cancel_algos, True, 20, "user"),
    Route("GET", "trade/order-algo", trade.algo, True, 20, "user"),
    Route("GET", "trade/orders-algo-pending", trade.algos_pending, True, 20, "user"),
    Route("GET", "trade/orders-algo-history", trade.algos_history, True, 20, "user"),
)
ROUTES: Final[dict[tuple[str, str], Route]] = {(route.method, route.path): route for route in TABLE}
# a batch of one counts as a single order
SINGLE: Final = {
    "trade/batch-orders": ROUTES["POST", "trade/order"],
    "trade/cancel-batch-orders": ROUTES["POST", "trade/cancel-order"],
}
