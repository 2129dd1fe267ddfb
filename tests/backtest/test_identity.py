"""Two trials are the same where code and everything told are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.identity import ROOT, code_hash, foreign_code, sources, trial_hash
from alpha_arena.settings import load

PARTS = {"symbol": "BTC/USDT:USDT", "parameters": {"ema_fast": 9, "stop": 0.1}, "costs": {"taker_fee": 0.0005}, "limit": None}
VALUES = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.none()))


def test_the_code_is_that_of_a_simulation() -> None:
    """Kernel, loop, fills, signals and risk; nothing of pages, commands or flows."""
    names = {file.relative_to(ROOT).as_posix() for file in sources()}
    for name in ("core/sizing.py", "features/indicators.py", "strategies/state.py", "risk/limits.py", "decision/portfolio.py", "engine.py"):
        assert name in names
    assert {"backtest/jit.py", "backtest/kernel.py", "execution/simulated.py", "exchange/matching.py"} <= names
    assert not [name for name in names if name.startswith(("monitor", "commands", "settings", "backtest/report"))]
    assert len(code_hash()) == 64


def test_what_the_kernel_is_made_of_counts() -> None:
    """Every module of backtest/ that it imports, and those import, is among the sources."""
    kept = {file.stem for file in sources() if file.parent.name == "backtest"}
    texts = {name: (ROOT / "backtest" / f"{name}.py").read_text(encoding="utf-8") for name in kept}
    for name in ("columns", "jit", "kernel", "targets", "trips"):
        assert set(re.findall(r"from alpha_arena\.backtest\.(\w+) import", texts[name])) <= kept


@given(VALUES)
def test_order_does_not_matter(parts: dict[str, float]) -> None:
    """The same parts in another order are the same trial."""
    assert trial_hash(dict(reversed(parts.items()))) == trial_hash(parts)


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "ETH/USDT:USDT"},
        {"parameters": {"ema_fast": 9, "stop": 0.10000000000000002}},
        {"costs": {}},
        {"limit": 1},
        {"more": None},
    ],
)
def test_every_part_matters(changed: dict[str, object]) -> None:
    """Down to the last digit."""
    assert trial_hash({**PARTS, **changed}) != trial_hash(PARTS)


def test_what_json_cannot_say_is_null() -> None:
    """NaN is no reason to count a trial twice."""
    assert trial_hash({"a": nan}) == trial_hash({"a": None})


def test_a_plugin_s_code_counts() -> None:
    """The package's own is in the code's hash already."""

    @dataclass
    class Foreign:
        """A strategy of somebody else."""

    assert list(foreign_code([Foreign(), *load("backtest").strategies.values()])) == [Foreign.__qualname__]


FILES = {
    "mine.py": "import numpy\nfrom inner import deep\nfrom inner.parts import scale\nclass Mine:\n  def wish(self):\n    import late\n",
    "inner/__init__.py": "",
    "inner/deep.py": "from . import near\n\ndef never():\n    from ..nowhere import thing\n",
    "inner/near.py": "from .parts.scale import by\n",
    "inner/parts/__init__.py": "",
    "inner/parts/scale.py": "by = 2\n",
    "late.py": "import mine\n",
    "other.py": "class Other: ...\n",
    "other_data.py": "",
}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that import each other."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"mine", "inner", "late", "other"}]:
        sys.modules.pop(name)


@pytest.mark.parametrize(("changed", "counts"), [(name, not name.startswith("other")) for name in FILES])
def test_what_a_plugin_imports_of_its_own_folder_counts(plugin: Path, changed: str, counts: bool) -> None:
    """Through packages, relative names and functions, in circles; what it does not import is no part of it."""
    kind = import_module("mine").Mine
    before = foreign_code([kind])
    (plugin / changed).write_bytes(FILES[changed].replace("\n", "\r\n").encode())
    assert foreign_code([kind]) == before
    (plugin / changed).write_text(f"{FILES[changed]}\n# changed\n")
    assert (foreign_code([kind]) != before) == counts
