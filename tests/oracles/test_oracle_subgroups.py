"""The scan of pairs of conditions counts, sums and ranks what pysubgroup finds in the same table."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from edgesmith.evaluation.bins import FeatureBins
from edgesmith.evaluation.screening import (
    INTERVALS,
    LANES,
    SLOTS,
    add_pairs,
    codes_of_interval,
    intervals_of,
    merge_codes,
    merged,
    over_intervals,
    pack_labels,
)
from oracles.subgroups import BINS, FEATURES, FIGURES, ROWS, SPANS, table


@pytest.mark.parametrize(("name", "sign"), [("up", 1), ("down", -1)])
def test_pairs_are_those_of_pysubgroup(name: str, sign: int) -> None:
    codes, target = table()
    target = sign * target
    bins = FeatureBins("f", tuple(np.arange(1.0, BINS)))
    pairs = np.array(list(combinations(range(FEATURES), 2)), np.int64)
    merged_codes = np.empty((FEATURES, ROWS), np.uint8)
    merge_codes(np.ascontiguousarray(codes.T.astype(np.uint8)), np.stack([merged(bins)] * FEATURES), merged_codes)
    packed = np.empty((ROWS, LANES), np.int64)
    # Moments 1 and g of the only column; the others are not asked for.
    labels = np.zeros((ROWS, 6), np.int64)
    labels[:, 0], labels[:, 1] = 1, target
    pack_labels(labels, 1, packed)
    sums = np.zeros((len(pairs), SLOTS * SLOTS, LANES), np.int64)
    add_pairs(merged_codes, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), packed, sums)
    cells = over_intervals(over_intervals(sums.reshape(len(pairs), SLOTS, SLOTS, LANES), 1), 2)
    asked = [at for at in np.flatnonzero(intervals_of(bins)) if INTERVALS[at][0] < SLOTS - 1]
    assert sorted(codes_of_interval(bins, at) for at in asked) == sorted(SPANS)
    found: list[dict[str, Any]] = []
    for pair, (f, g) in enumerate(pairs.tolist()):
        for x in asked:
            for y in asked:
                n, s = cells[pair, x, y, 0], cells[pair, x, y, 1]
                if n:
                    where = [[f"f{f}", *codes_of_interval(bins, x)], [f"f{g}", *codes_of_interval(bins, y)]]
                    found.append({"where": where, "size": n, "mean": s / n, "quality": np.sqrt(n) * (s / n - target.mean())})
    wanted = json.loads(FIGURES.read_text())[name]
    ranked = sorted(found, key=lambda one: (-one["quality"], one["where"]))[: len(wanted)]
    # pysubgroup's quality is in parts of all rows.
    scale = wanted[0]["quality"] / ranked[0]["quality"]
    assert [one["where"] for one in ranked] == [one["where"] for one in wanted]
    for ours, theirs in zip(ranked, wanted, strict=True):
        assert ours["size"] == theirs["size"]
        assert (ours["mean"], scale * ours["quality"]) == pytest.approx((theirs["mean"], theirs["quality"]), rel=1e-9)
