"""A position's stop and take at the exchange: there, of the right size and levels, once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isnan

from alpha_arena.core.accounting import tidy
from alpha_arena.core.types import Position
from alpha_arena.core.venue import OrderRejected, OutcomeUnknown, Protection, TryAgain
from alpha_arena.data.live_ledger import Claim
from alpha_arena.execution.tracker import Tracker, attached_id, exact

# of the time within which a position is protected, so much for the protection that its entry carries
AWAITED = 0.25


def fits(found: Protection, position: Position) -> bool:
    """Whether a protective order closes the whole position at its levels."""
    sized = found.quantity is None or tidy(float(found.quantity)) == -position.quantity
    return sized and found.stop == exact(position.stop) and found.take == exact(position.take)


class Guard:
    """Keeps protective orders as positions need them. It touches those of its own claims alone.

    Args:
        tracker: whose exchange and ledger it uses.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.venue, self.ledger, self.ask = tracker, tracker.venue, tracker.ledger, tracker.ask

    def keep(self, symbol: str, position: Position, ended: Collection[str] = ()) -> str:
        """Make the exchange protect a position as it is; of a flat one, take protection away.

        A new protective order is placed and read back before an old one is canceled.

        Args:
            ended: orders whose end is about to be booked: what they carried is not waited for.

        Returns:
            "" where it is protected or has no levels, else why it could not be: then it must be closed.
        """
        if not position.quantity:
            # one that an entry carries may be there before the position is told
            awaited = {one.order.id for one in self.ledger.tracked()} - {*ended}
            mine, claims = self._mine(symbol), self.ledger.claims(symbol)
            self._cancel(symbol, [one for one in mine if claims[one.client_id].client_order_id not in awaited])
            return ""
        if isnan(position.stop) and isnan(position.take):
            return ""
        mine = self._mine(symbol, awaited=position)
        right = next((one for one in reversed(mine) if fits(one, position)), None)
        why = ""
        if right is None:
            right, why = self._renewed(symbol, position)
        if right is None:
            return why
        self.ledger.claim_is(right.client_id, "LIVE")
        self._cancel(symbol, [one for one in mine if one.algo_id != right.algo_id])
        return ""

    def _mine(self, symbol: str, awaited: Position | None = None) -> list[Protection]:
        """Own live ones, oldest first; the one that a filled entry carries may need a moment to appear."""
        claims = self.ledger.claims(symbol)
        expected = awaited is not None and any(self._carried(claim, awaited) for claim in claims.values())
        pace = self.tracker.pace
        for n in range(pace.within(pace.protect_s * AWAITED) if expected else 1):
            if n:
                self.tracker.wait(pace.pause_s)
            told = self.ask(lambda: self.venue.protections(symbol))
            claims = self._claimed_again(symbol, claims, told)
            live = [one for one in told if one.client_id in claims]
            if awaited is None or any(fits(one, awaited) for one in live):
                break
        return sorted(live, key=lambda one: (one.created_ms, one.algo_id))

    def _claimed_again(self, symbol: str, claims: dict[str, Claim], told: Sequence[Protection]) -> dict[str, Claim]:
        """The claims, and those that a ledger restored from a copy has lost."""
        unknown = [one for one in told if one.client_id and one.client_id not in claims]
        carried = {attached_id(each.order.id): each.order.id for each in self.ledger.entries(symbol)} if unknown else {}
        for one in unknown:
            self.ledger.claim_again(one, carried.get(one.client_id, ""), self.tracker.clock.now_ms())
        return self.ledger.claims(symbol) if unknown else claims

    @staticmethod
    def _carried(claim: Claim, position: Position) -> bool:
        """Whether an entry carries a protection that fits and has not been seen yet."""
        same = exact(claim.stop) == exact(position.stop) and exact(claim.take) == exact(position.take)
        return bool(claim.client_order_id) and claim.state == "INTENT" and same and tidy(claim.quantity) == -position.quantity

    def _renewed(self, symbol: str, position: Position) -> tuple[Protection | None, str]:
        why, pace = "", self.tracker.pace
        for n in range(pace.within(pace.protect_s * (1 - AWAITED))):
            if n:
                self.tracker.wait(pace.pause_s)
            placed, why = self._place(symbol, position)
            if placed is not None:
                return placed, ""
        return None, why

    def _place(self, symbol: str, position: Position) -> tuple[Protection | None, str]:
        """Place one and read it back; the exchange's answer to the placing alone is not believed."""
        quantity, why = -position.quantity, "it is not found after it was placed"
        claim = self.ledger.claim(symbol, quantity, position.stop, position.take, self.tracker.clock.now_ms())
        try:
            self.venue.protect(symbol, claim.client_id, exact(quantity) or 0, exact(position.stop), exact(position.take))  # type: ignore[arg-type]
        except (OrderRejected, TryAgain) as error:
            self.ledger.claim_is(claim.client_id, "FAILED")
            return None, str(error)
        except OutcomeUnknown as error:
            why = str(error)
        found = self.ask(lambda: self.venue.protection(symbol, claim.client_id))
        # one that is effective at once closes the position already
        if found is not None and (found.state == "effective" or (found.state == "live" and fits(found, position))):
            return found, ""
        return None, why

    def _cancel(self, symbol: str, old: list[Protection]) -> None:
        if not old:
            return
        try:
            self.ask(lambda: self.venue.unprotect(symbol, [one.algo_id for one in old]))
        except (OutcomeUnknown, TryAgain):  # looked at again with the next poll; each may only reduce
            return
        for one in old:
            self.ledger.claim_is(one.client_id, "DONE")
