"""Whatever is wrong with a configuration is said in one line, with exit code 2, before anything is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Run, one_line

# what is given, and what the line must name: key, value, what is allowed, the nearest name
WRONG = [
    ("strategy.ema_fsat=9", ["strategy.ema_fsat=9", "did you mean 'strategy.ema_fast'"]),
    ("ema_fast=9", ["did you mean 'strategy.ema_fast'"]),
    ("timefram=1h", ["did you mean 'timeframe'"]),
    ("+foo=1", ["+foo=1", "unknown key"]),
    ("++foo.bar=1", ["unknown key"]),
    ("~foo", ["unknown key"]),
    ("~seed", ["~seed", "needs"]),
    ("~costs", ["~costs", "needs"]),
    ("+strategy.foo=1", ["strategy.foo=1", "known: strategy.atr_period"]),
    ("++costs.taker_fe=0.1", ["did you mean 'costs.taker_fee'"]),
    ("+symbol.foo=1", ["symbol.foo=1"]),
    ("+trader.foo=1", ["trader.foo=1"]),
    ("+schedule.foo=1", ["schedule.foo=1"]),
    ("+monitor.foo=1", ["monitor.foo=1"]),
    ("+executor.foo=1", ["executor.foo=1"]),
    ("+database.foo=1", ["database.foo=1"]),
    ("+decision.foo=1", ["decision.foo=1"]),
    ("+risk.foo=1", ["risk"]),
    ("+risk.rules.max_notional.foo=1", ["risk.rules.max_notional.foo=1", "limit_quote"]),
    ("++exchange.foo=1", ["exchange.foo", "exchange=file"]),
    ("exchange.path=x", ["exchange.path=x", "exchange=file"]),
    ("~strategy.ema_fast", ["strategy.ema_fast is missing", ">= 2"]),
    ("strategy=ema_trnd", ["did you mean 'ema_trend'", "breakout"]),
    ("strategy=null", ["unknown strategy"]),
    ("decision=weigthed", ["did you mean 'weighted'"]),
    ("symbol=bct", ["did you mean 'btc'"]),
    ("symbols=[btc,dodge]", ["unknown symbol 'dodge'", "xrp"]),
    ("symbols=[]", ["at least one"]),
    ("symbols=btc", ["symbols=btc", "a list"]),
    ("timeframe=1hr", ["did you mean '1h'"]),
    ("timeframe=4", ["unknown timeframe '4'"]),
    ("timeframe=7m", ["unknown timeframe '7m'"]),
    ("trader=nobody", ["unknown trader", "ema_solo"]),
    ("trader.id=a/b", ["trader.id", "a/b", "letters"]),
    ("strategy.ema_fast=0", ["strategy.ema_fast=0", ">= 2", "bars"]),
    ("strategy.ema_fast=x", ["strategy.ema_fast=x", "a whole number"]),
    ("strategy.ema_fast=2.5", ["strategy.ema_fast=2.5", "a whole number"]),
    ("strategy.ema_fast=true", ["a whole number"]),
    ("strategy.ema_fast='9'", ["a whole number"]),
    ("strategy.ema_fast=null", ["a whole number"]),
    ("strategy.ema_fast=[9]", ["a whole number"]),
    ("strategy.ema_fast=60", ["ema_fast (60)", "ema_medium (21)"]),
    ("strategy.max_position=inf", ["strategy.max_position=inf", "finite"]),
    ("risk.rules.max_notional.limit_quote=nan", ["limit_quote=nan", "finite"]),
    ("costs.taker_fee=-0.1", ["costs.taker_fee=-0.1", ">= 0", "<= 0.05"]),
    ("schedule.trade=1", ["schedule.trade=1", "true or false"]),
    ("initial_capital=0", ["initial_capital=0", "> 0", "quote currency"]),
    ("equity=-1", ["equity=-1", "> 0"]),
    ("limit=0", ["limit=0", ">= 1"]),
    ("limit=many", ["limit=many", "a whole number or null"]),
    ("window=-1", ["window=-1", ">= 0"]),
    ("seed=1.5", ["seed=1.5", "a whole number"]),
    ("outputs=[a]", ["outputs=['a']", "text"]),
    ("report=jsn", ["report=jsn", "did you mean 'json'"]),
    ("start=tomorrow", ["start=tomorrow", "2024-01-31"]),
    ("start=1704067200", ["start=1704067200", "ms"]),
    ("start=2024", ["start=2024", "2024-01-31"]),
    ("database.url=nonsense", ["database.url", "nonsense", "sqlite:///"]),
    ("monitor.port=70000", ["monitor.port=70000", "<= 65535"]),
    ("decision=weighted decision.weights={nope:1}", ["nope", "ema_trend"]),
    ("decision=weighted decision.strategies=[ema_trnd]", ["did you mean 'ema_trend'"]),
    ("decision=weighted decision.strategies=[]", ["at least one"]),
    ("decision=weighted strategies.breakout.lookbak=5", ["did you mean 'strategies.breakout.lookback_period'"]),
    ("strategies.breakout.lookback_period=5", ["breakout", "known: ema_trend"]),
    ("decision=weighted strategy=funding_rate_arbitrage strategy.max_leverage=1", ["no effect", "not enabled"]),
    ("symbol=btc symbols=[eth]", ["give one of the two"]),
    ("start=2025-01-01 end=2024-01-01", ["start=2025-01-01", "end=2024-01-01"]),
    ("start=2025-01-01 end=2025-01-01", ["not before"]),
    ("strategy._target_=os.system", ["strategy._target_=os.system", "plugins=FOLDER"]),
    ("strategy._target_=alpha_arena.cli.main", ["not a component"]),
    ("strategy._target_=alpha_arena.strategies.ema_trend.Nope", ["cannot be imported"]),
    ("+strategy.x={a:{_target_:os.system}}", ["strategy.x.a._target_=os.system"]),
    ("+risk.rules.x={_target_:subprocess.Popen,args:ls}", ["risk.rules.x._target_=subprocess.Popen"]),
    ("executor=okx risk=none", ["risk=none is refused"]),
    ("strategy=a,b", ["--multirun"]),
    ("hydra.run.dir=x", ["hydra.run.dir", "outputs=FOLDER"]),
    ("ema_trend", ["'ema_trend' is not KEY=VALUE"]),
    ("=3", ["names no key"]),
    ("plugins=nowhere", ["plugins=nowhere", "not a folder"]),
    ("plugins=3", ["plugins=3"]),
    ("experiment=nope", ["unknown experiment", "quick_look"]),
    ("--frobnicate", ["--frobnicate", "--multirun"]),
    ("--cfg=hydra", ["--cfg job"]),
    ("--config-name=x", ["--config-name"]),
    ("--cfg=job --package=nope", ["nope", "keys are"]),
    ("--multirun report=json strategy=breakout,momentum", ["report=json", "--multirun"]),
    ("--multirun strategy.ema_fast=5,0", ["strategy.ema_fast=0"]),
]


@pytest.mark.parametrize(("given", "named"), WRONG, ids=[given for given, _ in WRONG])
def test_a_wrong_configuration_is_refused_in_one_line(run: Run, own_folder: Path, given: str, named: list[str]) -> None:
    """D43, D44: a mistyped key, `+key` included, never passes for a default."""
    code, out, err = run("backtest", *given.split(" "))
    assert (code, out) == (2, "")
    one_line(err, named)
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("given", ["decision=rl"])
def test_what_comes_later_says_so(run: Run, given: str) -> None:
    """Not wrong, only not there yet: exit code 1."""
    code, out, err = run("trade", *given.split(" "))
    assert (code, out) == (1, "")
    one_line(err, ["comes with a later version"])


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("RISK_MAX_NOTIONAL", "abc", "risk.rules.max_notional.limit_quote"),
        ("RISK_MAX_NOTIONAL", "-5", "risk.rules.max_notional.limit_quote"),
        ("RISK_MIN_CONFIDENCE", "[1", "risk.rules.min_confidence.minimum"),
        ("REGIME_ADX_THRESHOLD", "400", "regime.adx_threshold"),
        ("PORTFOLIO_MIN_NOTIONAL", "nan", "costs.min_notional"),
        ("API_WRITE_ENABLED", "yes", "monitor.write"),
    ],
)
def test_a_wrong_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str) -> None:
    """The key and where its value comes from."""
    monkeypatch.setenv(name, value)
    code, _, err = run("backtest")
    assert code == 2
    one_line(err, [key] if value == "nan" else [key, name])


def test_yaml_that_cannot_be_read_is_named(run: Run, own_folder: Path) -> None:
    """A user's own file in conf/."""
    (own_folder / "conf" / "strategy").mkdir(parents=True)
    (own_folder / "conf" / "strategy" / "mine.yaml").write_text("a: [1\n")
    code, _, err = run("backtest", "strategy=mine")
    assert code == 2
    one_line(err, ["cannot be composed"])


def test_an_option_without_a_class_is_refused(run: Run, own_folder: Path) -> None:
    """A strategy's file must name its class."""
    (own_folder / "conf" / "strategy").mkdir(parents=True)
    (own_folder / "conf" / "strategy" / "mine.yaml").write_text("a: 1\n")
    code, _, err = run("backtest", "strategy=mine")
    assert code == 2
    one_line(err, ["strategy names no _target_"])


def test_a_weighted_list_names_what_does_not_exist(run: Run, own_folder: Path) -> None:
    """Two traders of an arena may not share an account, nor may one be missing."""
    folder = own_folder / "conf" / "arena"
    folder.mkdir(parents=True)
    whole = "defaults:\n  - /base/arena@_here_\n  - _self_\n"
    (folder / "mine.yaml").write_text(f"{whole}traders: [ema_solo, nobody]\n")
    (folder / "twice.yaml").write_text(f"{whole}traders: [ema_solo, ema_solo]\n")
    (folder / "alone.yaml").write_text("traders: [ema_solo]\n")
    refused = {"mine": "unknown trader 'nobody'", "twice": "trader.id=ema_solo", "alone": "arena=alone has no samples; begin it with"}
    for arena, named in refused.items():
        code, _, err = run("trade", f"arena={arena}")
        assert code == 2
        one_line(err, [named])
