"""A market of several perpetual swaps that needs no network: minute bars, mark, index and funding from a seed.

It has the volatility, tails, memory, volume and funding of real candles, and no more to exploit. It is no evidence about a strategy.
Known to differ: ADX is one to two points low; the signs of returns revert less (VR64 .90, real .71); minute wicks are long; no leverage
effect, no news, no outages; one regime clock for all symbols; the momentum in the premium steps at 00:00 UTC.
"""

from alpha_arena.exchange.synthetic.model import REALISTIC, VIVID, Model
from alpha_arena.exchange.synthetic.synthetic import Synthetic

__all__ = ["REALISTIC", "VIVID", "Model", "Synthetic"]
