"""Functions and random words with the same bits everywhere."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from alpha_arena.exchange.synthetic.exact import exp, interpolate, log, normal
from alpha_arena.exchange.synthetic.noise import Span, key_word, uniform, words

GRID = np.arange(1, 100_000) / 100_000.0


def digest(*arrays: np.ndarray) -> str:
    return sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def test_exp_log_and_normal_are_accurate() -> None:
    x = np.linspace(-40, 40, 100_001)
    assert np.abs(exp(x) / np.exp(x) - 1).max() < 1e-14
    y = np.exp(np.linspace(-200, 200, 100_001))
    assert np.abs(log(y) - np.log(y)).max() < 1e-13
    tails = np.concatenate([GRID, 2.0 ** -np.arange(5, 53), 1 - 2.0 ** -np.arange(5, 53)])
    assert np.abs(normal(tails) - ndtri(tails)).max() < 1e-7


def test_the_functions_have_these_bits_on_every_machine() -> None:
    assert digest(exp(GRID * 20 - 10)) == "95c0c44517bb0955"
    assert digest(log(GRID)) == "a9966fd6f315991f"
    assert digest(normal(GRID)) == "6f8998e9b9096f56"


def test_interpolation_is_linear_between_knots_and_constant_outside() -> None:
    knots, values = np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, 0.0])
    assert interpolate(np.array([-1, 0, 0.5, 1, 2, 3, 9.0]), knots, values).tolist() == [2, 2, 3, 4, 2, 0, 0]


def test_words_are_the_philox_stream_of_the_name() -> None:
    """Vectors of words, not only of prices: numpy promises this stream for good."""
    assert key_word("shock") == 0x51F9BE47
    assert words(7, "shock", 0, 2).tolist() == [
        [0xC9421E04E06156A2, 0xBC89FF3C75E43D6D, 0x5786B47DC3DFB21D, 0x8180F62FE3D2FBCA],
        [0xA5709D00FAD0B4A2, 0x4854DC8A52B2629C, 0x8293BD4CB80162A0, 0xDB77F28F868A4AC2],
    ]
    assert words(7, "shock", 28_000_000, 1).tolist() == [[0xEDA8F350C66B44, 0xF18DC42591896556, 0x38F68127F4B96A66, 0x54BC940074483584]]


def test_any_part_of_a_stream_is_reached_alone() -> None:
    assert (words(3, "a", 100, 50)[10:15] == words(3, "a", 110, 5)).all()
    assert (words(3, "a", -20, 30)[20:] == words(3, "a", 0, 10)).all()
    assert (words(3, "a", 0, 9) != words(4, "a", 0, 9)).all()
    assert (words(3, "a", 0, 9) != words(3, "b", 0, 9)).all()


def test_two_streams_with_one_key_are_refused() -> None:
    key_word("plumless")
    with pytest.raises(ValueError, match="rename one"):
        key_word("buckeroo")


def test_uniforms_never_reach_their_limits() -> None:
    ends = uniform(np.array([0, 2**64 - 1], np.uint64))
    assert ends[0] > 0
    assert ends[1] < 1
    assert np.isfinite(normal(ends)).all()


@given(st.sampled_from([1, 5, 80, 1440]), st.integers(-5000, 5000), st.integers(1, 3000), st.integers(1, 3000))
def test_cells_do_not_depend_on_what_is_asked(duration: int, start: int, before: int, length: int) -> None:
    end = start + length
    part, longer = Span(5, start, end).cells("c", duration), Span(5, start - before, end).cells("c", duration)
    assert (part.spread(part.value) == longer.spread(longer.value)[before:]).all()
    assert (part.spread(part.begin) == longer.spread(longer.begin)[before:]).all()
    assert (part.spread(part.begin) > start - 2 * duration).all()


def test_cells_last_their_mean_duration_and_have_no_grid() -> None:
    cells = Span(5, 0, 400_000).cells("c", 60)
    assert 400_000 / cells.length.size == pytest.approx(60, rel=0.02)
    assert cells.length.max() <= 2 * 60
    assert np.bincount(cells.begin[1:] % 60, minlength=60).max() < 200
