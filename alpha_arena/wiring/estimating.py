"""What a run may ask of models, and what that may cost: said before anybody is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Market, View
from alpha_arena.core.types import Account, RiskState
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.chain import LONGEST_QUOTE
from alpha_arena.llm.prompt import template
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import CHARACTERS_A_TOKEN, Usage, most_tokens
from alpha_arena.settings import Settings
from alpha_arena.wiring.backtesting import Window
from alpha_arena.wiring.desk import study_of

# each question may be asked once more, with its answer and what was wrong with it
REPAIR_TOKENS = (LONGEST_QUOTE + 2000) // CHARACTERS_A_TOKEN
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What may be asked, repetitions of failed calls aside, and cost.

    Attributes:
        questions: closes x symbols x times that each is asked. calls: at most, with second questions and those of other providers.
        prompt_tokens: of one first question, at most. cost_usd: of all calls, at most; NaN where price or length of an answer is not known.
        budget_usd: that ends the asking, None for none. replays: what is kept from before is not asked again, by anybody.
    """

    questions: int
    calls: int
    prompt_tokens: int
    cost_usd: float
    budget_usd: float | None
    replays: bool

    @property
    def text(self) -> str:
        """In one sentence."""
        cost = "at a price that is not known (see llm.models)" if isnan(self.cost_usd) else f"for {self.cost_usd:,.2f} USD at most"
        asked = f"{self.questions:,} questions of about {self.prompt_tokens:,} tokens"
        bound = "no budget ends that" if self.budget_usd is None else f"a budget of {self.budget_usd:g} USD (llm.budget_usd) ends that"
        kept = "what is kept from before is " + ("not asked again" if self.replays else "asked again (see llm.cache)")
        return f"{asked}, at most {self.calls:,} calls {cost}, repetitions of failed ones aside; {bound}; {kept}"


def may_ask(model: Provider, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a model may be asked: answers are not only those that are kept, and there is the key that it needs."""
    return model.cache != "replay_strict" and (model.credential is None or bool(environ.get(model.credential, "").strip()))


def estimate(settings: Settings, decider: Llm, markets: Mapping[str, Market], part: Window, times: int = 1) -> Estimate:
    """What may be asked and spent, by the longest prompt of the last close; nobody is asked. times: that each close is asked for."""
    study = study_of(settings, markets, part.first_ts)
    rows = {symbol: len(market) - 1 for symbol, market in markets.items()}
    prices = {symbol: float(market.close[-1]) for symbol, market in markets.items()}
    close = max(int(market.ts[-1]) + market.bar_ms for market in markets.values())
    view = View(close, close, rows, study, Account(settings.initial_capital), RiskState(settings.initial_capital), prices)
    filled = template(decider.model.prompt)
    briefs = [decider.brief(view, symbol) for symbol in markets]
    tokens = max(most_tokens(filled.messages(made.rules, made.data)) for made in briefs)
    questions = part.rows * len(markets) * times
    every = [(decider.model, tokens), (decider.model, tokens + REPAIR_TOKENS), *((one, tokens) for one in decider.fallbacks)]
    asked = [(one, prompt) for one, prompt in every if may_ask(one)]
    cost = sum(call_usd(one, prompt) for one, prompt in asked)
    replays = all(one.cache == "replay" for one, _ in asked)
    return Estimate(questions, len(asked) * questions, tokens, questions * cost, decider.model.budget_usd, replays)


def call_usd(model: Provider, tokens: int) -> float:
    """What one call may cost; NaN where it is not known. tokens: of the prompt."""
    return Usage(tokens, 0, model.max_tokens).cost_usd(model.card)


def whole(estimates: Iterable[Estimate]) -> Estimate | None:
    """Several as one, each with its own budget; None where nobody may be asked."""
    every = [one for one in estimates if one.calls]
    if not every:
        return None
    budgets = [one.budget_usd for one in every]
    return Estimate(
        sum(one.questions for one in every),
        sum(one.calls for one in every),
        max(one.prompt_tokens for one in every),
        sum(one.cost_usd for one in every),
        None if None in budgets else sum(one for one in budgets if one is not None),
        all(one.replays for one in every),
    )


def refuse_dear(told: Estimate, key: str, most: int, confirmed: bool) -> None:
    """Refuse what nobody may have meant. key: the one that gives `most`.

    Raises:
        ConfigError: it may make more calls than `most`.
    """
    if told.calls > most and not confirmed:
        dear = f"{told.text}; that is more than {key}={most:,}"
        raise ConfigError(f"{dear}: take a smaller limit=, or llm.cache=replay_strict, which asks nobody, or say confirm=true")


def announced(
    settings: Settings, every: Iterable[tuple[Settings, int]], markets: Mapping[str, Market], part: Window, say: Announce | None
) -> None:
    """Say what a run over history may ask of its models and what that may cost, before anybody is asked; nothing where nobody may be.

    Args:
        every: traders, each with how often it asks for each close.

    Raises:
        ConfigError: more calls than most_calls, and nobody has confirmed them.
    """
    deciders = [(one, one.decider, times) for one, times in every if isinstance(one.decider, Llm)]
    able = [(one, decider, times) for one, decider, times in deciders if any(map(may_ask, (decider.model, *decider.fallbacks)))]
    told = whole(estimate(one, decider, markets, part, times) for one, decider, times in able)
    if told:
        refuse_dear(told, "most_calls", settings.most_calls, settings.confirm)
        (say or (lambda _: None))(told.text)
