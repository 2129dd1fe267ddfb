"""From one composed configuration to Settings: everything is checked and built here, before any I/O."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alpha_arena.backtest.space import Template
from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.core.ports import RegimeModel, RiskRule, Strategy
from alpha_arena.core.types import Instrument
from alpha_arena.exchange.accounts import FILE_NAME
from alpha_arena.settings.arena import arena_of
from alpha_arena.settings.components import TARGET, Builder, refuse_bad_values
from alpha_arena.settings.compose import Composed, Plain, option, options
from alpha_arena.settings.environment import masked
from alpha_arena.settings.gates import Asked, Environment, gate, switch
from alpha_arena.settings.laboratory import Check, Cluster, Probe, Sweep, Verify, WalkForward
from alpha_arena.settings.model import (
    Action,
    Contract,
    DataAction,
    Database,
    DatabaseAction,
    ExchangeChoice,
    ExecutorChoice,
    Loop,
    Monitor,
    NamedDecider,
    OkxChoice,
    Schedule,
    Settings,
    SimulatedChoice,
    TraderChoice,
    Values,
    folder_beside,
)
from alpha_arena.settings.models import providers
from alpha_arena.settings.parameters import fields_of
from alpha_arena.settings.window import checked_timeframe, checked_window

ACTIONS: Mapping[str, type[Action]] = {
    "data": DataAction,
    "db": DatabaseAction,
    "loop": Loop,
    "walkforward": WalkForward,
    "verify": Verify,
    "check": Check,
    "probe": Probe,
}
SOURCES = {
    "embedded": "alpha_arena.exchange.embedded_source.EmbeddedSource",
    "file": "alpha_arena.exchange.file.FileSource",
    "okx": "alpha_arena.exchange.okx.OkxSource",
    "synthetic": "alpha_arena.exchange.generated.GeneratedSource",
}
EXECUTORS: Mapping[str, type[ExecutorChoice]] = {"simulated": SimulatedChoice, "okx": OkxChoice}
LEDGER_NAME = "embedded.db"
# what shapes a trader's decisions
TRADED = ("symbols", "timeframe", "strategies", "decision", "regime", "risk", "costs", "executor")
HASHED = (*TRADED, "llm", "trader", "initial_capital", "equity", "window")
# where a model lies and what is kept of it shape no decision
UNHASHED = ("base_url", "cache", "credential")


class Never:
    """A clock for components that are built only to be checked."""

    def now_ms(self) -> int:
        """The epoch."""
        return 0


@dataclass(frozen=True)
class Parts:
    """The pieces of Settings, each made of its node.

    Attributes:
        overrides: of the command line, as given.
    """

    composed: Composed
    command: str
    overrides: tuple[str, ...]

    @cached_property
    def build(self) -> Builder:
        """The builder of this configuration's components."""
        return Builder(self.composed)

    @property
    def plain(self) -> Plain:
        """The resolved configuration."""
        return self.composed.plain

    @cached_property
    def values(self) -> Values:
        """The top level's values."""
        nodes = {name: value for name, value in self.plain.items() if name in fields_of(Values)}
        return self.build.make(Values, nodes, "")

    @cached_property
    def symbols(self) -> tuple[Instrument, ...]:
        """The contracts that are traded, in the order given, each once."""
        names = self.values.symbols
        if names is None:
            return (self._contract(self.plain["symbol"]),)
        if not names:
            raise ConfigError("symbols=[] is empty; name at least one, such as symbols=[btc,eth]")
        if self._given("symbol"):
            raise ConfigError("symbol= is the short form of symbols=[...]; give one of the two")
        return tuple(self._contract(option(self.composed.folders, "symbol", name)) for name in dict.fromkeys(names))

    def _contract(self, node: Any) -> Instrument:
        return self.build.make(Contract, node, "symbol").instrument()

    def _given(self, prefix: str) -> list[str]:
        """Overrides of a key or group and of what lies below it."""
        keys = (text.lstrip("+~").partition("=")[0] for text in self.overrides)
        return [key for key in keys if key == prefix or key.startswith(f"{prefix}.")]

    @cached_property
    def enabled(self) -> list[str]:
        """Names of the enabled strategies."""
        names = self.plain["decision"].get("strategies") if isinstance(self.plain["decision"], Mapping) else None
        if not isinstance(names, list) or not names:
            raise ConfigError(f"decision.strategies={names} is not a list of strategies; give at least one, such as [ema_trend,breakout]")
        known = options(self.composed.folders, "strategy")
        for name in names:
            if name not in known:
                raise UnknownName("strategy", str(name), known)
        return list(dict.fromkeys(names))

    def strategy_nodes(self) -> dict[str, Plain]:
        """Parameters by strategy: of the chosen one those under strategy, of the others their file's, with strategies.NAME on top."""
        own, chosen = self.plain["strategies"], self.composed.choices.get("strategy")
        for name in own:
            if name not in self.enabled:
                raise UnknownName("enabled strategy under strategies.", name, self.enabled)
        files = {n: self.plain["strategy"] if n == chosen else option(self.composed.folders, "strategy", n) for n in self.enabled}
        return {name: {**node, **own.get(name, {})} for name, node in files.items()}

    def strategies(self) -> dict[str, Strategy]:
        """The enabled strategies by name."""
        nodes, chosen = self.strategy_nodes(), self.composed.choices.get("strategy")
        if chosen not in nodes and (given := [key for key in self._given("strategy") if key != "strategy"]):
            raise ConfigError(
                f"{given[0]} has no effect: {chosen} is not enabled here ({', '.join(nodes)}); use strategies.NAME.PARAMETER="
            )
        for node in nodes.values():
            self.build.check_targets(node, "strategy")
        return {n: self.build.component(node, "strategy" if n == chosen else f"strategies.{n}") for n, node in nodes.items()}

    def decider(self, strategies: Mapping[str, Strategy]) -> NamedDecider:
        """The decider over these strategies."""
        given: Plain = {"leverages": {name: strategy.max_leverage for name, strategy in strategies.items()}}
        if self.asks_a_model:
            first, others = providers(self.build, self.composed.folders, self.plain["llm"])
            given |= {"model": first, "fallbacks": others, "known": options(self.composed.folders, "strategy"), "adviser": None}
        made: NamedDecider = self.build.component({**self.plain["decision"], "strategies": list(strategies)}, "decision", **given)
        return made

    @cached_property
    def asks_a_model(self) -> bool:
        """Whether the decider is one that is given a model."""
        node = self.plain["decision"]
        return isinstance(node, Mapping) and TARGET in node and "model" in fields_of(self.build.found(node, "decision"))

    def rules(self) -> tuple[RiskRule, ...]:
        """Risk rules in their order."""
        node = self.plain["risk"]
        if not isinstance(node, Mapping) or set(node) != {"rules"} or not isinstance(node["rules"], Mapping):
            raise ConfigError(f"risk={node} is not a mapping with the one key `rules`; see conf/risk/default.yaml")
        return tuple(self.build.component(rule, f"risk.rules.{name}") for name, rule in node["rules"].items())

    def exchange(self) -> ExchangeChoice | None:
        """The chosen source, built once to be checked."""
        node = self.plain.get("exchange")
        if node is None:
            return None
        if "kind" not in node:
            raise ConfigError(f"exchange.{next(iter(node), '')} is given but no exchange; add one of {_options(self, 'exchange')}")
        kind = node["kind"]
        if kind not in SOURCES:
            raise UnknownName("exchange.kind", str(kind), SOURCES)
        own = self._beside_the_database(node) if kind == "embedded" else {}
        values = {key: value for key, value in {**node, **own}.items() if key != "kind"}
        found = self.build.component({"_target_": SOURCES[kind], **values}, "exchange", clock=Never())
        params = {key: value for key, value in values.items() if key != "name"}
        return ExchangeChoice(node["name"], kind, params, type(found))

    def _beside_the_database(self, node: Plain) -> Plain:
        folder = folder_beside(self.node(Database, "database").url)
        files = {"accounts_file": folder / FILE_NAME, "ledger": folder / LEDGER_NAME}
        return {key: str(file) for key, file in files.items() if node.get(key, "") is None}

    def executor(self) -> ExecutorChoice:
        """Where orders go."""
        kind = self._mapping("executor").get("kind")
        if kind not in EXECUTORS:
            raise UnknownName("executor.kind", str(kind), EXECUTORS)
        made: ExecutorChoice = self.node(EXECUTORS[str(kind)], "executor")
        return made

    def environment(self) -> Environment:
        """Where orders may go, by the rules that guard money."""
        exchange = self.plain.get("exchange")
        asked = Asked(
            command=self.command,
            executor=self.executor().kind,
            exchange=str(exchange["kind"]) if exchange else "",
            rules=bool(self.rules()),
            trading=switch(os.environ, "TRADING_ENABLED", False),
            demo=switch(os.environ, "OKX_IS_DEMO", True),
            confirmed=self.values.confirm_live,
            overrides=self.overrides,
        )
        return gate(asked)

    def action(self) -> Action | None:
        """What data, db or loop are to do."""
        kind = ACTIONS.get(self.command)
        return self.build.make(kind, self.plain[self.command], self.command) if kind else None

    def search(self) -> Sweep | None:
        """The space of a sweep or walk-forward."""
        return self.build.make(Sweep, self._mapping("sweep"), "sweep") if self.plain.get("sweep") is not None else None

    def templates(self, search: Sweep | None) -> dict[str, Template]:
        """The strategies of a search by name; of those that are enabled the overridden values hold.

        Raises:
            UnknownName: no such strategy.
        """
        own = self.strategy_nodes()
        nodes = {name: own.get(name) or option(self.composed.folders, "strategy", name) for name in (search.strategies if search else ())}
        for name, node in nodes.items():
            self.build.component(node, f"strategies.{name}")
        return {
            name: Template(self.build.found(node, name), {k: v for k, v in node.items() if k != TARGET}) for name, node in nodes.items()
        }

    def cluster(self) -> Cluster | None:
        """Where a search runs."""
        return self.build.make(Cluster, self._mapping("ray"), "ray") if "ray" in self.plain else None

    def node(self, kind: type, name: str) -> Any:
        """A checked node without a `_target_`."""
        return self.build.make(kind, self._mapping(name), name)

    def _mapping(self, name: str) -> Plain:
        value = self.plain[name]
        if not isinstance(value, dict):
            raise ConfigError(f"{name}={value} is not a mapping of keys; choose one of {', '.join(options(self.composed.folders, name))}")
        return value

    def resolved(self) -> Plain:
        """The whole configuration with what was read beside it, secrets masked."""
        strategies = {"strategies": self.strategy_nodes(), "symbols": [instrument.symbol for instrument in self.symbols]}
        shown: Plain = masked({**self.plain, **strategies})
        if not self.asks_a_model:
            shown.pop("llm", None)
        return shown

    def check_known(self) -> None:
        """No top-level key may be left that nothing reads."""
        read = {"symbol", "exchange", "strategy", "strategies", "regime", "decision", "llm", "risk", "executor", "costs", "database"}
        known = read | {"schedule", "monitor", "arena", "trader", "experiment", "sweep", "ray", self.command} | set(fields_of(Values))
        for name in self.plain:
            if name not in known:
                raise UnknownName("key", name, known)


def _options(parts: Parts, group: str) -> str:
    return " ".join(f"{group}={name}" for name in options(parts.composed.folders, group))


def config_hash(resolved: Mapping[str, Any]) -> str:
    """SHA-256 of the parts of a configuration that shape a trader's decisions."""
    own = {name: resolved.get(name) for name in HASHED if name != "llm" or name in resolved}
    if "llm" in own:
        own["llm"] = {name: value for name, value in resolved["llm"].items() if name not in UNHASHED}
    text = json.dumps(own, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def build(composed: Composed, command: str, overrides: Sequence[str], traders: Sequence[Settings] = ()) -> Settings:
    """Check and build everything.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    parts = Parts(composed, command, tuple(overrides))
    parts.check_known()
    refuse_bad_values(composed.plain)
    parts.build.check_targets(composed.plain)
    return _settings(parts, tuple(traders))


def _settings(parts: Parts, traders: tuple[Settings, ...]) -> Settings:
    values, strategies = parts.values, parts.strategies()
    start_ms, end_ms = checked_window(values.start, values.end)
    regime: RegimeModel = parts.build.component(parts.plain["regime"], "regime")
    costs: Costs = parts.build.component(parts.plain["costs"], "costs")
    resolved, search = parts.resolved(), parts.search()
    return Settings(
        command=parts.command,
        symbols=parts.symbols,
        timeframe=checked_timeframe(values.timeframe),
        exchange=parts.exchange(),
        strategies=strategies,
        decider=parts.decider(strategies),
        rules=parts.rules(),
        regime=regime,
        costs=costs,
        executor=parts.executor(),
        environment=parts.environment(),
        order_sync=values.order_sync,
        policy=values.policy,
        reason=values.reason,
        trader=parts.node(TraderChoice, "trader").id,
        arena=arena_of(parts.composed),
        traders=traders,
        initial_capital=values.initial_capital,
        equity=values.equity,
        database_url=parts.node(Database, "database").url,
        outputs=Path(values.outputs).expanduser(),
        start_ms=start_ms,
        end_ms=end_ms,
        limit=values.limit,
        window=values.window,
        detail=None if values.detail is None else checked_timeframe(values.detail, "detail"),
        seed=values.seed,
        report=values.report,
        schedule=parts.node(Schedule, "schedule"),
        monitor=parts.node(Monitor, "monitor"),
        timeframes=tuple(checked_timeframe(name, "timeframes") for name in dict.fromkeys(values.timeframes or ())),
        since_days=values.since_days,
        on=values.on,
        plugins=parts.composed.folders.plugins,
        action=parts.action(),
        search=search,
        templates=parts.templates(search),
        cluster=parts.cluster(),
        confirm=values.confirm,
        most_calls=values.most_calls,
        resolved=resolved,
        overrides=parts.overrides,
        config_hash=config_hash(resolved),
    )
