"""What `doctor` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.core.venue import TryAgain, VenueRefused

# error: trading would be unsafe; unchecked: it could not be asked
Severity = Literal["ok", "info", "unchecked", "warning", "error"]

FIXES = {
    "50101": "these keys are of the other environment: demo keys need OKX_IS_DEMO=true, live keys OKX_IS_DEMO=false",
    "50102": "set this computer's clock (NTP); OKX takes requests within 30 s of its own",
    "50105": "OKX_PASSPHRASE is not the one chosen when the key was made",
    "50110": "add this machine's address to the key's list at OKX, or take the list away",
    "50111": "no such key at this host: check OKX_API_KEY and exchange.region (global, eea, us)",
    "50113": "OKX_API_SECRET does not belong to OKX_API_KEY",
    "50119": "no such key at this host: check OKX_API_KEY and exchange.region (global, eea, us)",
    "50120": "give the key the permission to trade at OKX",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at. said: what was found, one sentence. fix: what to do, "" where nothing is to be done.
    """

    severity: Severity
    check: str
    said: str
    fix: str = ""
    trader: str = ""
    symbol: str = ""


def tried(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; where the exchange does not answer, that it could not be checked; a refusal of the account is an error."""
    try:
        yield from look()
    except TryAgain as error:
        yield Finding("unchecked", check, f"the exchange did not answer: {error}", "check the network and run doctor again")
    except VenueRefused as error:
        yield Finding("error", check, str(error), FIXES.get(error.code, "correct the account at the exchange and run doctor again"))
    except AlphaArenaError as error:
        yield Finding("error", check, str(error), "correct this and run doctor again")


def is_refused(findings: list[Finding]) -> bool:
    """Whether asking on would only be refused again."""
    return any(one.severity in ("error", "unchecked") and one.check == "account" for one in findings)
