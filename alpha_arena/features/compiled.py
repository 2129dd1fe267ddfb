"""Compilation of loops that numpy cannot express."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., object])
PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = ("backtest", "features", "risk", "strategies")


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call and cached on disk where a folder can be written.

    Its arguments are arrays and numbers.
    """
    return _cached(function, nogil=True)


def inlined(function: Function) -> Function:
    """As `compiled`, and put into its callers' code: passing tuples of arrays to a function of its own counts references to each array."""
    return _cached(function, forceinline=True)


def _cached(function: Function, **options: bool) -> Function:
    try:
        with _folder_of_these_sources():
            return cast(Function, njit(cache=True, error_model="numpy", **options)(function))
    except RuntimeError:
        # numba finds no place for its cache: a read-only installation without a home, or code that is in no file
        return cast(Function, njit(error_model="numpy", **options)(function))


@contextmanager
def _folder_of_these_sources() -> Iterator[None]:
    """numba renews what it keeps of a function where the function's own file has changed; what is put into it comes from other files."""
    given = config.CACHE_DIR
    if not given and not os.access(PACKAGE, os.W_OK):
        # numba's own choice for what cannot be written beside: installed code does not change under one path
        yield
        return
    config.CACHE_DIR = str(Path(given or PACKAGE / "__pycache__") / f"numba-{_sources()}")
    try:
        yield
    finally:
        config.CACHE_DIR = given


@cache
def _sources() -> str:
    digest = sha256()
    for file in sorted(file for name in FOLDERS for file in (PACKAGE / name).glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
