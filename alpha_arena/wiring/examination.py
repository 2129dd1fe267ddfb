"""What `doctor` asks an account at an exchange (faults A13, A15, B6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from alpha_arena.core.ports import Clock
from alpha_arena.core.types import Instrument
from alpha_arena.core.venue import AccountConfig, ContractRules, ExchangePosition, Protection, Venue, VenueRefused
from alpha_arena.wiring.findings import Finding, is_refused, tried

SIGNATURE_MS = 30_000
SKEW_MS = 5_000
WITHDRAW = "withdraw"
TRADE = "trade"
SPOT_ONLY = 1


@dataclass(frozen=True, slots=True)
class Examination:
    """An account and what it is to be used for.

    Attributes:
        leverage: of the positions. clock: by which requests are signed. speed: simulated seconds a wall second.
        private: whether there are keys; without them only what is public is asked. common: whether to ask what is the same for all traders.
    """

    trader: str
    venue: Venue
    instruments: Sequence[Instrument]
    leverage: float
    clock: Clock
    speed: float = 1.0
    private: bool = True
    common: bool = True

    def findings(self) -> list[Finding]:
        """Everything, one finding or more for each check; nothing more is asked of an account that is refused."""
        made = [*tried("clock", self.skew), *tried("account", self.account)]
        made += tried("maintenance", self.maintenance) if self.common else []
        for instrument in self.instruments:
            made += tried("instrument", partial(self.rules, instrument))
        if not is_refused(made):
            made += [*tried("balance", self.balance), *tried("positions", self.positions)]
            for instrument in self.instruments:
                made += tried("leverage", partial(self.levers, instrument))
        return [replace(one, trader=self.trader) for one in made]

    def skew(self) -> Iterator[Finding]:
        """How far the clocks are apart, ms of wall time."""
        away_ms = (self.clock.now_ms() - self.venue.time_ms()) / max(self.speed, 1.0)
        said = f"this clock is {away_ms / 1000:+.1f} s from the exchange's"
        severity = "error" if abs(away_ms) > SIGNATURE_MS else "warning" if abs(away_ms) > SKEW_MS else "ok"
        yield Finding(severity, "clock", said, "" if severity == "ok" else "set this computer's clock (NTP)")  # type: ignore[arg-type]

    def account(self) -> Iterator[Finding]:
        """Permissions, position mode and account level."""
        if not self.private:
            yield Finding("unchecked", "account", "only what is public was asked", "set the keys, and run doctor again")
            return
        found = self.venue.config()
        yield from permissions(found)
        yield position_mode(found, not found.net and self._busy())
        if found.level <= SPOT_ONLY:
            yield Finding("error", "account level", "spot mode holds no swaps", "choose futures mode in OKX's settings")

    def _busy(self) -> bool:
        """Whether anything is held or rests, which keeps the exchange from changing the position mode."""
        try:
            held = any(one.quantity for one in self.venue.positions())
        except VenueRefused:  # a position that is not netted
            return True
        return held or any(self.venue.open_orders(one.symbol) for one in self.instruments)

    def maintenance(self) -> Iterator[Finding]:
        """What is shut now."""
        said = self.venue.maintenance()
        fix = "wait until it is over; nothing new is opened meanwhile"
        yield Finding("warning", "maintenance", said, fix) if said else Finding("ok", "maintenance", "none is under way")

    def balance(self) -> Iterator[Finding]:
        """Whether there is anything to trade with."""
        found = self.venue.balance()
        said = f"equity {found.equity:.2f}, available {found.available:.2f} quote"
        empty = found.equity <= 0
        yield Finding("error" if empty else "ok", "balance", said, "transfer funds to the trading account" if empty else "")

    def positions(self) -> Iterator[Finding]:
        """Whether each position has a stop at the exchange."""
        held = [one for one in self.venue.positions() if one.quantity]
        for one in held:
            yield protected(one, self.venue.protections(one.symbol))
        if not held:
            yield Finding("ok", "positions", "flat")

    def rules(self, instrument: Instrument) -> Iterator[Finding]:
        """Whether conf/symbol says what the exchange says."""
        wrong = list(differences(instrument, self.venue.rules(instrument.symbol)))
        for said, fix in wrong:
            yield Finding("error", "instrument", said, fix, symbol=instrument.symbol)
        if not wrong:
            yield Finding("ok", "instrument", f"lot, tick and contract size of {instrument.as_of} hold", symbol=instrument.symbol)

    def levers(self, instrument: Instrument) -> Iterator[Finding]:
        """Whether the account's leverage is that of the strategies."""
        at, wanted = self.venue.leverage(instrument.symbol), Decimal(str(self.leverage))
        said = f"{at:f} x at the exchange, {wanted:f} x in the configuration"
        fix = "none is needed: it is set before the first order" if at != wanted else ""
        yield Finding("info" if at != wanted else "ok", "leverage", said, fix, symbol=instrument.symbol)


def permissions(found: AccountConfig) -> Iterator[Finding]:
    """Keys may trade and must not withdraw."""
    rights = ", ".join(sorted(found.permissions)) or "none"
    if WITHDRAW in found.permissions:
        yield Finding("error", "permissions", f"the key may {rights}", "make a key without the right to withdraw, and delete this one")
    elif TRADE not in found.permissions:
        yield Finding("error", "permissions", f"the key may only {rights}", "make a key with the right to trade")
    else:
        yield Finding("ok", "permissions", f"account {found.uid}: {rights}")


def position_mode(found: AccountConfig, busy: bool) -> Finding:
    """Positions are netted, or will be: `execution.live.prepare` sets the mode, which an exchange refuses while anything is open."""
    if found.net:
        return Finding("ok", "position mode", "net")
    if not busy:
        return Finding("info", "position mode", "long/short, and nothing is open", "none is needed: net is set before the first order")
    said = "long/short, and it cannot be changed to net while anything is open"
    return Finding("error", "position mode", said, "close all positions and cancel all orders; net is set before the first order")


def protected(position: ExchangePosition, live: Sequence[Protection]) -> Finding:
    """Whether a position would be closed by a stop at the exchange."""
    said = f"{position.quantity:+f} at {position.entry:f}"
    if any(one.stop is not None and one.state == "live" for one in live):
        return Finding("ok", "positions", f"{said}, with a stop", symbol=position.symbol)
    fix = "run alpha-arena sync executor=okx, or close it at the exchange"
    return Finding("error", "positions", f"{said}, without a stop at the exchange", fix, symbol=position.symbol)


def differences(instrument: Instrument, rules: ContractRules) -> Iterator[tuple[str, str]]:
    """What conf/symbol says otherwise than the exchange, each with its fix."""
    for name in ("contract_size", "lot", "tick"):
        ours, theirs = Decimal(str(getattr(instrument, name))), getattr(rules, name)
        if ours != theirs:
            said = f"{name} is {theirs:f} at the exchange and {ours:f} in conf/symbol (of {instrument.as_of})"
            yield said, f"set {name}: {theirs:f} in conf/symbol, and its date"
    if Decimal(str(instrument.max_leverage)) > rules.max_leverage:
        said = f"max_leverage is {rules.max_leverage:f} at the exchange and {instrument.max_leverage:g} in conf/symbol"
        yield said, f"set max_leverage: {rules.max_leverage:f} in conf/symbol, and its date"
    if rules.state != "live":
        yield f"its state is {rules.state}", "wait until it is tradable again, or trade another symbol"
