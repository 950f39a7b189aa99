"""Boosted trees (xgboost, extra `ml`) as the model whose features are permuted; fitted on an even sample of the train rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.errors import InputError
from edgesmith.evaluation.analysis.rows import AnalysisRows

TRAIN_ROWS_MAX = 200_000
# Every feature is forecast anew for every repeat, so held-out rows are thinned to about so many.
HELD_OUT_ROWS_MAX = 65_536
SETTINGS: dict[str, float] = {"rounds": 80, "max_depth": 4, "eta": 0.08, "subsample": 0.7, "min_child_weight": 100, "lambda": 10}


class Trees:
    """A fitted booster over columns in their order."""

    def __init__(self, rows: AnalysisRows, train: slice, seed: int) -> None:
        self._xgboost = _xgboost()
        chosen = np.arange(train.start, train.stop, -(-(train.stop - train.start) // TRAIN_ROWS_MAX))
        chosen = chosen[np.isfinite(rows.label[chosen])]
        settings: dict[str, Any] = {name: value for name, value in SETTINGS.items() if name != "rounds"}
        settings |= {"max_depth": int(SETTINGS["max_depth"]), "tree_method": "hist", "seed": seed % 2**31, "nthread": 1}
        matrix = np.ascontiguousarray(rows.values[:, chosen].T)
        data = self._xgboost.DMatrix(matrix, label=rows.label[chosen])
        self.train_rows = len(chosen)
        self._booster = self._xgboost.train(settings, data, num_boost_round=int(SETTINGS["rounds"]))
        spread = float(np.square(rows.label[chosen] - rows.label[chosen].mean(dtype=np.float64)).sum(dtype=np.float64))
        errors = rows.label[chosen] - self.forecast(matrix)
        self.r2_train = 1.0 - float(np.square(errors).sum(dtype=np.float64)) / spread if spread > 0 else None

    def forecast(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return forecasts (rows,) of a matrix (rows, columns)."""
        return np.asarray(self._booster.inplace_predict(matrix), np.float32)


def permuted_losses(
    model: Trees,
    matrix: NDArray[np.float32],
    place: int,
    label: NDArray[np.float32],
    errors: NDArray[np.float32],
    sources: NDArray[np.int64],
    block_rows: int,
) -> NDArray[np.float64]:
    """Return how much the squared error of each block grows when it takes the feature's values of other blocks, all repeats."""
    blocks = sources.shape[1]
    out, kept = np.zeros(blocks), matrix[:, place].copy()
    for source in sources:
        matrix[: blocks * block_rows, place] = kept[: blocks * block_rows].reshape(blocks, block_rows)[source].reshape(-1)
        grown = np.square(label - model.forecast(matrix)) - np.square(errors)
        out += np.nansum(grown[: blocks * block_rows].reshape(blocks, block_rows).astype(np.float64), axis=1)
    matrix[:, place] = kept
    return out


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError:
        raise InputError(
            "xgboost is not installed, expected it for --model xgboost; install edgesmith[ml] or use ridge"
        ) from None
    return xgboost
