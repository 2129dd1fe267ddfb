"""The rules of a simulated trade, sentence by sentence, on every engine that claims to keep them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from candle_tables import CASES, Case


def near(value: float | str) -> object:
    """The value, numbers to 1e-9."""
    return value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_candle_table(case: Case, engine: Callable[[Case], object]) -> None:
    """Trades, equity and quantities are the ones worked out by hand."""
    outcome = engine(case)
    assert len(outcome.trades) == len(case.trades), outcome.trades
    for trade, expected in zip(outcome.trades, case.trades, strict=True):
        assert {key: trade[key] for key in expected} == {key: near(value) for key, value in expected.items()}
    assert {row: outcome.equity[row] for row in case.equity} == pytest.approx(case.equity, rel=1e-9)
    assert {row: outcome.quantity[row] for row in case.quantity} == pytest.approx(case.quantity, rel=1e-9)
    assert outcome.assumed == case.assumed
