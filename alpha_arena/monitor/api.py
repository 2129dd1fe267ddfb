"""The API: read-only questions about the database, answered in JSON: times in ms UTC, amounts in quote currency, null for unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Response
from starlette.middleware.gzip import GZipMiddleware

from alpha_arena.core.errors import NoData
from alpha_arena.data import queries
from alpha_arena.monitor.arena import Arena
from alpha_arena.monitor.boards import Boards
from alpha_arena.monitor.books import Books
from alpha_arena.monitor.metrics import exposition
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.replies import ReadOnly, add_errors, cached, refusal, reply
from alpha_arena.monitor.thinning import MAX_BARS, MAX_POINTS

DAY_MS = 86_400_000
Ms = Annotated[int | None, Query(ge=0, le=10**14)]
Name = Annotated[str, Query(max_length=80)]
Rows = Annotated[int, Query(ge=1, le=500)]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the routes read from."""

    reader: Reader
    books: Books
    boards: Boards
    arena: Arena


def sight_of(reader: Reader) -> Sight:
    """Everything that reads, over one database."""
    books = Books(reader)
    return Sight(reader, books, Boards(reader, books), Arena(reader, books))


def market_routes(sight: Sight) -> APIRouter:
    """Candles, funding and regimes."""
    routes, reader = APIRouter(prefix="/api/market"), sight.reader

    @routes.get("/candles")
    def candles(
        request: Request,
        symbol: Name,
        start_ms: Ms = None,
        end_ms: Ms = None,
        bars: Annotated[int, Query(ge=1, le=MAX_BARS)] = 600,
        bar_ms: Annotated[int | None, Query(ge=60_000, le=400 * DAY_MS)] = None,
    ) -> Response:
        end = end_ms if end_ms is not None else reader.newest_close()
        start = start_ms if start_ms is not None else max(0, end - 30 * DAY_MS)
        return cached(request, reader, lambda: reader.candles(symbol, start, max(start + 1, end), bars, bar_ms))

    @routes.get("/funding")
    def funding(request: Request, symbol: Name, start_ms: Ms = 0, end_ms: Ms = None) -> Response:
        def build() -> dict[str, Any]:
            found = reader.service.get_funding_range(symbol, start_ms or 0, end_ms or 10**14, reader.scope.source)
            return {"symbol": symbol, "ts": found.ts[-MAX_POINTS:], "rate": found.rate[-MAX_POINTS:]}

        return cached(request, reader, build)

    @routes.get("/regimes")
    def regimes(request: Request, symbol: Name, trader: Name = "", start_ms: Ms = 0, end_ms: Ms = None) -> Response:
        def build() -> dict[str, Any]:
            bands = sight.books.regimes(sight.boards.known(trader), symbol)
            return {"regimes": [one for one in bands if one["end_ms"] >= (start_ms or 0) and one["start_ms"] <= (end_ms or 10**14)]}

        return cached(request, reader, build)

    return routes


def decision_routes(sight: Sight) -> APIRouter:
    """Decisions and orders."""
    routes, books, known = APIRouter(prefix="/api"), sight.books, sight.boards.known

    @routes.get("/decisions")
    def decisions(
        request: Request,
        trader: Name = "",
        symbol: Name = "",
        filter: Literal["all", "acted", "refused", "fallback"] = "all",
        limit: Rows = 60,
        before_id: int | None = None,
    ) -> Response:
        def build() -> dict[str, Any]:
            return {"decisions": books.decisions(known(trader), symbol, filter, limit, before_id)}

        return cached(request, sight.reader, build)

    @routes.get("/decisions/{decision_id}")
    def decision(decision_id: int) -> Response:
        found = books.decision(decision_id)
        return reply({"decision": found}) if found else refusal(404, f"there is no decision {decision_id}")

    @routes.get("/orders")
    def orders(
        request: Request,
        trader: Name = "",
        symbol: Name = "",
        filter: Literal["all", "open", "filled", "rejected"] = "all",
        limit: Rows = 50,
    ) -> Response:
        return cached(request, sight.reader, lambda: books.orders(known(trader), symbol, filter, limit))

    @routes.get("/orders/{order_id}")
    def order(order_id: str) -> Response:
        events = books.order_events(order_id)
        return reply({"id": order_id, "events": events}) if events else refusal(404, f"there is no order {order_id[:80]!r}")

    return routes


def account_routes(sight: Sight) -> APIRouter:
    """Trades, positions, balances."""
    routes, books, known = APIRouter(prefix="/api"), sight.books, sight.boards.known

    @routes.get("/trades")
    def trades(
        request: Request,
        trader: Name,
        symbol: Name = "",
        start_ms: Ms = 0,
        end_ms: Ms = None,
        limit: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 2000,
    ) -> Response:
        def build() -> dict[str, Any]:
            mine = [row for row in books.trades(known(trader)) if symbol in ("", row["symbol"])] if trader else []
            seen = [row for row in mine if row["entry_ms"] <= (end_ms or 10**14) and (row["exit_ms"] or 10**14) >= (start_ms or 0)]
            return {"trades": seen[-limit:], "bar_ms": sight.reader.scope.bar_ms}

        return cached(request, sight.reader, build)

    @routes.get("/positions")
    def positions(request: Request, trader: Name = "") -> Response:
        def build() -> dict[str, Any]:
            names = [known(trader)] if trader else sight.boards.names()
            return {"positions": [{"trader": name, **row} for name in names for row in books.positions(name)]}

        return cached(request, sight.reader, build)

    @routes.get("/balances")
    def balances(request: Request, trader: Name = "") -> Response:
        return cached(request, sight.reader, lambda: {"balances": queries.balances(sight.reader.service, known(trader) or None)})

    return routes


def board_routes(sight: Sight) -> APIRouter:
    """Status, tiles, equity, the arena, backtests, coverage."""
    routes, reader, boards = APIRouter(prefix="/api"), sight.reader, sight.boards

    @routes.get("/status")
    def status(request: Request) -> Response:
        return cached(request, reader, boards.status)

    @routes.get("/dashboard")
    def dashboard(request: Request, trader: Name = "", symbol: Name = "") -> Response:
        return cached(request, reader, lambda: boards.dashboard(trader, symbol))

    @routes.get("/equity")
    def equity(
        request: Request,
        start_ms: Ms = None,
        end_ms: Ms = None,
        columns: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 600,
        unit: Literal["fraction", "quote"] = "fraction",
    ) -> Response:
        return cached(request, reader, lambda: boards.equity(start_ms, end_ms, columns, unit))

    @routes.get("/arena")
    def leaderboard(request: Request) -> Response:
        return cached(request, reader, sight.arena.leaderboard)

    @routes.get("/arena/equity")
    def race(
        request: Request,
        columns: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 600,
        unit: Literal["fraction", "quote"] = "fraction",
    ) -> Response:
        return cached(request, reader, lambda: sight.arena.race(columns, unit))

    @routes.get("/backtests")
    def backtests(limit: Rows = 100) -> Response:
        return reply({"backtests": queries.backtests(reader.service, limit)})

    @routes.get("/data-health/coverage")
    def coverage(request: Request) -> Response:
        return cached(request, reader, lambda: {"coverage": boards.coverage()})

    return routes


def build_api(reader: Reader) -> FastAPI:
    """The API over one database; everything else below /api is a 404 in JSON."""
    app = FastAPI(title="Alpha Arena", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    sight = sight_of(reader)
    add_errors(app)
    app.add_middleware(ReadOnly)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    for routes in (market_routes(sight), decision_routes(sight), account_routes(sight), board_routes(sight)):
        app.include_router(routes)

    @app.get("/healthz")
    def healthz() -> Response:
        try:
            reader.service.check_schema()
        except NoData as error:
            return refusal(503, str(error))
        return reply({"ok": True})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(reader, sight.boards), media_type="text/plain; version=0.0.4")

    return app
