"""A market of several perpetual swaps that needs no network: minute bars, mark, index and funding from a seed."""

from alpha_arena.exchange.synthetic.model import REALISTIC, VIVID, Model
from alpha_arena.exchange.synthetic.synthetic import Synthetic

__all__ = ["REALISTIC", "VIVID", "Model", "Synthetic"]
