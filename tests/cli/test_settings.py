"""What a configuration becomes: precedence, groups, traders, windows, secrets."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError
from itertools import zip_longest
from pathlib import Path

import pytest
from console import Run

from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import load
from alpha_arena.settings.catalogue import strategies
from alpha_arena.settings.environment import masked, masked_text
from alpha_arena.settings.parameters import parameters

DAY_2024 = 1_704_067_200_000
CONF = Path(__file__).resolve().parents[2] / "conf"


def test_defaults_are_those_of_the_contract() -> None:
    """Symbol, timeframe, capital, costs, risk rules."""
    settings = load("backtest")
    btc = settings.symbols[0]
    assert (btc.symbol, btc.lot, btc.tick, btc.contract_size) == ("BTC/USDT:USDT", 0.0001, 0.1, 0.01)
    assert (settings.timeframe, settings.initial_capital, settings.equity, settings.window, settings.seed) == ("1h", 10_000, None, 0, 7)
    assert settings.costs == Costs(0.0005, 0.0002, 0.0001, 0.0005, 10.0, 10.0, 0.01, 0.004, 24)
    assert (settings.limit, settings.start_ms, settings.end_ms, settings.report) == (None, None, None, "text")
    assert list(settings.strategies) == ["ema_trend"]
    assert [type(rule).__name__ for rule in settings.rules][-1] == "ProtectiveStop"
    assert settings.source is None


def test_settings_are_values() -> None:
    """Nobody changes them on the way."""
    with pytest.raises(FrozenInstanceError):
        load("backtest").timeframe = "4h"  # type: ignore[misc]


def test_an_override_reaches_its_component() -> None:
    """Of the chosen strategy, of costs, of a rule, of an enabled strategy."""
    given = ["strategy=breakout", "strategy.lookback_period=30", "costs.taker_fee=0.001", "risk.rules.cooldown.bars=5"]
    settings = load("backtest", given)
    assert vars(settings.strategies["breakout"])["lookback_period"] == 30
    assert settings.costs.taker_fee == 0.001
    assert vars(settings.rules[2]) == {"bars": 5}
    assert settings.overrides == tuple(given)
    weighted = load("backtest", ["decision=weighted", "strategies.breakout.lookback_period=40", "decision.weights={breakout:3}"])
    assert vars(weighted.strategies["breakout"])["lookback_period"] == 40
    assert vars(weighted.decider)["weights"] == {"breakout": 3.0}


def test_strategy_parameters_count_in_a_combined_decider_too() -> None:
    """strategy.PARAM means the chosen strategy wherever it is enabled."""
    settings = load("backtest", ["decision=portfolio", "strategy=momentum", "strategy.momentum_period=20"])
    assert vars(settings.strategies["momentum"])["momentum_period"] == 20


def test_command_line_before_environment_before_dotenv_before_yaml(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The precedence that DESIGN fixes; an empty variable counts as not given."""
    monkeypatch.setenv("RISK_MAX_LEVERAGE", "")
    assert vars(load("backtest").rules[4])["limit_exposure"] == 3
    (own_folder / ".env").write_text("RISK_MAX_LEVERAGE=4\nRISK_MIN_CONFIDENCE=\n")
    assert vars(load("backtest").rules[4])["limit_exposure"] == 4
    assert vars(load("backtest").rules[1])["minimum"] == 0.6
    monkeypatch.setenv("RISK_MAX_LEVERAGE", "5")
    assert vars(load("backtest").rules[4])["limit_exposure"] == 5
    assert vars(load("backtest", ["risk.rules.max_leverage.limit_exposure=6"]).rules[4])["limit_exposure"] == 6


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("REGIME_ADX_THRESHOLD", "30", "regime.adx_threshold"),
        ("REGIME_BB_WIDTH_THRESHOLD", "0.05", "regime.bb_width_threshold"),
        ("PORTFOLIO_GLOBAL_LEVERAGE", "2", "decision.global_leverage"),
        ("PORTFOLIO_DIFF_THRESHOLD", "20", "costs.diff_threshold"),
        ("PORTFOLIO_MIN_NOTIONAL", "15", "costs.min_notional"),
        ("RISK_MAX_NOTIONAL", "500", "risk.rules.max_notional.limit_quote"),
        ("RISK_MAX_LEVERAGE", "2", "risk.rules.max_leverage.limit_exposure"),
        ("RISK_MIN_CONFIDENCE", "0.9", "risk.rules.min_confidence.minimum"),
        ("API_WRITE_ENABLED", "true", "monitor.write"),
        ("DATABASE_URL", "sqlite:///elsewhere.db", "database.url"),
    ],
)
def test_each_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str) -> None:
    """Of those that this version uses; and .env.example has it."""
    monkeypatch.setenv(name, value)
    node = load("backtest", ["decision=portfolio"]).resolved
    for part in key.split("."):
        node = node[part]
    assert str(node).lower() == value
    assert f"\n{name}=" in (CONF.parent / ".env.example").read_text()


def test_every_variable_of_conf_stands_in_the_example() -> None:
    """Nothing can be set that is not written down."""
    named = {word.split(",")[0].strip("}") for path in CONF.rglob("*.yaml") for word in path.read_text().split("oc.env:")[1:]}
    example = (CONF.parent / ".env.example").read_text()
    assert [name for name in {name.split("}")[0] for name in named} if f"\n{name}=" not in example] == []


def test_symbols_and_their_short_form() -> None:
    """In the order given, each once."""
    assert [one.symbol for one in load("trade", ["symbols=[eth,btc,eth]"]).symbols] == ["ETH/USDT:USDT", "BTC/USDT:USDT"]
    assert [one.symbol for one in load("trade", ["symbol=xrp"]).symbols] == ["XRP/USDT:USDT"]


@pytest.mark.parametrize("given", ["2024-01-01", "2024-01-01T00:00", "2024-01-01T01:00+01:00", str(DAY_2024)])
def test_times_are_utc(given: str) -> None:
    """Dates, times, zones, ms."""
    assert load("backtest", [f"start={given}", f"end={DAY_2024 + 1}"]).start_ms == DAY_2024


def test_a_path_may_hold_what_the_grammar_does_not_know() -> None:
    """Blanks, brackets and "=" in paths and addresses."""
    settings = load("ingest", ["exchange=file", "exchange.path=my files (1)/a=b.parquet", "outputs=2024"])
    assert settings.exchange
    assert settings.exchange.params["path"] == "my files (1)/a=b.parquet"
    assert settings.outputs == Path("2024")
    assert load("backtest", ["database.url=postgresql+psycopg://u:p@h/d?sslmode=require"]).database_url.endswith("?sslmode=require")


@pytest.mark.parametrize("exchange", ["file", "okx", "synthetic"])
def test_each_source_is_built(exchange: str) -> None:
    """With a clock of its own, and nothing is read for it."""

    class Noon:
        def now_ms(self) -> int:
            return DAY_2024

    choice = load("ingest", [f"exchange={exchange}"]).exchange
    assert choice
    assert choice.source(Noon()).name == choice.name == exchange


def test_an_arena_has_traders_with_accounts_of_their_own() -> None:
    """Three at least: a single strategy, weighted, portfolio; each with its own hash."""
    settings = load("up")
    assert [(one.trader, one.decider.name) for one in settings.traders] == [
        ("ema_solo", "single"),
        ("equal_weight", "weighted"),
        ("portfolio", "portfolio"),
    ]
    assert len({one.config_hash for one in settings.traders}) == 3
    assert all(one.catch_up_days == 30 for one in settings.traders)
    assert [one.trader for one in load("trade", ["arena=default"]).traders] == ["ema_solo", "equal_weight", "portfolio"]


@pytest.mark.parametrize("given", ["trader=portfolio", "trader.id=mine", "decision=weighted", "strategy=breakout", "arena=null"])
def test_a_command_line_that_names_one_trader_means_that_one(given: str) -> None:
    """Not three traders that all decide alike."""
    assert load("up", [given]).traders == ()


def test_a_trader_file_chooses_and_the_command_line_wins() -> None:
    """Over what its file says."""
    assert load("trade", ["trader=equal_weight"]).decider.name == "weighted"
    settings = load("trade", ["trader=ema_solo", "strategy=momentum"])
    assert (settings.trader, list(settings.strategies)) == ("ema_solo", ["momentum"])


def test_the_hash_covers_what_decides_and_nothing_else() -> None:
    """The same trader in `up`, `trade` and `decide`; another fee, another trader."""
    known = load("trade").config_hash
    assert load("decide", ["report=json", "outputs=x", "monitor.port=1"]).config_hash == known
    for given in ("costs.taker_fee=0.001", "trader.id=x", "strategy.ema_fast=8", "risk=none", "symbol=eth", "equity=5", "timeframe=4h"):
        assert load("trade", [given]).config_hash != known


def test_an_experiment_is_a_named_set_of_overrides() -> None:
    """And a key of the command line still wins."""
    assert (load("backtest", ["experiment=quick_look"]).limit, load("backtest", ["experiment=quick_look"]).window) == (2000, 300)
    assert load("backtest", ["experiment=quick_look", "limit=10"]).limit == 10


def test_a_conf_in_the_working_folder_wins_file_by_file(own_folder: Path) -> None:
    """Its own file counts, the shipped ones are still there."""
    (own_folder / "conf" / "costs").mkdir(parents=True)
    text = (CONF / "costs" / "okx.yaml").read_text().replace("taker_fee: 0.0005", "taker_fee: 0.0007")
    (own_folder / "conf" / "costs" / "okx.yaml").write_text(text)
    assert load("backtest").costs.taker_fee == 0.0007
    assert list(load("backtest", ["strategy=breakout"]).strategies) == ["breakout"]


def test_a_config_dir_is_searched_too(own_folder: Path) -> None:
    """Hydra's --config-dir; an option may build on another by its defaults list."""
    folder = own_folder / "more" / "strategy"
    folder.mkdir(parents=True)
    (folder / "ema_quick.yaml").write_text("defaults: [ema_trend, _self_]\nema_fast: 5\n")
    made = load("backtest", ["strategy=ema_quick"], [str(own_folder / "more")])
    assert vars(made.strategies["ema_quick"])["ema_fast"] == 5
    listed = load("backtest", ["decision=weighted", "decision.strategies=[ema_quick,momentum]"], ["more"])
    assert vars(listed.strategies["ema_quick"])["ema_fast"] == 5


@pytest.mark.parametrize("given", ["OKX_API_KEY=hunter2hunter2", "+deepseek_api_key=hunter2hunter2", "executor.api_secret=hunter2hunter2"])
def test_a_secret_is_refused_as_an_override(run: Run, given: str) -> None:
    """And is not repeated in what is said."""
    code, out, err = run("backtest", given)
    assert (code, out) == (2, "")
    assert "is a secret" in err
    assert "hunter2" not in err


def test_secrets_are_masked_wherever_a_configuration_shows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords of addresses, values of secret variables however they came in, keys named so."""
    monkeypatch.setenv("OKX_API_SECRET", "s3cr3t-value")
    given = ["outputs=${oc.env:OKX_API_SECRET}", "database.url=postgresql+psycopg://me:pa55word@host/name?password=pa55word"]
    settings = load("backtest", given)
    said = [repr(settings), str(settings.resolved), *run("backtest", *given, "--cfg", "job", "--resolve"), *run("backtest", "--help")]
    said += run("backtest", "strategy.ema_fast=s3cr3t-value") + run("backtest", "database.url=me:pa55word")  # type: ignore[operator]
    assert [text for text in said if "s3cr3t" in str(text) or "pa55word@" in str(text) or "=pa55word" in str(text)] == []
    assert settings.database_url.startswith("postgresql+psycopg://me:pa55word@")
    assert masked({"api_key": "x", "tokens": 5, "list": [{"passphrase": "y"}]}) == {
        "api_key": "***",
        "tokens": 5,
        "list": [{"passphrase": "***"}],
    }
    assert masked_text("sqlite:///data/a.db") == "sqlite:///data/a.db"


def test_every_option_of_conf_is_composed_and_built() -> None:
    """All files of all groups, one of each group at a time."""
    groups = [
        "symbol",
        "exchange",
        "strategy",
        "regime",
        "decision",
        "risk",
        "costs",
        "executor",
        "trader",
        "schedule",
        "monitor",
        "database",
        "experiment",
    ]
    files = [[f"{group}={path.stem}" for path in sorted((CONF / group).glob("*.yaml"))] for group in groups]
    for choices in zip_longest(*files):
        assert load("backtest", [choice for choice in choices if choice]).command == "backtest"


def test_yaml_and_component_have_the_same_keys() -> None:
    """Every parameter's value stands in the YAML, its type and bounds on the component, without a default."""
    for entry in strategies(load("strategies")):
        assert list(entry.defaults) == [one.name for one in entry.parameters] or set(entry.defaults) == {
            one.name for one in entry.parameters
        }
        assert all(one.bounds and one.unit for one in entry.parameters), entry.name


def test_a_parameter_says_what_it_takes() -> None:
    """Words, bounds, unit."""
    known = {one.name: one.allowed for one in parameters(type(load("backtest").strategies["ema_trend"]))}
    assert known["ema_fast"] == "a whole number, >= 2, <= 1000, in bars"


def test_the_environment_is_left_as_it_was(own_folder: Path) -> None:
    """But for what .env adds."""
    before = dict(os.environ)
    load("backtest")
    assert dict(os.environ) == before


def test_a_command_that_does_not_exist() -> None:
    """Said as the rest."""
    with pytest.raises(ConfigError, match="cannot be composed"):
        load("frobnicate")
