"""Compilation of loops that numpy cannot express."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call and cached on disk where a folder can be written.

    Its arguments are arrays and numbers.
    """
    try:
        return cast(Function, njit(cache=True)(function))
    except RuntimeError:
        # numba finds no place for its cache: a read-only installation without a home, or code that is in no file
        return cast(Function, njit(function))
