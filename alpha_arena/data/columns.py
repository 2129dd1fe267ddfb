"""Column types of the ledger."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

# SQLite numbers rows by itself for INTEGER only
Serial = BigInteger().with_variant(Integer(), "sqlite")


class Money(TypeDecorator[float]):
    """A float kept as the text of its shortest decimal, so that no digit is lost; NaN and infinity are NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None or not isfinite(value) else str(Decimal(repr(float(value))))

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        """From text."""
        return None if value is None else float(value)


def identity() -> Column[int]:
    """A row number."""
    return Column("id", Serial, primary_key=True, autoincrement=True)


def time_ms(name: str, **more: Any) -> Column[int]:
    """A time, ms since the epoch, UTC."""
    more.setdefault("nullable", False)
    return Column(name, BigInteger, **more)


def text(name: str, **more: Any) -> Column[str]:
    """A text, not null unless said."""
    more.setdefault("nullable", False)
    return Column(name, Text, **more)


def money(name: str, **more: Any) -> Column[float]:
    """An amount, quantity or price of the ledger."""
    return Column(name, Money, **more)
