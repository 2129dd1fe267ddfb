"""Compilation of loops that numpy cannot express."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call and cached on disk; its arguments are arrays and numbers."""
    return cast(Function, njit(cache=True)(function))
