"""OKX's public market data against recorded and made-up replies on loopback; nothing leaves the machine and nothing sleeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from okx_replies import Market, Reply, data, refusal, row, serving, settlement
from pydantic import ValidationError

from alpha_arena.core.errors import ConfigError, SafetyError, SourceError, TransientError
from alpha_arena.data.service import DataService
from alpha_arena.exchange.calls import Limiter, Patience, Waiting
from alpha_arena.exchange.okx import OkxSource, instrument_id
from alpha_arena.ingest import ingest

BTC = "BTC/USDT:USDT"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_795_414_682_000 // DAY * DAY + 13 * HOUR + 7 * MINUTE
SHIPPED = Path(__file__).resolve().parents[2] / "conf" / "exchange" / "okx.yaml"


@dataclass
class Sandglass:
    """Time that passes only while somebody sleeps."""

    now_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def waiting(self) -> Waiting:
        return Waiting(self.sleep, lambda: self.now_s)


@dataclass(frozen=True)
class Stopped:
    ms: int = NOW

    def now_ms(self) -> int:
        return self.ms


@contextmanager
def okx(
    *faults: Reply, first_ms: int = NOW - 400 * DAY, absent: set[int] | None = None, **given: Any
) -> Iterator[tuple[OkxSource, Market, Sandglass]]:
    """A source with the shipped settings, before a server that first gives the faults."""
    glass = Sandglass()
    with serving(Market(NOW, first_ms, absent or set(), list(faults))) as market:
        settings = {**yaml.safe_load(SHIPPED.read_text()), "hosts": {"global": market.host}, **given}
        settings.pop("kind")
        source = OkxSource(**settings, clock=Stopped(), waiting=glass.waiting())
        try:
            yield source, market, glass
        finally:
            source.close()


@pytest.mark.parametrize("bars", [1, 299, 300, 301, 900, 2_000])
def test_paging_neither_misses_nor_doubles_a_bar(bars: int) -> None:
    """D40: limits of 300, exclusive cursors; every bar of the range comes once."""
    end = NOW // HOUR * HOUR
    with okx() as (source, market, _):
        candles = source.candles(BTC, "1h", end - bars * HOUR, end)
    assert candles.ts.tolist() == list(range(end - bars * HOUR, end, HOUR))
    assert len(market.asked) == -(-bars // 300)


def test_old_bars_come_from_the_history_endpoint() -> None:
    """T8: the recent endpoint reaches 1,440 bars back; the choice follows the engine's clock."""
    end = NOW // HOUR * HOUR
    with okx() as (source, market, _):
        candles = source.candles(BTC, "1h", end - 2_400 * HOUR, end)
    assert len(candles) == 2_400
    assert [path for path, _ in market.asked] == ["market/candles"] * 4 + ["market/history-candles"] * 4


def test_a_bar_that_is_still_forming_is_left_out_and_volume_is_in_base_currency() -> None:
    """T7: `confirm` decides, and of the three volumes volCcy (BTC) is taken, not contracts."""
    with okx() as (source, market, _):
        candles = source.candles(BTC, "1h", NOW - 3 * HOUR, NOW + HOUR)
    assert candles.ts.tolist() == [NOW // HOUR * HOUR - HOUR * i for i in (2, 1)]
    assert candles.volume.tolist() == [1.5, 1.5]
    assert [float(cell) for cell in row(int(candles.ts[0]))[1:5]] == [
        getattr(candles, name)[0] for name in ("open", "high", "low", "close")
    ]
    assert market.asked[0][1]["bar"] == "1H"


def test_days_are_asked_for_in_utc() -> None:
    """OKX's own 1D opens at 16:00 UTC."""
    with okx() as (source, market, _):
        candles = source.candles(BTC, "1d", NOW - 5 * DAY, NOW)
    assert market.asked[0][1]["bar"] == "1Dutc"
    assert all(ts % DAY == 0 for ts in candles.ts.tolist())


def test_missing_bars_stay_missing_and_history_ends_at_the_listing() -> None:
    """D58: nothing is filled in."""
    end = NOW // HOUR * HOUR
    hole = {end - i * HOUR for i in range(100, 700)}
    with okx(first_ms=end - 800 * HOUR, absent=hole) as (source, _, _):
        candles = source.candles(BTC, "1h", end - 5_000 * HOUR, end)
    assert candles.ts.tolist() == [ts for ts in range(end - 800 * HOUR, end, HOUR) if ts not in hole]


def test_funding_is_the_realised_rate_of_every_settlement() -> None:
    """T10, D45: paged back by `after`, no forecast, no fixed interval assumed."""
    with okx(page_funding=50) as (source, market, _):
        funding = source.funding(BTC, NOW - 90 * DAY, NOW)
    assert funding.ts.tolist() == list(range((NOW - 90 * DAY) // (8 * HOUR) * 8 * HOUR + 8 * HOUR, NOW, 8 * HOUR))
    assert set(funding.rate.tolist()) == {1e-4}
    assert len(market.asked) == 6


@pytest.mark.parametrize(
    "fault",
    [
        refusal("50011"),
        refusal("50011", 429),
        refusal("50001", 503),
        refusal("50026", 500),
        refusal("51149", 500),
        Reply("<html>502 Bad Gateway</html>", 502),
        Reply("<html>Welcome to the hotel's network</html>", 200),
        Reply("", 200),
        Reply('{"code":"0","msg":"","data":[["17', 200),
        Reply('{"code":"0","msg":""}', 200),
        Reply("[]", 200),
    ],
    ids=lambda fault: f"{fault.status} {fault.body[:24]}",
)
def test_a_failure_that_may_pass_is_asked_again(fault: Reply) -> None:
    """D38, D41, T1, T3: one HTTP 500, rate limit or body of a proxy costs a wait, not the import; waits double."""
    with okx(fault, fault) as (source, market, glass):
        candles = source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)
    assert len(candles) == 9
    assert len(market.asked) == 3
    assert [0.5 <= glass.slept[0] <= 0.75, 1.0 <= glass.slept[1] <= 1.5] == [True, True]


def test_a_silent_server_is_given_up_after_its_time_out() -> None:
    # long enough that what is not silent answers in time on a busy machine too
    with okx(Reply("", silent=True), timeout_s=3.0) as (source, market, _):
        assert len(source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)) == 9
    assert len(market.asked) == 2


def test_a_server_that_keeps_failing_is_a_clear_error() -> None:
    """The message names the endpoint, the instrument, the number of calls and the last cause."""
    with (
        okx(*[refusal("50011", 429)] * 6) as (source, market, _),
        pytest.raises(
            TransientError,
            match=r"market/candles of http://127.0.0.1:\d+ for BTC-USDT-SWAP failed 6 times, last with: RateLimitExceeded.*50011",
        ),
    ):
        source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)
    assert len(market.asked) == 6


@pytest.mark.parametrize("fault", [refusal("51001"), refusal("51000", 400), refusal("50110", 401)])
def test_a_refusal_is_not_asked_again(fault: Reply) -> None:
    """An unknown instrument or parameter stays wrong however often it is sent."""
    with okx(fault) as (source, market, glass), pytest.raises(SourceError) as told:
        source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)
    assert not isinstance(told.value, TransientError)
    assert (len(market.asked), glass.slept) == (1, [])


GOOD = row(NOW // HOUR * HOUR - HOUR)


@pytest.mark.parametrize(
    "bad",
    [
        ["ts", "NaN", "1", "-5", "x"],
        [*GOOD[:4], "NaN", *GOOD[5:]],
        [*GOOD[:4], "1e400", *GOOD[5:]],
        [*GOOD[:6], "", *GOOD[7:]],
        [*GOOD[:8], "yes"],
        [int(GOOD[0]), *GOOD[1:]],
        [*GOOD[:1], None, *GOOD[2:]],
        ["-5", *GOOD[1:]],
        {"ts": GOOD[0]},
    ],
    ids=str,
)
def test_a_malformed_row_is_refused(bad: Any) -> None:
    """T20: ccxt would read it as NaN, 0 or None; here nothing of the batch is stored and the row is named."""
    with okx(data([GOOD, bad])) as (source, _, _), pytest.raises(SourceError, match="a row of BTC-USDT-SWAP that cannot be trusted"):
        source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)


@pytest.mark.parametrize(
    "item", [{**settlement(NOW - HOUR), "instId": "ETH-USDT-SWAP"}, {**settlement(NOW - HOUR), "realizedRate": ""}, [], "x"]
)
def test_a_malformed_settlement_is_refused(item: Any) -> None:
    with okx(data([item])) as (source, _, _), pytest.raises(SourceError, match="cannot be trusted"):
        source.funding(BTC, NOW - DAY, NOW)


@pytest.mark.parametrize("rows", [[GOOD, GOOD], [row(NOW // HOUR * HOUR + HOUR)]], ids=["twice", "newer than asked"])
def test_pages_that_repeat_themselves_are_refused(rows: list[list[str]]) -> None:
    """D40: a cursor that is not honoured would double bars or never end."""
    with okx(data(rows)) as (source, _, _), pytest.raises(SourceError, match="repeat or are not older"):
        source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)


def test_the_limiter_keeps_each_two_seconds_below_the_limit() -> None:
    """D41: calls wait before the exchange has to refuse them."""
    glass = Sandglass()
    limiter, calls = Limiter(18, glass.waiting()), []
    for _ in range(100):
        limiter.wait()
        calls.append(glass.now_s)
    assert all(b - a >= 2.0 for a, b in zip(calls, calls[18:], strict=False))
    assert glass.now_s == pytest.approx(10.0)


def test_the_source_paces_each_endpoint_by_its_own_limit() -> None:
    """D41: six pages at two in two seconds take two waits; another endpoint is not held up."""
    end = NOW // HOUR * HOUR
    with okx(page_bars=100, candles_2s=2) as (source, market, glass):
        source.candles(BTC, "1h", end - 600 * HOUR, end)
        assert (len(market.asked), glass.now_s) == (6, pytest.approx(4.0))
        source.funding(BTC, NOW - DAY, NOW)
        assert glass.now_s == pytest.approx(4.0)


def test_waits_double_up_to_the_longest() -> None:
    glass = Sandglass()

    def fails() -> None:
        raise TransientError("busy")

    with pytest.raises(TransientError, match="call failed 7 times, last with: busy"):
        Patience(7, 1.0, 10.0, glass.waiting()).call("call", fails)
    assert [low <= wait <= 1.5 * low for low, wait in zip([1, 2, 4, 8, 10, 10], glass.slept, strict=True)] == [True] * 6


def test_a_redirect_to_another_host_is_not_followed() -> None:
    """Nothing is sent anywhere but to the configured host."""
    away = Reply("", 302, headers={"Location": "http://127.0.0.2:9/api/v5/market/candles"})
    with okx(away) as (source, market, _), pytest.raises(SourceError):
        source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)
    assert len(market.asked) == 1


def test_the_host_guard_stops_a_request_that_ccxt_would_send_elsewhere() -> None:
    """Sandbox mode or a changed address table cannot lead away from the configured host."""
    with okx() as (source, market, _):
        client = source._client
        client.urls = {**client.urls, "api": {"rest": "https://www.okx.com"}}
        with pytest.raises(SafetyError, match=r"https://www.okx.com/api/v5/market/candles.* was stopped, allowed is 127.0.0.1"):
            source.candles(BTC, "1h", NOW - 10 * HOUR, NOW)
    assert market.asked == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"region": "mars"}, "exchange.region=mars has no host; known are eea, global, us"),
        ({"hosts": {"global": "http://www.okx.com"}}, "must be an https address"),
        ({"page_bars": 301}, "less than or equal to 300"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"speed": 1}, "speed"),
    ],
)
def test_wrong_settings_are_refused_before_any_request(changed: dict[str, Any], told: str) -> None:
    """D34: the region's host is chosen by name, and only among those that are configured."""
    settings = {key: value for key, value in yaml.safe_load(SHIPPED.read_text()).items() if key != "kind"}
    with pytest.raises((ValidationError, TypeError), match=told):
        OkxSource(**{**settings, **changed}, clock=Stopped())


def test_symbols_and_timeframes_that_okx_does_not_have() -> None:
    assert [instrument_id(symbol) for symbol in (BTC, "BTC/USDT", "BTC/USD:BTC")] == ["BTC-USDT-SWAP", "BTC-USDT", "BTC-USD-SWAP"]
    with pytest.raises(ConfigError, match="symbol 'BTC' is not of the form"):
        instrument_id("BTC")
    with okx() as (source, _, _), pytest.raises(ConfigError, match="timeframe '45m' is not one of OKX's: 1m 3m"):
        source.candles(BTC, "45m", 0, NOW)


def test_an_import_from_okx_is_idempotent_and_resumes(tmp_path: Path) -> None:
    """D40, D45: candles and funding into a database; a second call changes nothing and asks for what is new alone."""
    service = DataService(f"sqlite:///{tmp_path / 'market.db'}")
    service.upgrade()
    with okx() as (source, market, _):
        first = ingest(service, source, [BTC], ["1h", "8h"], NOW - 10 * DAY, NOW)
        market.asked.clear()
        second = ingest(service, source, [BTC], ["1h", "8h"], NOW - 10 * DAY, NOW)
    assert [(r.timeframe, r.made_of, r.rows, r.inserted) for r in first] == [
        ("1h", "1h", 239, 239),
        ("8h", "4h", 29, 29),
        ("funding",) * 2 + (30,) * 2,
    ]
    assert [(r.inserted, r.changed) for r in second] == [(0, 0)] * 3
    assert all(int(query["limit"]) <= 2 for path, query in market.asked if path == "market/candles")
    service.close()


def test_recorded_replies_are_read(shared_data: Path) -> None:
    """C3: payloads as other projects keep them."""
    candles = json.loads((shared_data / "okx_responses/nautilus/http_get_candlesticks_full.json").read_text())
    funding = json.loads((shared_data / "okx_responses/nautilus/http_get_funding_rate_history.json").read_text())
    with okx(Reply(json.dumps(candles)), Reply(json.dumps(funding))) as (source, _, _):
        bars = source.candles(BTC, "1m", 1_747_093_980_000, NOW)
        paid = source.funding(BTC, 1_704_038_400_000, NOW)
    assert (bars.ts.tolist(), bars.volume.tolist()) == ([1_747_093_980_000, 1_747_094_040_000], [71.6404, 10.4037])
    assert (paid.ts.tolist(), paid.rate.tolist()) == ([1_704_038_400_000, 1_704_067_200_000], [-0.00002, 0.00015])
