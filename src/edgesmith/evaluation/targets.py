"""Labels read off quotes that lie on a dense grid; compiled.

The formulas and their integer units are those of `labels`; here every price of a day is at hand, so a label is four look-ups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesmith.compiled import kernel
from edgesmith.evaluation.labels import LABEL_LIMIT_BPS, SQUARE_UNITS, SUM_UNITS


@kernel
def label_grid(
    mids: NDArray[np.float64],
    spreads: NDArray[np.float64],
    segment_last: NDArray[np.int32],
    begin: int,
    end: int,
    step: int,
    latency_of: NDArray[np.int64],
    shift_of: NDArray[np.int64],
    row_last: NDArray[np.int64],
    fees_bps: float,
    out: NDArray[np.int64],
) -> int:
    """Write the labels of rows `begin`, `begin` + `step`, ... before `end` into `out` (rows, 6 x columns); zeros where missing.

    `mids` and `spreads` (latencies, rows) hold the quote in force at each row's instant plus latency, NaN where not known.
    A label ends in the segment it began in, at most at row `segment_last`, and begins at `row_last` of its column at the latest.
    All counts come first, then all gross moves, and so on. Returns -1, or the row whose label was beyond `LABEL_LIMIT_BPS`.
    """
    width = latency_of.shape[0]
    for at in range((end - begin + step - 1) // step):
        row = begin + at * step
        for j in range(width):
            for q in range(6):
                out[at, q * width + j] = 0
            series = latency_of[j]
            last = row + shift_of[j]
            if last > segment_last[row] or row > row_last[j]:
                continue
            mid = mids[series, row]
            gross_bps = 1e4 * (mids[series, last] - mid) / mid
            cost_bps = 1e4 * (spreads[series, row] + spreads[series, last]) / (2.0 * mid) + fees_bps
            if np.isnan(gross_bps) or np.isnan(cost_bps):
                continue
            if abs(gross_bps) > LABEL_LIMIT_BPS or abs(cost_bps) > LABEL_LIMIT_BPS:
                return row
            gross = np.rint(gross_bps * SUM_UNITS)
            cost = np.rint(cost_bps * SUM_UNITS)
            out[at, j] = 1
            out[at, width + j] = np.int64(gross)
            out[at, 2 * width + j] = np.int64(cost)
            out[at, 3 * width + j] = np.int64(np.rint(gross * gross / SQUARE_UNITS))
            out[at, 4 * width + j] = np.int64(np.rint(gross * cost / SQUARE_UNITS))
            out[at, 5 * width + j] = np.int64(np.rint(cost * cost / SQUARE_UNITS))
    return -1
