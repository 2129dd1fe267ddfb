"""The accounts of the embedded exchange: who has what, and what it is worth now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from hashlib import sha256
from typing import Any

from alpha_arena.core.types import Instrument
from alpha_arena.exchange.embedded import margin
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import DEFAULT_LEVER, Profile, SwapContract, contract
from alpha_arena.exchange.embedded.feed import Feed, Point
from alpha_arena.exchange.embedded.money import Cashier, Numbers
from alpha_arena.exchange.embedded.points_play import exact
from alpha_arena.exchange.embedded.state import ZERO, Client, Holding

FIRST_CODE = 10459
SECRETS = ("secret", "passphrase", "api_key")


class Accounts:
    """Accounts by API key, and the contracts and prices that they are counted in.

    Args:
        as of EmbeddedExchange.
    """

    def __init__(self, feed: Feed, clock: SimClock, instruments: Iterable[Instrument], profile: Profile, seed: int) -> None:
        self.feed, self.clock, self.profile, self.seed = feed, clock, profile, seed
        numbered = enumerate(instruments, FIRST_CODE)
        made = [contract(one, number, profile.costs.maintenance_margin) for number, one in numbered]
        self.contracts: dict[str, SwapContract] = {each.inst_id: each for each in made}
        self.clients: dict[str, Client] = {}
        self.cashier = Cashier(self.contracts, Numbers(seed), profile.maker, profile.taker, profile.fills_lag_ms, profile.spec)

    def add_client(self, name: str, cash: Decimal = Decimal(10_000), keys: tuple[str, str, str] | None = None) -> Client:
        """Open an account; one that exists is left as it is.

        Args:
            cash: first deposit, quote currency. keys: api key, secret, passphrase; None: made from seed and name.
        """
        known = next((client for client in self.clients.values() if client.name == name), None)
        if known:
            return known
        key, secret, passphrase = keys or derived_keys(self.seed, name)
        uid = str(int(sha256(f"{self.seed} {name}".encode()).hexdigest()[:14], 16))
        client = self.clients[key] = Client(name, uid, key, secret, passphrase)
        self.deposit(client, cash)
        return client

    def deposit(self, client: Client, amount: Decimal) -> None:
        """Money comes in."""
        self.cashier.deposit(client, amount, self.clock.now_ms())

    def now(self, inst_id: str) -> Point:
        """The newest point of trading."""
        return self.feed.price(inst_id, self.clock.now_ms())

    def last(self, inst_id: str) -> Decimal:
        """The traded price now, quote currency."""
        return exact(self.now(inst_id).last)

    def mark(self, inst_id: str) -> Decimal:
        """The mark price now, quote currency."""
        return exact(self.now(inst_id).mark)

    def leverage(self, client: Client, inst_id: str, mgn_mode: str) -> Decimal:
        """Of new orders."""
        return client.levers.get((inst_id, mgn_mode), DEFAULT_LEVER)

    def equity(self, client: Client) -> Decimal:
        """Cash and unrealised profit at the mark price."""
        return client.cash + sum((self.upl(held) for held in client.holdings.values() if held.pos), ZERO)

    def available(self, client: Client) -> Decimal:
        """What a new order may use."""
        held = [each for each in client.holdings.values() if each.pos]
        crossed = sum((self.upl(each) for each in held if each.mgn_mode == "cross"), ZERO)
        return client.cash + crossed - sum((self.initial_margin(each) for each in held), ZERO) - self.frozen(client)

    def frozen(self, client: Client) -> Decimal:
        """Margin of pending orders."""
        pending = [order for order in client.orders.values() if order.open]
        return sum(
            (margin.of_order(each, self.contracts[each.inst_id], self.mark(each.inst_id), self.profile.taker) for each in pending), ZERO
        )

    def upl(self, holding: Holding) -> Decimal:
        """Unrealised profit at the mark price."""
        return margin.upl(holding, self.contracts[holding.inst_id], self.mark(holding.inst_id))

    def initial_margin(self, holding: Holding) -> Decimal:
        """Margin that it holds."""
        return margin.initial(holding, self.contracts[holding.inst_id], self.mark(holding.inst_id))

    def maintenance(self, holding: Holding) -> Decimal:
        """Margin below which it is liquidated."""
        return margin.maintenance(holding, self.contracts[holding.inst_id], self.mark(holding.inst_id))

    def liquidation_px(self, holding: Holding) -> Decimal | None:
        """Mark price at which it is liquidated."""
        key = (holding.inst_id, holding.mgn_mode)
        owner = next(client for client in self.clients.values() if key in client.holdings and client.holdings[key].pos_id == holding.pos_id)
        rules = self.contracts[holding.inst_id]
        found = margin.liquidation_px(holding, rules, self.profile.taker, margin.free(owner))
        return rules.ticks(float(found)) if found is not None else None

    def dump(self) -> tuple[bytes, str]:
        """The ledger as canonical JSON without secrets, and its SHA-256."""
        accounts = [told(client) for client in sorted(self.clients.values(), key=lambda client: client.name)]
        content = json.dumps({"seed": self.seed, "accounts": accounts}, default=str, sort_keys=True, separators=(",", ":")).encode()
        return content, sha256(content).hexdigest()


def derived_keys(seed: int, name: str) -> tuple[str, str, str]:
    """Keys that are the same for the same seed and name; good on loopback alone."""
    digest = sha256(f"embedded {seed} {name}".encode()).hexdigest()
    return f"demo-{digest[:24]}", digest[24:56], digest[56:]


def told(client: Client) -> Mapping[str, Any]:
    """An account without its secrets."""
    rows = {key: value for key, value in asdict(client).items() if key not in SECRETS}
    rows["levers"] = {"|".join(key): str(value) for key, value in client.levers.items()}
    rows["holdings"] = {"|".join(key): asdict(held) for key, held in client.holdings.items()}
    return rows
