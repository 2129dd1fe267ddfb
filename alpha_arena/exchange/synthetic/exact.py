"""Elementary functions that give the same bits on every machine.

np.exp and np.log take other code paths, and give other last bits, on processors with and without AVX-512. These use only operations that
IEEE 754 rounds correctly (+ - * / sqrt rint floor), bit moves and fixed polynomials, each as a numpy call of its own, so that no
compiler can fuse them. Arrays are float64 of any shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Floats

LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
INVERSE_LN2 = 1.44269504088896338700e00
SQRT2 = 1.4142135623730951

MANTISSA = np.uint64((1 << 52) - 1)
ONE = np.uint64(1023 << 52)

EXP = (
    *(1 / 39916800, 1 / 3628800, 1 / 362880, 1 / 40320, 1 / 5040, 1 / 720),
    *(1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0),
)
LOG = (2 / 17, 2 / 15, 2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0)

# Acklam, "An algorithm for computing the inverse normal cumulative distribution function" (2003): relative error 1.15e-9
CENTRE_TOP = (
    *(-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02),
    *(1.383577518672690e02, -3.066479806614716e01, 2.506628277459239e00),
)
CENTRE_BOTTOM = (
    *(-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02),
    *(6.680131188771972e01, -1.328068155288572e01, 1.0),
)
TAIL_TOP = (
    *(-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00),
    *(-2.549732539343734e00, 4.374664141464968e00, 2.938163982698783e00),
)
TAIL_BOTTOM = (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0)
TAIL = 0.02425


def polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    """Horner's rule, highest power first."""
    y = x * coefficients[0]
    for c in coefficients[1:-1]:
        y += c
        y *= x
    y += coefficients[-1]
    return y


def exp(x: Floats) -> Floats:
    """e^x to 9e-15 relative for |x| < 700."""
    k = np.rint(x * INVERSE_LN2)
    y = polynomial((x - k * LN2_HIGH) - k * LN2_LOW, EXP)
    y *= power_of_two(k.astype(np.int64))
    return y


def power_of_two(k: NDArray[np.int64]) -> Floats:
    """2^k for |k| < 1023."""
    return ((k + 1023) << 52).view(np.float64)


def log(x: Floats) -> Floats:
    """Natural logarithm to a few units in the last place, for normal positive x."""
    bits = np.asarray(x, np.float64).view(np.uint64)
    power = (bits >> np.uint64(52)).astype(np.float64) - 1023.0
    m = ((bits & MANTISSA) | ONE).view(np.float64)
    large = m > SQRT2
    m = m * np.where(large, 0.5, 1.0)
    power += large
    s = (m - 1.0) / (m + 1.0)
    return power * LN2_HIGH + (power * LN2_LOW + s * polynomial(s * s, LOG))


def normal(u: Floats) -> Floats:
    """The standard normal quantile of u, 0 < u < 1, to 1.2e-9 relative."""
    q = u - 0.5
    r = q * q
    z = q * polynomial(r, CENTRE_TOP) / polynomial(r, CENTRE_BOTTOM)
    low, high = np.flatnonzero(u < TAIL), np.flatnonzero(u > 1 - TAIL)
    z[low] = tail(u[low])
    z[high] = -tail(1.0 - u[high])
    return z


def tail(u: Floats) -> Floats:
    """The quantile for u < TAIL."""
    q = np.sqrt(-2.0 * log(u))
    return polynomial(q, TAIL_TOP) / polynomial(q, TAIL_BOTTOM)


def interpolate(x: Floats, knots: Floats, values: Floats) -> Floats:
    """Piecewise linear through (knots, values), constant outside. np.interp may be compiled with fused operations."""
    inside = np.minimum(np.maximum(x, knots[0]), knots[-1])
    i = np.minimum(np.searchsorted(knots, inside, side="right"), knots.size - 1) - 1
    slope = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
    result: Floats = values[i] + (inside - knots[i]) * slope[i]
    return result
