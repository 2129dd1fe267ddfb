"""From settings to a model that can be asked: keys from the environment, answers kept in the database, what may be spent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

from alpha_arena.core.errors import ConfigError
from alpha_arena.data.models import KeptAnswers, spend, spent_usd
from alpha_arena.data.service import DataService
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.adviser import Adviser
from alpha_arena.llm.caller import Caller, Time
from alpha_arena.llm.chain import Chain
from alpha_arena.llm.guards import Breaker, Purse, breaker_of
from alpha_arena.llm.kept import Kept
from alpha_arena.llm.prompt import template
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import Wire
from alpha_arena.settings import Settings

DAY_MS = 86_400_000
REAL_TIME = Time()


def connected(
    settings: Settings,
    service: DataService,
    mode: str,
    now_ms: int | None = None,
    environ: Mapping[str, str] = os.environ,
    purse: Purse | None = None,
) -> Settings:
    """The settings with a decider that can ask its model; as they are where it has none.

    Args:
        mode: backtest, paper or live. now_ms: the day whose earlier calls count for the budget, whatever became of them; None for a budget
            of its own. purse: of several runs together, None for one of its own.
    """
    decider = settings.decider
    if not isinstance(decider, Llm):
        return settings
    trader, purse = settings.trader, purse or Purse(decider.model.budget_usd)
    if now_ms is not None:
        earlier = cache(lambda: spent_usd(service, trader, now_ms // DAY_MS * DAY_MS))
        purse = Purse(purse.budget_usd, earlier, noted=partial(spend, service, trader, now_ms))
    adviser = adviser_of(decider, KeptAnswers(service), purse, f"{trader}-{settings.config_hash[:12]}", mode, environ)
    return replace(settings, decider=replace(decider, adviser=adviser))


def replayed(settings: Settings) -> Settings:
    """The settings with a decider that takes what its model said before, and asks nobody; as they are where it has none."""
    decider = settings.decider
    if not isinstance(decider, Llm):
        return settings
    model, *others = (replace(one, cache="replay_strict") for one in (decider.model, *decider.fallbacks))
    return replace(settings, decider=replace(decider, model=model, fallbacks=others))


def adviser_of(
    decider: Llm,
    kept: Kept,
    purse: Purse,
    run_id: str,
    mode: str,
    environ: Mapping[str, str] = os.environ,
    time: Time = REAL_TIME,
) -> Adviser:
    """Everyone that a decider may ask. purse: what all of them may cost."""
    prompt = template(decider.model.prompt)
    callers = [
        Caller(one, wire_of(one, environ, time), kept, breaker_for(one), purse, time, prompt.sha256)
        for one in (decider.model, *decider.fallbacks)
    ]
    replayed = decider.model.cache == "replay_strict" and mode != "backtest"
    return Adviser(Chain(callers, decider.known, decider.fallback_strategy or ""), prompt, run_id, "replay" if replayed else mode)


def breaker_for(provider: Provider) -> Breaker:
    """The process's breaker of a provider."""
    return breaker_of(provider.base_url, provider.model, provider.breaker_failures, provider.breaker_s)


def wire_of(provider: Provider, environ: Mapping[str, str], time: Time) -> Wire | None:
    """The way to a provider; None where its key is missing, or nobody is to be asked.

    Raises:
        ConfigError: the packages that it needs are not installed.
    """
    key = environ.get(provider.credential, "").strip() if provider.credential else ""
    if provider.cache == "replay_strict" or (provider.credential and not key):
        return None
    try:
        from alpha_arena.llm.answer import schema
        from alpha_arena.llm.chat import Chat
    except ModuleNotFoundError as error:
        raise ConfigError(f"decision=llm needs {error.name}: install alpha-arena[llm], or give llm.cache=replay_strict") from None
    return Chat(provider, key, provider.params(schema()), time.monotonic)
