"""From settings to a running embedded exchange: its market, clock, accounts, profile and ledger."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.timeframes import UNIT_MS, timeframe_ms
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.data.clock import DatabaseClock, read_clock, wall_ms
from alpha_arena.data.lock import only_one
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import write_embedded
from alpha_arena.exchange.embedded.books import Books
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile, inst_id
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.feed import Feed, MarketData, Replay
from alpha_arena.exchange.embedded.server import HOST, announcement, listening, serve
from alpha_arena.exchange.file import FUNDING, FileSource, MarkSource
from alpha_arena.exchange.generated import MODELS
from alpha_arena.exchange.synthetic.synthetic import Synthetic
from alpha_arena.settings import Settings
from alpha_arena.wiring.trading import everyone

MINUTE_MS = UNIT_MS["m"]
DAY_MS = UNIT_MS["d"]
# 2100: later than any stored bar, and still a date
FOREVER_MS = 4_102_444_800_000
FILES: dict[str, Any] = {"name": "replay", "symbol": None, "timeframe": None}


class SharedClock(SimClock):
    """The clock row of the trading database as the exchange's clock: nobody else moves it."""

    def __init__(self, service: DataService) -> None:
        self.service = service
        self.shared = DatabaseClock(service)
        super().__init__("scaled", self.shared.now_ms(), self._pace())

    def _pace(self) -> float:
        row = read_clock(self.service)
        return row.speed if row else 1.0

    def now_ms(self) -> int:
        """Now, ms since the epoch, UTC."""
        return self.shared.now_ms()

    def set(self, mode: str | None = None, now_ms: int | None = None, speed: float | None = None) -> None:
        """It is not for the control plane to move.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("time is kept by up and shared by everything that it runs; start alpha-arena exchange by itself to move it")


def own_clock(settings: Settings) -> SimClock:
    """The clock of an exchange that runs alone: from `start=` on, else from where its market begins to be worth trading."""
    params = params_of(settings)
    mode = "stepped" if params["driven"] else "real" if params["speed"] == 1 else "scaled"
    return SimClock(mode, market_start_ms(settings), float(params["speed"]))


def params_of(settings: Settings) -> Mapping[str, Any]:
    """The settings of the embedded exchange.

    Raises:
        ConfigError: another one was chosen.
    """
    if settings.exchange is None or settings.exchange.kind != "embedded":
        given = settings.exchange.kind if settings.exchange else "null"
        raise ConfigError(f"exchange={given} is not served from here; only exchange=embedded is")
    return settings.exchange.params


def market_start_ms(settings: Settings) -> int:
    """Where the market's time begins: at `start=`; of a replay after history_days, or half of what there is; else now."""
    params = params_of(settings)
    if settings.start_ms is not None:
        return settings.start_ms
    if params["market"] != "replay":
        return wall_ms()
    market, bar_ms = replay_of(settings)
    first, last = max(int(rows.ts[0]) for rows in market.candles.values()), min(int(rows.ts[-1]) for rows in market.candles.values())
    past = min(int(params["history_days"]) * DAY_MS, (last - first) // 2)
    return (first + past) // bar_ms * bar_ms


def market_of(settings: Settings) -> tuple[MarketData, int]:
    """The market and the length of its bars, ms."""
    params = params_of(settings)
    if params["market"] == "replay":
        return replay_of(settings)
    return Synthetic(MODELS[params["model"]], int(params["seed"])), MINUTE_MS


def replay_of(settings: Settings) -> tuple[Replay, int]:
    """Candles, settlements and mark prices of files, in the shortest timeframe that they hold for every symbol.

    Raises:
        ConfigError: a symbol that they do not hold, or no timeframe that they hold for all.
    """
    params = params_of(settings)
    source = FileSource(
        **FILES, path=str(params["path"]), funding_path=params["funding_path"] and str(params["funding_path"]), clock=Ended()
    )
    held = {one.symbol: held_as(source, one) for one in settings.symbols}
    marks, marked = marks_of(settings)
    offers = [kinds for _, kinds in held.values()] + list(marked.values())
    shared = set.intersection(*({kind for kind in kinds if kind != FUNDING} for kinds in offers))
    if not shared:
        files = f"exchange.path={params['path']}" + (f" and exchange.mark_path={params['mark_path']}" if marked else "")
        which = "both hold" if marked else "holds"
        raise ConfigError(f"{files}: no timeframe that {which} of all of {', '.join(held)}; trade one of them, or name other files")
    drive = min(shared, key=timeframe_ms)
    candles: dict[str, Candles] = {symbol: source.candles(name, drive, 0, FOREVER_MS) for symbol, (name, _) in held.items()}
    funding: dict[str, Funding] = {symbol: source.funding(name, 0, FOREVER_MS) for symbol, (name, _) in held.items()}
    told = {symbol: marks.candles(symbol, drive, 0, FOREVER_MS) for symbol in marked} if marks else {}
    return Replay(candles, funding, told), timeframe_ms(drive)


def marks_of(settings: Settings) -> tuple[MarkSource | None, Mapping[str, tuple[str, ...]]]:
    """Files of mark prices, and in which timeframes they hold the configured symbols; else the traded price is the mark.

    Raises:
        ConfigError: there are files, and they hold none of them.
    """
    path = params_of(settings)["mark_path"]
    if not path:
        return None, {}
    source, symbols = MarkSource(**FILES, path=str(path), funding_path=None, clock=Ended()), [one.symbol for one in settings.symbols]
    offers = source.offers()
    marked = {symbol: offers[symbol] for symbol in symbols if symbol in offers}
    if not marked:
        raise ConfigError(
            f"exchange.mark_path={path} holds marks of {', '.join(sorted(offers))}, none of {', '.join(symbols)}; name other files"
        )
    return source, marked


class Ended:
    """A clock by which everything has closed."""

    def now_ms(self) -> int:
        """The end of time."""
        return FOREVER_MS


def held_as(source: FileSource, instrument: Instrument) -> tuple[str, tuple[str, ...]]:
    """Under which name files hold an instrument, itself or the spot market of its base, and in which timeframes."""
    offers = source.offers([instrument.symbol])
    name = instrument.symbol if instrument.symbol in offers else next(iter(offers))
    return name, offers[name]


def profile_of(settings: Settings) -> Profile:
    """How orders are filled; `spec` has none of the market's frictions but the configured costs."""
    params = params_of(settings)
    if params["profile"] == "spec":
        return Profile("spec", settings.costs)
    names = ("half_spread", "impact", "participation", "queue_probability", "latency_ms", "fills_lag_ms")
    return Profile("market", settings.costs, **{name: params[name] for name in names}, path=params["price_path"])


def names_of(settings: Settings) -> list[str]:
    """Names of the accounts: those that were given, else one for each trader."""
    return list(params_of(settings)["accounts"] or dict.fromkeys(one.trader for one in everyone(settings)))


def kept(settings: Settings) -> dict[str, str]:
    """What a ledger was begun with and cannot be changed on it; a later start only where one is asked for."""
    params = params_of(settings)
    market = {"exchange.market": params["market"], "exchange.profile": params["profile"]}
    where = {"exchange.path": params["path"]} if params["market"] == "replay" else {"exchange.model": params["model"]}
    start = {} if settings.start_ms is None else {"start (ms)": settings.start_ms}
    return {name: str(value) for name, value in {**market, **where, **start}.items()}


def exchange_of(settings: Settings, clock: SimClock) -> EmbeddedExchange:
    """The exchange with its accounts, as its ledger has them.

    Raises:
        StoreError: the ledger cannot be written, or is another market's. ConfigError: the market cannot be had.
    """
    market, bar_ms = market_of(settings)
    feed = Feed(market, {inst_id(one.symbol): one.symbol for one in settings.symbols}, bar_ms)
    books = Books(Path(str(params_of(settings)["ledger"])), kept(settings))
    seed = int(params_of(settings)["seed"])
    exchange = EmbeddedExchange(feed, clock, settings.symbols, profile_of(settings), seed, books)
    for name in names_of(settings):
        exchange.add_client(name, Decimal(str(settings.initial_capital)))
    exchange.save()
    return exchange


def serve_embedded(settings: Settings, clock: SimClock) -> None:
    """Serve until SIGTERM; address and keys go to stdout and to the file that only this user may read.

    Raises:
        ConfigError: as `exchange_of`, or the port is taken, or another process serves this ledger.
    """
    ledger = Path(str(params_of(settings)["ledger"]))
    with only_one(ledger.with_suffix(".lock"), "embedded exchange", "choose another file with exchange.ledger="):
        exchange = exchange_of(settings, clock)
        if not isinstance(clock, SharedClock):
            clock.set(now_ms=exchange.played_ms)
        port, token = free(int(params_of(settings)["port"])), secrets.token_urlsafe(24)
        write_embedded(Path(str(params_of(settings)["accounts_file"])), announcement(exchange, f"http://{HOST}:{port}", token))
        serve(exchange, port=port, token=token)


def free(port: int) -> int:
    """The port itself, or any free one for 0.

    Raises:
        ConfigError: it is taken.
    """
    with listening(port) as found:
        return int(found.getsockname()[1])
