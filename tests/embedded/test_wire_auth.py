"""Keys, signatures, times and limits of the embedded exchange's wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.exchange.embedded.auth import Signed, authenticated, signature
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.state import Client, Rejection

NOW = 1_795_414_682_791
TARGET = "/api/v5/account/balance?ccy=USDT"
CLIENT = Client("a", "1", "demo-a", "s", "p")


def signed(**changes: str) -> Signed:
    """A request that is right, but for the given headers; None takes one away."""
    stamp = changes.get("ok-access-timestamp", "2026-11-23T06:18:02.791Z")
    headers = {
        "ok-access-key": "demo-a",
        "ok-access-passphrase": "p",
        "ok-access-timestamp": stamp,
        "ok-access-sign": signature("s", stamp, "GET", TARGET, b""),
        "x-simulated-trading": "1",
    }
    return Signed("GET", TARGET, b"", headers | changes)


def ask(request: Signed, now_ms: int = NOW, speed: float = 1.0) -> str:
    """The code that a request gets, "0" where it is let in."""
    try:
        authenticated(request, {CLIENT.api_key: CLIENT}, now_ms, speed)
    except Rejection as rejection:
        return rejection.code
    return "0"


def test_the_signature_is_that_of_the_published_vector() -> None:
    made = signature("s", "2026-11-23T00:00:00.000Z", "GET", TARGET, b"")
    assert made == "uHasc5WxHVZbZZjmo7XeT4VA8l74Oc/20HXzrtCOn+g="


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("ok-access-key", "", "50103"),
        ("ok-access-passphrase", "", "50104"),
        ("ok-access-passphrase", "q", "50105"),
        ("ok-access-sign", "", "50106"),
        ("ok-access-timestamp", "", "50107"),
        ("ok-access-timestamp", "yesterday", "50112"),
        ("ok-access-timestamp", "2026-11-23T06:18:02.791", "50112"),
        ("ok-access-timestamp", "0001-01-01T00:00:00+23:59", "50102"),
        ("ok-access-timestamp", "2026-11-23T06:17:32.790Z", "50102"),
        ("ok-access-key", "demo-b", "50111"),
        ("x-simulated-trading", "", "50101"),
        ("ok-access-sign", "AAAA", "50113"),
        ("ok-access-sign", "ä", "50113"),
        ("ok-access-timestamp", "2026-11-23T06:17:32.791Z", "0"),
    ],
)
def test_the_first_wrong_header_decides(header: str, value: str, code: str) -> None:
    assert ask(signed(**{header: value})) == code


def test_several_wrong_headers_are_told_in_order() -> None:
    everything = dict.fromkeys(("ok-access-key", "ok-access-passphrase", "ok-access-sign", "ok-access-timestamp"), "")
    assert ask(signed(**everything)) == "50103"
    assert ask(signed(**(everything | {"ok-access-key": "demo-a"}))) == "50104"


def test_what_guards_against_real_delays_stretches_with_the_clock() -> None:
    late = NOW + 100 * 30_000
    assert ask(signed(), late, speed=100) == "0"
    assert ask(signed(), late + 1, speed=100) == "50102"
    assert ask(signed(), NOW + 30_001, speed=0.5) == "50102"


def test_a_permission_that_is_missing_is_told() -> None:
    client = Client("a", "1", "demo-a", "s", "p", perm="trade")
    with pytest.raises(Rejection, match="50120"):
        authenticated(signed(), {"demo-a": client}, NOW, 1.0)


@given(st.text(max_size=30))
def test_no_timestamp_breaks_the_reader(value: str) -> None:
    assert ask(signed(**{"ok-access-timestamp": value})) in ("50107", "50112", "50102", "0")


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_timestamp_is_read_to_the_millisecond(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    ms = int(at.timestamp()) * 1000 + at.microsecond // 1000
    request = signed(**{"ok-access-timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
    assert ask(request, ms + 30_000) == "0"
    assert ask(request, ms + 30_001) == "50102"


def test_a_window_slides() -> None:
    limits = Limits()
    for ms in (0, 500, 1_000):
        limits.take("a", 3, ms)
    limits.take("b", 3, 1_000)
    with pytest.raises(Rejection, match="50011"):
        limits.take("a", 3, 1_999)
    limits.take("a", 3, 2_000)
    with pytest.raises(Rejection, match="50011"):
        limits.take("a", 3, 2_001)
    limits.take("a", 3, 2_500)


def test_a_batch_counts_its_orders_and_a_refused_one_counts_for_nothing() -> None:
    limits = Limits()
    limits.take("a", 10, 0, count=8)
    with pytest.raises(Rejection, match="50061"):
        limits.take("a", 10, 1, count=3, code="50061")
    limits.take("a", 10, 1, count=2)


def test_limits_can_be_switched_off() -> None:
    limits = Limits(on=False)
    for _ in range(100):
        limits.take("a", 1, 0)
