"""Numbers of a printed law: as many digits as reproduce its loss, intervals with open ends.

    rounded((0.04683, 1.0213), lambda c: c[0] / x ** c[1] + E)     # ["0.0468", "1.02"]

In raw units, A / N^alpha multiplies an error of the exponent by ln N: three digits are then too
few.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

TOLERANCE = 5e-4
"""Error of a printed law at its points (nats/token): that of its limit's three decimals."""


def rounded(
    coefficients: Sequence[float], predict: Callable[[Sequence[float]], ArrayLike]
) -> list[str]:
    """Return coefficients with the fewest digits, three or more, at which the loss is the same.

    predict: the losses at the law's points, from coefficients. A law without points is given in
    its printed coefficients, which stay as they are.
    """
    exact = np.asarray(predict(coefficients))
    if not exact.size:
        return [f"{value:g}" for value in coefficients]
    for digits in range(3, 17):
        texts = [_significant(value, digits) for value in coefficients]
        printed = np.asarray(predict([float(text) for text in texts]))
        if np.all(np.abs(printed - exact) <= TOLERANCE):
            return texts
    return [repr(value) for value in coefficients]


def _significant(value: float, digits: int) -> str:
    """Return a number with its trailing zeros where it is of the order of 1: 1.00, but 0.05."""
    return f"{value:.{digits - 1}f}" if 1 <= abs(value) < 10 else f"{value:.{digits}g}"


def interval_text(interval: tuple[float, float]) -> str:
    """Return the interval of a limit: [3.420, 3.441], or with −∞ or ∞ where it is open."""
    text = "[{:.3f}, {:.3f}]".format(*interval)
    return text.replace("inf", "∞").replace("-∞", "−∞")


def interval_latex(interval: tuple[float, float]) -> str:
    """Return `interval_text` for an equation."""
    return "[{:.3f},\\, {:.3f}]".format(*interval).replace("inf", r"\infty")
