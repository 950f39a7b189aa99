"""The best subgroups of a small table, as pysubgroup finds them: figures for `test_oracle_subgroups.py`.

pysubgroup needs numpy 1, so it cannot be installed beside us. This writes what it finds into `subgroups.json`:

    .venv/bin/uv run --isolated --no-project --with pysubgroup --with 'numpy<2' python tests/oracles/subgroups.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = Path(__file__).with_suffix(".json")
FEATURES, BINS, ROWS, KEPT = 4, 10, 4_000, 30
# What a condition may be: a bin alone, or a run of bins.
SPANS = [(bin, bin) for bin in range(BINS)] + [(0, 1), (0, 2), (0, 3), (0, 4), (3, 4), (5, 6), (5, 9), (6, 9), (7, 9), (8, 9)]


def table() -> tuple[Any, Any]:
    """Return codes (rows, features) of 0..9 and a target in whole units, of integers alone: the same under any numpy."""
    state, words = 20_240_808, []
    for _ in range(ROWS * (FEATURES + 2)):
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        words.append(state >> 40)
    drawn = np.array(words, dtype=np.int64).reshape(ROWS, FEATURES + 2)
    codes = drawn[:, :FEATURES] % BINS
    noise = drawn[:, FEATURES] % 2_001 - drawn[:, FEATURES + 1] % 2_001
    leans = (codes[:, 0] >= 7) & (codes[:, 2] <= 1)
    falls = (codes[:, 1] == 3) & (codes[:, 3] >= 5)
    return codes, noise + 900 * leans - 700 * falls


def best(sign: int) -> list[dict[str, Any]]:
    """Return the best pairs of conditions on two features for the target of that sign: by sqrt(size) x (mean - mean of all)."""
    import pandas as pd
    import pysubgroup as ps

    codes, target = table()
    data = pd.DataFrame(codes, columns=[f"f{f}" for f in range(FEATURES)])
    data["y"] = (sign * target).astype(float)
    selectors = [ps.IntervalSelector(f"f{f}", low, high + 1) for f in range(FEATURES) for low, high in SPANS]
    task = ps.SubgroupDiscoveryTask(
        data, ps.NumericTarget("y"), selectors, result_set_size=4_000, depth=2, qf=ps.StandardQFNumeric(0.5)
    )
    found = []
    for quality, subgroup, _ in ps.SimpleDFS().execute(task).results:
        parts = sorted((one.attribute_name, int(one.lower_bound), int(one.upper_bound) - 1) for one in subgroup.selectors)
        # Two intervals of one feature are an interval of it.
        if len({name for name, _, _ in parts}) == 2:
            inside = subgroup.covers(data)
            found.append((float(quality), parts, int(inside.sum()), float(data["y"][inside].mean())))
    ordered = sorted(found, key=lambda one: (-one[0], one[1]))[:KEPT]
    return [{"where": where, "size": size, "mean": mean, "quality": quality} for quality, where, size, mean in ordered]


def main() -> None:
    lines = {name: [json.dumps(one) for one in best(sign)] for name, sign in (("up", 1), ("down", -1))}
    body = ",\n".join(f'"{name}": [\n' + ",\n".join(rows) + "\n]" for name, rows in lines.items())
    FIGURES.write_text("{\n" + body + "\n}\n")


if __name__ == "__main__":
    main()
