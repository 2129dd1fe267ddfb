"""What happened to an account, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alpha_arena.core.records import Booking
from alpha_arena.core.types import Fill, Payment


def timeline(bookings: Iterable[Booking]) -> Iterator[Fill | Payment]:
    """Fills and payments of bars in ascending order: within a bar first the funding carried in, then fills, then the funding inside it."""
    for booking in bookings:
        yield from (payment for payment in booking.payments if payment.ts <= booking.ts)
        yield from booking.fills
        yield from (payment for payment in booking.payments if payment.ts > booking.ts)
