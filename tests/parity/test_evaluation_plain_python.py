"""The coded panel, its block sums and scans without the compiler give the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from builders_discovery import QuoteProgram, TapeSource, planted_tape
from edgesmith.domain.events import FLAG_AFTER_GAP
from edgesmith.domain.units import NS_PER_S
from edgesmith.edges.discovery.screen import screen_pairs, screen_triples
from edgesmith.edges.discovery.survey import survey
from edgesmith.evaluation.bins import DEFAULT_QUANTILES
from edgesmith.evaluation.coded import code_panel
from edgesmith.evaluation.labels import LabelSpec, column_groups
from edgesmith.evaluation.sums import Condition, SingleCells, TriggerCells

TESTS = Path(__file__).resolve().parents[1]


def digest() -> str:
    """Return the hash of a short coded panel and of the sums and scans over it."""
    events = planted_tape(9, minutes=1)
    events["flags"][200] = FLAG_AFTER_GAP
    spec = LabelSpec(horizons_ns=(NS_PER_S, 12 * NS_PER_S), latencies_ns=(0, 70_000_000), fee_in_bps=1.0, fee_out_bps=2.0)
    source, program = TapeSource(events), QuoteProgram()
    first_ns, last_ns = source.span(1)
    read = survey(source, 1, program, spec, (first_ns, first_ns + 20 * NS_PER_S), DEFAULT_QUANTILES, lake=None)
    panel = code_panel(source, 1, program, spec, read.bins, first_ns, last_ns, lake=None)
    seen = hashlib.sha256(repr(read).encode())
    for day in panel.days:
        kept = panel.open_day(day)
        for array in (kept.codes, kept.grid.mids, kept.grid.spreads, kept.grid.segment_last):
            seen.update(np.ascontiguousarray(array).tobytes())
    groups = column_groups(spec, last_ns - first_ns)
    triggers = TriggerCells([(Condition(0, np.arange(256) < 4),), ()])
    for cells in (SingleCells(panel.bins), triggers):
        for one in panel.block_sums(cells, groups, moments=6):
            assert one.sums.any()
            seen.update(one.sums.tobytes() + one.squares.tobytes())
    pairs = screen_pairs(panel, [0, 1, 2], {NS_PER_S: 1.0, 12 * NS_PER_S: 3.0}, 5, 4, None)
    triples = screen_triples(panel, pairs.chosen, [0, 1, 2], {NS_PER_S: 1.0}, 2, 4, None)
    assert pairs.chosen
    seen.update(repr((pairs, triples)).encode())
    return seen.hexdigest()


def test_compiled_equals_plain_python() -> None:
    code = "from parity.test_evaluation_plain_python import digest; print(digest())"
    environment = dict(os.environ, NUMBA_DISABLE_JIT="1", PYTHONPATH=str(TESTS))
    plain = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert plain.stdout.strip() == digest()
