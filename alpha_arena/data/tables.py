"""The tables. Times are ms UTC, quantities base currency, amounts quote currency; ledger figures are decimal text, candles REAL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint

from alpha_arena.data.columns import identity, money, text, time_ms

NAMES = {"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"}
METADATA = MetaData(naming_convention=NAMES)
ROWID: dict[str, Any] = {"sqlite_with_rowid": False}


def real(name: str) -> Column[float]:
    """A double."""
    return Column(name, Float(53), nullable=False)


candles = Table(
    "candles",
    METADATA,
    text("exchange"),
    text("symbol"),
    text("timeframe"),
    time_ms("ts"),
    *(real(name) for name in ("open", "high", "low", "close", "volume")),
    PrimaryKeyConstraint("exchange", "symbol", "timeframe", "ts"),
    **ROWID,
)
candle_revisions = Table(
    "candle_revisions",
    METADATA,
    identity(),
    text("exchange"),
    text("symbol"),
    text("timeframe"),
    time_ms("ts"),
    text("old"),
    text("new"),
)
funding_rates = Table(
    "funding_rates",
    METADATA,
    text("exchange"),
    text("symbol"),
    time_ms("ts"),
    real("rate"),
    PrimaryKeyConstraint("exchange", "symbol", "ts"),
    **ROWID,
)
prices = Table(
    "prices",
    METADATA,
    text("exchange"),
    text("symbol"),
    time_ms("ts"),
    *(money(name) for name in ("last", "mark", "index_price", "bid", "ask")),
    PrimaryKeyConstraint("exchange", "symbol"),
)
instruments = Table(
    "instruments",
    METADATA,
    text("exchange"),
    text("symbol"),
    text("valid_from"),
    *(money(name) for name in ("lot", "tick", "contract_size", "max_leverage")),
    PrimaryKeyConstraint("exchange", "symbol", "valid_from"),
)
data_gaps = Table(
    "data_gaps",
    METADATA,
    text("exchange"),
    text("symbol"),
    text("timeframe"),
    time_ms("start_ts"),
    time_ms("end_ts"),
    Column("bars", Integer, nullable=False),
    text("kind"),
    PrimaryKeyConstraint("exchange", "symbol", "timeframe", "start_ts"),
)
ingest_runs = Table(
    "ingest_runs",
    METADATA,
    identity(),
    time_ms("started_ms"),
    text("exchange"),
    text("symbol"),
    text("timeframe"),
    *(Column(name, Integer, nullable=False) for name in ("inserted", "changed", "unchanged")),
    real("seconds"),
    text("report"),
)

decisions = Table(
    "decisions",
    METADATA,
    identity(),
    text("trader"),
    text("symbol"),
    text("timeframe"),
    time_ms("bar_ts"),
    time_ms("ts"),
    text("decider"),
    *(money(name) for name in ("wanted_exposure", "exposure", "stop", "take", "confidence", "equity", "price")),
    text("why"),
    text("regime"),
    text("regime_context"),
    text("refusals"),
    text("wanted"),
    text("held"),
    Column("forced", Boolean, nullable=False),
    text("config_hash"),
    Column("catch_up", Boolean, nullable=False),
    UniqueConstraint("trader", "symbol", "timeframe", "bar_ts"),
    Index("ix_decisions_trader_ts", "trader", "ts"),
)
strategy_allocations = Table(
    "strategy_allocations",
    METADATA,
    identity(),
    text("trader"),
    Column("decision_id", Integer, nullable=False, index=True),
    text("strategy_id"),
    *(money(name) for name in ("weight", "exposure", "regime_score", "performance_score")),
    text("reasoning"),
)
llm_calls = Table(
    "llm_calls",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    text("provider"),
    text("model"),
    text("prompt_sha256"),
    text("record"),
    money("cost_usd"),
    Index("ix_llm_calls_trader_ts", "trader", "ts"),
)
llm_answers = Table(
    "llm_answers",
    METADATA,
    text("key", primary_key=True),
    text("template_sha256"),
    time_ms("wall_ms", index=True),
    text("outcome"),
)
llm_spending = Table(
    "llm_spending",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    money("cost_usd"),
    Index("ix_llm_spending_trader_ts", "trader", "ts"),
)
outcomes = Table(
    "outcomes",
    METADATA,
    identity(),
    text("trader"),
    text("symbol"),
    Column("decision_id", Integer, nullable=False),
    *(time_ms(name) for name in ("bar_ts", "ts", "opened_ts")),
    time_ms("closed_ts", nullable=True),
    Column("horizon_bars", Integer, nullable=False),
    text("ended_by"),
    text("regime"),
    *(money(name) for name in ("exposure", "equity", "mark", "gross", "fees", "funding", "pnl", "return_")),
    text("parts"),
    UniqueConstraint("decision_id"),
    Index("ix_outcomes_trader_closed_ts", "trader", "closed_ts"),
)
orders = Table(
    "orders",
    METADATA,
    text("client_order_id", primary_key=True),
    text("trader"),
    text("exchange"),
    text("symbol"),
    text("kind"),
    *(money(name) for name in ("quantity", "price", "stop", "take", "filled", "average", "fee")),
    Column("reduce_only", Boolean, nullable=False),
    text("state"),
    text("cause"),
    time_ms("created_ts"),
    time_ms("updated_ts"),
    Index("ix_orders_trader_created_ts", "trader", "created_ts"),
)
order_lifecycle_events = Table(
    "order_lifecycle_events",
    METADATA,
    identity(),
    text("trader"),
    text("client_order_id"),
    time_ms("ts"),
    text("state"),
    text("cause"),
    UniqueConstraint("client_order_id", "ts", "state"),
)
trades = Table(
    "trades",
    METADATA,
    identity(),
    text("exchange"),
    text("trade_id"),
    text("trader"),
    text("client_order_id"),
    text("symbol"),
    time_ms("ts"),
    *(money(name) for name in ("quantity", "price", "fee")),
    text("reason"),
    UniqueConstraint("exchange", "trade_id"),
    Index("ix_trades_trader_ts", "trader", "ts"),
)
positions = Table(
    "positions",
    METADATA,
    text("trader"),
    text("symbol"),
    *(money(name) for name in ("quantity", "entry", "stop", "take")),
    Column("disarmed", Integer, nullable=False),
    time_ms("disarmed_ts"),
    time_ms("updated_ts"),
    PrimaryKeyConstraint("trader", "symbol"),
)
balances = Table(
    "balances",
    METADATA,
    text("trader", primary_key=True),
    money("cash"),
    money("equity"),
    money("initial_capital"),
    money("peak_equity"),
    time_ms("opened_ts"),
    time_ms("updated_ts"),
)
bills = Table(
    "bills",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    text("kind"),
    text("symbol"),
    text("reference"),
    money("amount"),
    money("rate"),
    Column("assumed", Boolean, nullable=False),
    UniqueConstraint("trader", "kind", "reference"),
    Index("ix_bills_trader_ts", "trader", "ts"),
)
equity_snapshots = Table(
    "equity_snapshots",
    METADATA,
    text("trader"),
    time_ms("ts"),
    time_ms("close_ts"),
    *(money(name) for name in ("equity", "cash", "notional")),
    PrimaryKeyConstraint("trader", "ts"),
)
backtests = Table(
    "backtests",
    METADATA,
    text("name", primary_key=True),
    text("trader"),
    time_ms("created_ms"),
    text("symbol"),
    text("timeframe"),
    text("strategy"),
    text("result"),
    text("folder"),
    text("config_hash"),
    text("data_hash"),
)
backtest_trades = Table(
    "backtest_trades",
    METADATA,
    identity(),
    text("trader"),
    text("backtest", index=True),
    text("symbol"),
    time_ms("entry_ts"),
    time_ms("exit_ts"),
    text("side"),
    *(money(name) for name in ("quantity", "entry_price", "exit_price", "fees", "funding", "pnl")),
    text("exit_reason"),
)
trials = Table(
    "trials",
    METADATA,
    identity(),
    text("trader"),
    time_ms("created_ms"),
    text("search", index=True),
    text("symbol"),
    text("timeframe"),
    text("strategy"),
    text("parameters"),
    text("config_hash"),
    text("data_hash"),
    Column("bar_sharpe", Float(53), nullable=True),
    Column("bars", Integer, nullable=True),
    *(Column(name, LargeBinary, nullable=True) for name in ("figures", "sums", "squares")),
    UniqueConstraint("config_hash", "data_hash"),
    Index("ix_trials_symbol_timeframe", "symbol", "timeframe"),
)
halts = Table(
    "halts",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    text("reason"),
    time_ms("acknowledged_ms", nullable=True),
    text("acknowledged_by", nullable=True),
)
leases = Table(
    "leases",
    METADATA,
    text("name", primary_key=True),
    Column("token", Integer, nullable=False),
    text("holder"),
    text("host"),
    Column("pid", Integer, nullable=False),
    real("process_started_s"),
    real("expires_s"),
)
clock = Table(
    "clock",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    text("mode"),
    *(real(name) for name in ("wall0", "sim0", "speed", "beat")),
    Column("epoch", Integer, nullable=False),
)
alerts = Table(
    "alerts",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    text("severity"),
    text("kind"),
    text("message"),
)
sent_orders = Table(
    "sent_orders",
    METADATA,
    text("client_order_id", primary_key=True),
    text("trader"),
    text("exchange_order_id"),
    Column("attempts", Integer, nullable=False),
    time_ms("sent_ms"),
    time_ms("expires_ms"),
)
protections = Table(
    "protections",
    METADATA,
    text("client_id", primary_key=True),
    text("trader"),
    text("symbol"),
    text("client_order_id"),
    Column("number", Integer, nullable=False),
    *(money(name) for name in ("quantity", "stop", "take")),
    text("state"),
    time_ms("created_ms"),
    Index("ix_protections_trader_symbol", "trader", "symbol"),
)
account_states = Table(
    "account_states",
    METADATA,
    text("trader", primary_key=True),
    text("state"),
    text("reason"),
    time_ms("since_ms"),
    time_ms("updated_ms"),
)
controls = Table(
    "controls",
    METADATA,
    *(text(name) for name in ("trader", "kind", "policy", "reason", "made_by")),
    time_ms("ts"),
    PrimaryKeyConstraint("trader", "kind"),
)
audits = Table(
    "audits",
    METADATA,
    identity(),
    text("trader"),
    time_ms("ts"),
    text("action"),
    text("made_by"),
    text("detail"),
)
