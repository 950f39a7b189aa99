"""Features of direction: relative strength and the place inside the recent band."""

from __future__ import annotations

from typing import Annotated

from edgesmith.features.arithmetic import NEGATIVE_PART, POSITIVE_PART
from edgesmith.features.operator import Mirror, Node, Operator, Range, Unit, Window, register
from edgesmith.features.price import CHANGE, MID
from edgesmith.features.rolling import mean_of, std_of, sum_of


def strength(gain: float, loss: float) -> float:
    """Return 100 gain / (gain + loss); 50 where both are 0."""
    if gain + loss == 0.0:
        return 50.0
    return 100.0 * gain / (gain + loss)


def band_position(x: float, mean: float, std: float, width: float) -> float:
    """Return where `x` lies between mean - width std (0) and mean + width std (1), clamped; 0.5 in a band of no width."""
    if std == 0.0:
        return 0.5
    position = 0.5 + (x - mean) / (2.0 * width * std)
    # Comparisons written so that NaN passes through.
    return 0.0 if position < 0.0 else 1.0 if position > 1.0 else position


@register(unit=Unit.RATIO, mirror=Mirror.ODD, center=50.0)
def rsi(period: Window = 14) -> Node:
    """100 G / (G + L), 0 to 100: simple sums G, L of gains and losses over the last `period` changes of m.

    A window in which the price never moved gives 50: neither gain nor loss is known. (With L alone 0 it is 100.)
    """
    gain, loss = sum_of(POSITIVE_PART(CHANGE), period), sum_of(NEGATIVE_PART(CHANGE), period)
    return Operator(strength)(gain, loss)


@register(unit=Unit.RATIO, mirror=Mirror.ODD, center=0.5)
def bollinger_pos(period: Window = 20, width: Annotated[float, Range(0.01, 100.0)] = 2.0) -> Node:
    """(m - lo) / (up - lo) clamped to 0..1, lo and up = mean of m -/+ width std over `period`; 0.5 in a flat window."""
    mean, std = mean_of(MID, period), std_of(MID, period)
    return Operator(band_position)(MID, mean, std, params=(width,))
