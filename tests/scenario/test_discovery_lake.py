"""Discovery on the real replay and the real compiled features: a planted edge in a lake, and a real capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builders import put
from builders_discovery import instrument, planted_tape
from edgesmith.domain.events import PAYLOAD_FIELDS, Stream
from edgesmith.domain.units import NS_PER_S
from edgesmith.edges.discovery.config import DiscoveryConfig
from edgesmith.edges.discovery.pipeline import discover
from edgesmith.edges.verdict import Verdict
from edgesmith.evaluation.sources import LakeSource
from edgesmith.features.catalog import feature, feature_set
from edgesmith.features.program import Program
from edgesmith.lake.catalog import Catalog
from edgesmith.lake.importers.entry import import_files
from edgesmith.venues.registry import find_instrument


def test_planted_edge_is_found_through_lake_and_compiled_features(tmp_path: Path) -> None:
    tape = planted_tape(4, effect_bps=6.0, minutes=60)
    tape = tape[tape["bid_qty"] > 0]
    columns = {name: tape[name].copy() for name in ("ts_event", "ts_recv", *PAYLOAD_FIELDS[Stream.BBO])}
    put(tmp_path, Stream.BBO, columns, venue="simulated", symbol="BUSDT", simulated=True)
    source = LakeSource(Catalog(tmp_path).partitions())
    program = Program([feature("spread"), feature("imbalance_ema", period=3)])
    config = DiscoveryConfig(horizons_ns=(NS_PER_S,), latencies_ns=(50_000_000,), flips=999)
    result = discover(source, instrument(0.0001), program, config)
    paying = [cell for cell in result.cells if cell.verdict is Verdict.CANDIDATE]
    assert paying and {(cell.feature, cell.side) for cell in paying} == {("imbalance_ema", 1)}
    # tanh of the latent state's 90 % quantile, beyond which the drift was planted.
    assert all(cell.lower is not None and cell.lower > 0.7 for cell in paying), [cell.text for cell in paying]
    assert result.simulated and result.data_fingerprint == source.fingerprint


def test_five_minutes_of_a_real_market_prove_nothing(tmp_path: Path, shared_data: Path) -> None:
    capture = shared_data / "captures" / "binance_usdm_btcusdt_20240808.gz"
    import_files("binance-capture", [capture], tmp_path, market="usdm", symbol="BTCUSDT")
    source = LakeSource(Catalog(tmp_path).partitions())
    config = DiscoveryConfig(horizons_ns=(NS_PER_S, 5 * NS_PER_S), latencies_ns=(50_000_000,))
    result = discover(source, find_instrument("binance_usdm", "BTCUSDT"), Program(feature_set("base")), config)
    assert result.counts["INSUFFICIENT"] == len(result.cells) > 200
    assert result.sentence.endswith("too little data to say")
    one, five = result.needed_ic
    # 5 bps a side and a spread of one tick; 0.9 bps of movement in a second cannot pay for that.
    assert one.cost_bps is not None and abs(one.cost_bps - 10.017) < 0.01
    assert one.needed_ic is not None and one.needed_ic > 5.0 and not one.possible and not five.possible
    imbalance = [
        cell for cell in result.cells if cell.feature == "imbalance_ema" and cell.horizon_ns == NS_PER_S and cell.n > 100
    ]
    gross = np.array([cell.gross_bps for cell in imbalance], float)
    assert gross[-1] > gross[0], "imbalance predicts the direction of the next second in every market seen"
