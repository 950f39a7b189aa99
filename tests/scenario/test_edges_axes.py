"""Edges that act in some regimes only, and edges that follow another market: from a world to the word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from builders_edges import spec
from edgesmith.cli.app import run
from edgesmith.cli.world import make_world
from edgesmith.domain.events import KIND_BBO, KIND_TRADE, Stream
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.errors import InputError
from edgesmith.features.program import Program
from edgesmith.features.regime_model import load_model
from edgesmith.features.text import parse_feature
from edgesmith.lake.catalog import Catalog, Partition
from edgesmith.lake.replay import Replay

MS, S = 10**6, 10**9
LEADS = "leader_return(leader=0, window_ns=50000000)"
ACTIVITY = "trade_activity(half_life_ns=60000000000, warmup_events=20)"


def following(latency_ns: int, grid_ns: int = 10 * MS) -> EdgeSpec:
    trigger = Trigger(bounds=(Bound(feature=LEADS, low=1.3),), leader="P4LEADUSDT")
    fields = {"symbol": "P4USDT", "trigger": trigger, "horizon_ns": S, "latency_ns": latency_ns, "grid_ns": grid_ns}
    return spec(**fields, fee_in_bps=0.75, fee_out_bps=0.75)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Partition]:
    root: Path = tmp_path_factory.mktemp("lead")
    make_world("P4", seed=1, root=root, hours=1)
    return [one for one in Catalog(root).partitions() if one.key.stream in (Stream.BBO, Stream.TRADE)]


def naive_onsets(partitions: list[Partition], grid_ns: int) -> set[int]:
    """Receive times of the follower's first event in a grid step at whose beginning the trigger held, and did not one before."""
    program, onsets = Program([parse_feature(LEADS)]), set()
    state, on, at_grid, step = program.new_state(2), False, True, -1
    for events in Replay(partitions).batches():
        rows = np.empty((len(events), 1))
        program.run(events, rows, state)
        for event, value in zip(events[["instrument", "kind", "ts_recv"]].tolist(), rows[:, 0].tolist(), strict=True):
            instrument, kind, ts_ns = event
            if instrument != 1 or kind not in (KIND_BBO, KIND_TRADE):
                continue
            if ts_ns // grid_ns > step:
                if on and not at_grid:
                    onsets.add(ts_ns)
                at_grid, step = on, ts_ns // grid_ns
            on = value >= 1.3
    return onsets


def test_who_follows_fast_earns_and_who_is_late_does_not(two: list[Partition]) -> None:
    fast, late = (frozen_replay(two, following(ms * MS), block_ns=60 * S, seed=1) for ms in (5, 100))
    assert len(fast.trades.ts_ns) > 20
    assert fast.net_bps.mean > 1.0 > 0.0 > late.net_bps.mean
    onsets = naive_onsets(two, 10 * MS)
    decided = set((fast.trades.ts_ns - 5 * MS).tolist())
    assert decided <= onsets and min(decided) == min(onsets)


def test_a_leader_without_data_is_one_line(two: list[Partition]) -> None:
    alone = [one for one in two if one.key.symbol == "P4USDT"]
    with pytest.raises(InputError, match="follows P4LEADUSDT, of which no data was given"):
        frozen_replay(alone, following(5 * MS), block_ns=60 * S, seed=1)


def test_an_edge_of_busy_hours_is_true_there_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake, model = str(tmp_path / "data"), tmp_path / "model.json"
    assert run(["world", "make", "P5", "--rate", "1.8", "--hours", "11", "--lake", lake]) == 0
    market = ["--venue", "simulated", "--symbol", "P5USDT", "--lake", lake]
    fit = ["--part", "0.127", "--input", ACTIVITY, "--number", "2", "--allow-unstable", "--output", str(model)]
    assert run(["regimes", "fit", *market, *fit]) == 0
    # The label changes with quotes, but without trades there is none.
    (label, *_) = load_model(model).features()
    assert Stream.TRADE in Program([label]).needs and Stream.TRADE not in Program([label]).consumes
    words = ["--set", "imbalance_ema", "--part", "0.64", "--horizon", "3", "--latency", "50", "--depth", "2", "--fee-bps", "1"]
    runs = ["--runs", str(tmp_path / "runs")]
    assert run(["discover", *market, *words, *runs, "--regimes", str(model)]) == 0
    (found,) = (folder.name for folder in (tmp_path / "runs").glob("run_*"))
    checked = ["validate", found, "--lake", lake, *runs, "--days-min", "1"]
    assert run(checked) == 2
    assert "acts in some regimes only; give the model" in capsys.readouterr().err
    assert run([*checked, "--regimes", str(model), "--json"]) == 0
    cards = json.loads(capsys.readouterr().out)
    proven = [card for card in cards if card["verdict"] in ("VALIDATED", "CANDIDATE")]
    inside = [card["findings"]["net_bps"] for card in proven if card["spec"]["trigger"]["regimes"] == [1]]
    # At these fees a little is left of all hours together; nothing of the quiet ones alone, and most in the busy ones.
    others = [card for card in proven if card["spec"]["trigger"]["regimes"] != [1]]
    assert inside and all(card["spec"]["trigger"]["regimes"] is None for card in others)
    assert all(card["findings"]["net_bps"] < max(inside) for card in others)
