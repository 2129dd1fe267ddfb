"""A folder's hashes, and where figures and frames first differ."""

from __future__ import annotations

import hashlib
import json
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.folder import written
from alpha_arena.backtest.proof import Kept, first_difference, flat, same_code, same_config, same_result, same_versions, untouched

NOW = 1_706_709_909_123
FRAME = pd.DataFrame({"ts": [NOW, NOW + 1, NOW + 2], "equity": [1.0, nan, 0.1 + 0.2], "side": ["long", "short", "long"]})
RESULT = {"sharpe": 1.5, "calmar": None, "seconds": 3.0, "costs": {"fees": 0.1}, "open": [], "warnings": ["a", "b"]}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A folder with two files."""

    def fill(draft: Path) -> None:
        (draft / "meta.json").write_text(json.dumps({"command": "x", "name": "n", "versions": {"a": "1"}, "sha256": {}, "code": "ab"}))
        (draft / "one").write_bytes(b"1")
        (draft / "two").write_bytes(b"2")

    return Kept.of(written(tmp_path, "x", "n", NOW, fill))


def test_every_file_has_its_hash_in_meta(kept: Kept) -> None:
    """Whatever the command; meta.json itself aside."""
    assert kept.meta["files"] == {name: hashlib.sha256(text).hexdigest() for name, text in (("one", b"1"), ("two", b"2"))}
    assert untouched(kept).same
    (kept.path / "two").write_bytes(b"3")
    assert untouched(kept).said == "changed after the run: two"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sharpe": 1.5000000000000002}, "sharpe is 1.5 in the folder and 1.5000000000000002 made again; 1 of 6 figures differ"),
        ({"calmar": 0.0}, "calmar is None in the folder and 0.0 made again"),
        ({"costs": {"fees": 0.1, "more": 1}}, "costs.more is nothing in the folder and 1 made again"),
        ({"open": [{"symbol": "X"}], "warnings": []}, "open is [] in the folder and nothing made again"),
    ],
)
def test_the_first_figure_that_differs_is_told(change: dict[str, Any], said: str) -> None:
    """The last digit counts, the seconds that it took do not."""
    assert same_result(RESULT, {**RESULT, "seconds": 9.0, "sharpe": 1.5}).same
    made = same_result(RESULT, {**RESULT, **change})
    assert not made.same
    assert said in made.said


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            FRAME.assign(equity=[1.0, nan, 0.3]),
            "equity of row 2 (31 Jan 2024 14:05) is 0.30000000000000004 in the folder and 0.3 made again; 1 of 3",
        ),
        (
            FRAME.assign(equity=[1.0, 2.0, 3.0], side=["long"] * 3),
            "equity of row 1 (31 Jan 2024 14:05) is nan in the folder and 2.0 made again; 2 of 3",
        ),
        (FRAME.assign(side="short"), "side of row 0"),
        (FRAME.head(2), "3 rows in the folder and 2 made again"),
        (FRAME.drop(columns="side"), "columns are ts, equity, side in the folder and ts, equity made again"),
    ],
)
def test_the_first_row_that_differs_is_told(made: pd.DataFrame, said: str) -> None:
    """With its time and both values; NaN is equal to NaN."""
    assert first_difference(FRAME, FRAME.copy()) == ""
    assert first_difference(FRAME, made).startswith(said)


@given(
    st.recursive(
        st.one_of(st.integers(), st.text(max_size=3)), lambda inner: st.dictionaries(st.text("abc", min_size=1), inner), max_leaves=8
    )
)
def test_nothing_is_lost_when_names_are_dotted(value: Any) -> None:
    """As many leaves as there are, an empty mapping being one."""

    def leaves(node: Any) -> int:
        return sum(map(leaves, node.values())) if isinstance(node, dict) and node else 1

    assert len(list(flat(value))) == leaves(value)


def test_what_is_for_information_says_then_and_now(kept: Kept) -> None:
    """Versions, code and configuration never decide."""
    versions = same_versions(kept, {"a": "2", "b": "1"})
    code = same_code(kept, "cd", {"revision": "0123456789abcdef", "changed": False})
    config = same_config({"a": {"b": 1}, "outputs": "x"}, {"a": {"b": 2}, "outputs": "y"}, ("outputs",))
    assert [one.same or one.binding for one in (versions, code, config)] == [False] * 3
    assert versions.said == "a 1 then, 2 now; b None then, 1 now"
    assert code.said == "what shapes a simulation was changed; revision unknown then, 0123456789ab now"
    assert config.said == "a.b was 1, is 2 here: the run is made again with what it was"
