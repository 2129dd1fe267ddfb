"""The stored data: what there is, what is missing, and putting it right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.output import print_text
from alpha_arena.commands.shared import clock_of, database, given
from alpha_arena.core.errors import ConfigError, DataError, NoData
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.settings import DataAction, ExchangeChoice, Settings, load

if TYPE_CHECKING:
    from alpha_arena.data.candles import Series
    from alpha_arena.data.service import DataService

NEWEST = 1000


def run(settings: Settings) -> dict[str, Any]:
    """stats, gaps, repair or check, of all stored series or of those that symbol, timeframe and exchange name.

    Raises:
        NoData: nothing is stored of what was named.
    """
    assert isinstance(settings.action, DataAction)
    actions = {"stats": stats, "gaps": gaps, "repair": repair, "check": check}
    with database(settings) as service:
        return actions[settings.action.action](settings, service)


def series_of(settings: Settings, service: DataService) -> list[Series]:
    """Stored series; where the command line names a symbol, timeframe or exchange, only those.

    Raises:
        NoData: none is stored.
    """
    symbols = {one.symbol for one in settings.symbols} if given(settings, "symbol") or given(settings, "symbols") else set()
    timeframe = settings.timeframe if given(settings, "timeframe") else None
    found = [
        one
        for one in service.series()
        if one.symbol in (symbols or {one.symbol}) and one.timeframe == (timeframe or one.timeframe)
        if one.exchange == (settings.source or one.exchange)
    ]
    if not found:
        named = " ".join(filter(None, [", ".join(sorted(symbols)), timeframe, settings.source])) or "candles"
        raise NoData(f"no {named} are stored; run alpha-arena ingest first")
    return found


def stats(settings: Settings, service: DataService) -> dict[str, Any]:
    """Rows in each table, and what each stored series covers."""
    return {"tables": service.stats(), "series": service.coverage()}


def gaps(settings: Settings, service: DataService) -> dict[str, Any]:
    """Ranges that are missing, and bars without trades; remembered in the database."""
    return {"gaps": [hole for one in series_of(settings, service) for hole in service.record_gaps(one.symbol, one.timeframe, one.exchange)]}


def key(series: Series) -> dict[str, str]:
    """What a series is called."""
    return {"exchange": series.exchange, "symbol": series.symbol, "timeframe": series.timeframe}


def repair(settings: Settings, service: DataService) -> dict[str, Any]:
    """Ask the series' own source for what is missing.

    Raises:
        ConfigError: the source's rows came from files and none is named.
    """
    rows = [row for series in series_of(settings, service) for row in _repaired(settings, service, series)]
    left = sum(row["bars"] - row["inserted"] for row in rows)
    return {"missing": sum(row["bars"] for row in rows), "left": left, "repaired": rows}


def _repaired(settings: Settings, service: DataService, series: Series) -> Iterator[dict[str, Any]]:
    missing = [hole for hole in service.gaps(series.symbol, series.timeframe, series.exchange) if hole["kind"] == "missing"]
    if not missing:
        return
    exchange = settings.exchange or _exchange_of(settings, series)
    for hole in missing:
        yield {**hole, "inserted": _fetched(exchange, service, series, hole)}
    service.record_gaps(series.symbol, series.timeframe, series.exchange)


def _fetched(exchange: ExchangeChoice, service: DataService, series: Series, hole: dict[str, Any]) -> int:
    from alpha_arena.ingest import backfill, remember

    clock = clock_of(service)
    started_ms = clock.now_ms()
    try:
        made = backfill(service, exchange.source(clock), [series.symbol], [series.timeframe], hole["start_ts"], hole["end_ts"])
    except NoData:
        return 0
    remember(service, made, started_ms)
    return sum(report.inserted for report in made if report.timeframe == series.timeframe)


def _exchange_of(settings: Settings, series: Series) -> ExchangeChoice:
    if series.exchange not in ("okx", "synthetic"):
        raise ConfigError(
            f"rows of {series.exchange} came from files; name those that hold what is missing: exchange=file exchange.path=FOLDER"
        )
    found = load(settings.command, [*settings.overrides, f"exchange={series.exchange}"]).exchange
    assert found
    return found


def check(settings: Settings, service: DataService) -> dict[str, Any]:
    """Read each series through DataService as the engine does, and check its newest rows."""
    rows = [checked(service, one) for one in series_of(settings, service)]
    return {"ok": not any(row["problem"] for row in rows), "series": rows}


def checked(service: DataService, series: Series) -> dict[str, Any]:
    """A series' newest bar, price and funding, and what is wrong with its last 1000 rows, "" for nothing."""
    from alpha_arena.core.quality import check_candles

    candles = service.get_ohlcv(series.symbol, series.timeframe, NEWEST, series.exchange)
    price = service.get_latest_prices(series.symbol, series.exchange) or {}
    funding = service.get_latest_funding(series.symbol, series.exchange) or {}
    bar_ms = timeframe_ms(series.timeframe)
    try:
        repairs = check_candles(candles, bar_ms, int(candles.ts[-1]) + bar_ms, f"{series.symbol} {series.timeframe}").repairs
        problem = "; ".join(map(str, repairs))
    except DataError as error:
        problem = str(error)
    last = {"last_ts": int(candles.ts[-1]), "price": price.get("last"), "funding_rate": funding.get("rate")}
    return {**key(series), "rows_read": len(candles), **last, "problem": problem}


def show(result: dict[str, Any]) -> None:
    """The tables, or that nothing is missing."""
    empty = [name for name in ("gaps", "repaired") if result.get(name) == []]
    print_text({"missing": "nothing"} if empty else result)
