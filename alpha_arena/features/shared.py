"""Indicators computed once for each distinct parameter, and shared by all strategies that ask for them meanwhile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
ROOM_BYTES = 96 * 2**20


class Memo:
    """Results by function and arguments, the least recently used forgotten first.

    Arrays among the arguments are known by identity: they are kept, so that no other array can take their place. What is computed of an
    array that can be changed is not kept.

    Args:
        room: bytes of results that are kept.
    """

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self.room = room
        self.used = 0
        self._kept: OrderedDict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = OrderedDict()

    def get(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """The result, computed where it is not known."""
        if any(isinstance(one, np.ndarray) and one.flags.writeable for one in arguments):
            return alone(function, arguments)
        key = (function, *(id(one) if isinstance(one, np.ndarray) else one for one in arguments))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        made = alone(function, arguments)
        self._keep(key, arguments, made)
        return made

    def _keep(self, key: tuple[Any, ...], arguments: tuple[Any, ...], made: Any) -> None:
        self._kept[key] = (arguments, made)
        self.used += size(made)
        while self.used > self.room and len(self._kept) > 1:
            self.used -= size(self._kept.popitem(last=False)[1][1])


def arrays(made: Any) -> list[Any]:
    """The arrays in a result: itself, or the parts of a tuple."""
    return [part for part in (made if isinstance(made, tuple) else (made,)) if isinstance(part, np.ndarray)]


def size(made: Any) -> int:
    """Bytes of a result."""
    return sum(array.nbytes for array in arrays(made))


MEMO: ContextVar[Memo | None] = ContextVar("memo", default=None)


def alone(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The result, read-only since others may see it; nothing that is called meanwhile is kept."""
    token = MEMO.set(None)
    try:
        made = function(*arguments)
    finally:
        MEMO.reset(token)
    for array in arrays(made):
        array.setflags(write=False)
    return made


@contextmanager
def shared(memo: Memo) -> Iterator[None]:
    """Within the block, in this thread, what `remembered` functions have computed is kept in the memo."""
    token = MEMO.set(memo)
    try:
        yield
    finally:
        MEMO.reset(token)


def remembered(function: Function) -> Function:
    """A pure function of arrays and numbers, given in their order, whose results can be shared. A call from within another is not kept:
    what it works on belongs to that one alone."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        memo = MEMO.get()
        return function(*arguments) if memo is None else memo.get(function, arguments)

    return cast(Function, call)
