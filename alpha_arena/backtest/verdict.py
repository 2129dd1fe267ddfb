"""PASS, WEAK or REJECT, with the reasons: what every sweep and walk-forward is told without asking (docs/verdict.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import inf, isnan, nan
from typing import Any, Literal

from alpha_arena.backtest.evidence import Evidence, Figures, measured
from alpha_arena.backtest.overfitting import DRAWS
from alpha_arena.backtest.result import plain
from alpha_arena.backtest.wording import number, percent

Grade = Literal["PASS", "WEAK", "REJECT"]

# the usual 5 % of error, and twice that as the most that is worth another look
SURE, RATHER_SURE = 0.95, 0.90
UNLIKELY, RATHER_UNLIKELY = 0.05, 0.10
# one search in five that picks a loser is bearable; noise alone makes one in two
OVERFIT, HARDLY_CHOSEN = 0.2, 0.5
# below this the mean of trades is mostly that of its largest
FEWEST_TRADES = 30
# what is lost beyond it must be more than doubled to be won back
DEEPEST = -0.5
# live results are rarely better than half of what was fitted; less says that the fit was the result
LEAST_KEPT = 0.5

STEADY = "the returns are too few or do not vary, so that there is no Sharpe ratio"


@dataclass(frozen=True, slots=True)
class Reason:
    """One check.

    Attributes:
        name: e.g. "deflated_sharpe". passed: None where the figure is not defined.
        value, bound: the figure and what is asked of it for PASS, NaN where there is none.
        text: a sentence with the numbers.
    """

    name: str
    passed: bool | None
    value: float
    bound: float
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grade, why, and the figures behind it (evidence.measured)."""

    grade: Grade
    reasons: tuple[Reason, ...]
    figures: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As result.json holds it, None for what is not defined or infinite."""
        named: dict[str, Any] = plain({"grade": self.grade, "reasons": [asdict(item) for item in self.reasons], "figures": self.figures})
        return named


def judge(evidence: Evidence, draws: int = DRAWS) -> Verdict:
    """Grade a result by everything that can be asked of it; the same evidence and seed have the same verdict.

    Args:
        draws: of each of the bootstrap, the random entries, the orders of trades and the test of superior ability.
    """
    figures = measured(evidence, draws)
    reasons = tuple(_reasons(figures))
    return Verdict(_grade(reasons, figures), reasons, figures)


def _grade(reasons: tuple[Reason, ...], figures: Figures) -> Grade:
    """REJECT for a loss or where luck explains it; PASS where all that is defined passes, and what decides is defined."""
    if _refused(figures):
        return "REJECT"
    decisive = ["dsr", "random_entry_p", *(["pbo"] if figures["searched"] else [])]
    passed = all(item.passed is not False for item in reasons) and not any(isnan(figures[name]) for name in decisive)
    return "PASS" if passed else "WEAK"


def _refused(f: Figures) -> bool:
    lost = not f["net_return"] > 0
    return bool(lost or f["dsr"] < RATHER_SURE or f["pbo"] > HARDLY_CHOSEN or f["random_entry_p"] > RATHER_UNLIKELY)


def _reason(name: str, value: float, bound: float, passed: bool, text: str, undefined: str) -> Reason:
    return Reason(name, None, value, bound, f"Not defined: {undefined}.") if isnan(value) else Reason(name, passed, value, bound, text)


def _reasons(f: Figures) -> Iterator[Reason]:
    """In the order in which a trader asks."""
    yield _net_return(f)
    yield _trades(f)
    yield from _sure(f)
    yield from _chosen(f)
    yield _random_entry(f)
    yield from _long_enough(f)
    yield from _redrawn(f)
    yield _decay(f)


def _net_return(f: Figures) -> Reason:
    value, years = f["net_return"], number(f["years"], 2)
    if isnan(value):
        return Reason("net_return", False, nan, 0.0, "Some of its returns are not finite numbers: nothing can be said for it.")
    what = "earned" if value > 0 else "lost" if value < 0 else "earned nothing:"
    text = f"It {what} {percent(abs(value))} after all costs in {years} years; a result that does not earn is rejected."
    return Reason("net_return", value > 0, value, 0.0, text)


def _trades(f: Figures) -> Reason:
    text = f"It closed {f['trades']:,} trades; with fewer than {FEWEST_TRADES} the average is that of a few lucky ones."
    return Reason("trades", f["trades"] >= FEWEST_TRADES, float(f["trades"]), float(FEWEST_TRADES), text)


def _sure(f: Figures) -> Iterator[Reason]:
    """Whether there is a Sharpe at all, and one beyond the luck of all trials."""
    text = f"Its Sharpe of {number(f['sharpe'])} a year is above 0 with {percent(f['psr'], 1)} probability; asked: {percent(SURE, 0)}."
    yield _reason("probabilistic_sharpe", f["psr"], SURE, f["psr"] >= SURE, text, STEADY)
    yield _reason("deflated_sharpe", f["dsr"], SURE, f["dsr"] >= SURE, _deflated(f), STEADY)


def _deflated(f: Figures) -> str:
    sure = f"it is more than luck with {percent(f['dsr'], 1)} probability"
    asked = f"asked: {percent(SURE, 0)}, rejected below {percent(RATHER_SURE, 0)}."
    if f["trials"] < 2:
        return f"It is the only trial on this symbol and timeframe: {sure}; {asked}"
    best = f"The best of {f['trials']:,} trials on this symbol and timeframe would show a Sharpe of {number(f['luck_sharpe'])} by luck"
    worth = f" ({percent(f['dsr_effective'], 1)} if they are worth {number(f['effective_trials'], 1)} independent ones)"
    return f"{best}, this one shows {number(f['sharpe'])}: {sure}{'' if isnan(f['dsr_effective']) else worth}; {asked}"


def _chosen(f: Figures) -> Iterator[Reason]:
    """Whether the search chooses what stays good, and whether its best earn at all."""
    half = f"In {percent(f['pbo'], 1)} of {f['splits']:,} splits the best trial of one half of the history was among the worse in the other"
    lost = f"lost money there in {percent(f['pbo_loss'], 1)}"
    asked = f"asked: at most {percent(OVERFIT, 0)}, rejected above {percent(HARDLY_CHOSEN, 0)}."
    same = "the search's trials are all the same, or its history is too short"
    none = same if f["searched"] else "nothing was searched, so nothing was chosen"
    yield _reason("overfitting", f["pbo"], OVERFIT, f["pbo"] <= OVERFIT, f"{half}, and {lost}; {asked}", none)
    none = "the search's trials do not vary, or its history is too short" if f["searched"] else "nothing was searched"
    name, best = _superior(f)
    yield _reason(name, f["spa_p"], UNLIKELY, f["spa_p"] <= UNLIKELY, f"{best}; asked: at most {percent(UNLIKELY, 0)}.", none)


def _superior(f: Figures) -> tuple[str, str]:
    """Whose ability is asked for: that of a search's trials, or of a walk-forward's schemes alone, among which its trials are not."""
    count, likely = f["candidates"], f"would look as good with {percent(f['spa_p'], 1)} probability"
    if not f["of_schemes"]:
        return "superior_ability", f"If none of the {count:,} trials had an edge, the best {likely}"
    tests = (
        "If the one scheme had no edge, its tests" if count == 1 else f"If none of the {count:,} schemes had an edge, the tests of the best"
    )
    searched = f" (of the schemes alone: the {f['searched']:,} combinations that they chose from are not in it)" if f["searched"] else ""
    return "superior_ability_of_the_schemes", f"{tests} {likely}{searched}"


def _random_entry(f: Figures) -> Reason:
    p = f["random_entry_p"]
    text = f"The same positions, entered at random times, earn as much with {percent(p, 1)} probability ({f['draws']:,} draws)"
    asked = f"asked: at most {percent(UNLIKELY, 0)}, rejected above {percent(RATHER_UNLIKELY, 0)}."
    none = "nothing was held, or it was held so long that no other time of entry is possible"
    return _reason("random_entry", p, UNLIKELY, p <= UNLIKELY, f"{text}; {asked}", none)


def _long_enough(f: Figures) -> Iterator[Reason]:
    """Whether there are as many bars as the Sharpe, and as the trials, call for."""
    need, years, sharpe = f["least_bars"], f["least_years"], f"a Sharpe of {number(f['sharpe'])}"
    enough = f"{number(need, 0)} bars are needed" if need < inf else "no number of bars is enough"
    text = f"To tell {sharpe} from 0 with {percent(SURE, 0)} confidence {enough}; there are {f['bars']:,}."
    yield _reason("track_record", need, float(f["bars"]), need <= f["bars"], text, STEADY)
    enough = f"up to {number(years)} years" if years < inf else "a history of any length"
    text = f"The best of {f['trials']:,} trials is expected to show {sharpe} by luck in {enough}; there are {number(f['years'])} years."
    yield _reason("history", years, f["years"], years <= f["years"], text, STEADY)


def _redrawn(f: Figures) -> Iterator[Reason]:
    """What other orders of the same bars and of the same trades would have shown."""
    band, worst = f["intervals"]["sharpe"], f["shuffled_drawdown"]
    text = f"With the bars drawn anew 90 % of the Sharpes lie between {number(band['low'])} and {number(band['high'])}; asked: all above 0."
    yield _reason("sharpe_interval", band["low"], 0.0, band["low"] > 0, text, STEADY)
    text = (
        f"One of twenty other orders of its trades falls {percent(-worst, 1)} or more from a peak; asked: at most {percent(-DEEPEST, 0)}."
    )
    yield _reason("trade_order", worst, DEEPEST, worst >= DEEPEST, text, "there are no closed trades")


def _decay(f: Figures) -> Reason:
    kept, fitted = f["decay"], number(f["in_sample_sharpe"])
    text = f"Of a Sharpe of {fitted} in sample {percent(kept, 0)} was left out of sample; asked: at least {percent(LEAST_KEPT, 0)}."
    return _reason(
        "decay",
        kept,
        LEAST_KEPT,
        kept >= LEAST_KEPT,
        text,
        "no bars were kept apart from the choice, or it earned nothing there; alpha-arena walkforward keeps some",
    )
