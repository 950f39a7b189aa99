"""The panel and the block sums without the compiler give the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from builders_discovery import START_NS, planted_tape
from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.domain.units import NS_PER_S
from edgesmith.evaluation.bins import cut_matrix, encode_rows, fit_bins
from edgesmith.evaluation.blocks import BlockSums
from edgesmith.evaluation.labels import LabelSpec, column_groups
from edgesmith.evaluation.panel import Panel

TESTS = Path(__file__).resolve().parents[1]


def digest() -> str:
    """Return the hash of every chunk and every block sum of a short tape."""
    events = planted_tape(9, minutes=1)
    events["flags"][200] = FLAG_AFTER_GAP
    features = np.stack([events["bid_qty"], np.where(events["ask_qty"] > 0, events["ask_qty"], np.nan)], axis=1)
    spec = LabelSpec(horizons_ns=(NS_PER_S, 12 * NS_PER_S), latencies_ns=(0, 70_000_000), fee_in_bps=1.0, fee_out_bps=2.0)
    groups = column_groups(spec, 0)
    bins = tuple(fit_bins(name, features[:, column]) for column, name in enumerate("ab"))
    cuts, counts = cut_matrix(bins)
    panel = Panel(spec, groups, instrument=1, width=2)
    sums = [BlockSums(group, ("a", "b")) for group in groups]
    seen = hashlib.sha256(repr(bins).encode())
    for chunk in (*panel.feed(events, features), *panel.finish()):
        codes = np.empty(chunk.features.shape, np.uint8)
        encode_rows(np.ascontiguousarray(chunk.features), np.arange(2), cuts, counts, codes)
        for one, rows in zip(sums, chunk.groups, strict=True):
            one.add(chunk.ts_ns[rows.rows], codes[rows.rows], rows.labels)
        seen.update(chunk.ts_ns.tobytes() + chunk.features.tobytes() + codes.tobytes())
    for one in sums:
        assert one.stacked().any() and one.keys[0] == START_NS // one.group.block_ns
        seen.update(one.stacked().tobytes())
    return seen.hexdigest()


def test_compiled_equals_plain_python() -> None:
    code = "from parity.test_evaluation_plain_python import digest; print(digest())"
    environment = dict(os.environ, NUMBA_DISABLE_JIT="1", PYTHONPATH=str(TESTS))
    plain = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert plain.stdout.strip() == digest()
