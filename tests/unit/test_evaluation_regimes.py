"""Regimes: found where there are some, the same ids after a refit, never a label that knows its future."""

from __future__ import annotations

import functools
import json
from datetime import date, timedelta
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import DAY, put
from builders_features import bbo_tape
from edgesmith.cli.app import run
from edgesmith.cli.features import program_of_sets
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S, ns_of_date
from edgesmith.errors import CorruptDataError, DataError, InputError
from edgesmith.evaluation import regime_log, regimes
from edgesmith.evaluation.mixture import Mixture, adjusted_rand, fit_mixture
from edgesmith.evaluation.regime_log import RegimeLogger, log_regimes
from edgesmith.evaluation.regimes import RegimeFit, fit_regimes
from edgesmith.features.program import Program
from edgesmith.features.regime_model import Candidate, RegimeInput, RegimeModel, load_model
from edgesmith.features.text import parse_feature
from edgesmith.lake.catalog import Catalog
from naive import regimes as naive

HOURS, QUOTES_A_SECOND = 2, 4
INPUTS = ("volatility(window=60)", "mean_spread(half_life_ns=10000000000)")
HOW = RegimeFit(inputs=INPUTS, regimes=(2,), dwell_ns=20 * NS_PER_S)


def add_day(lake: Path, day: date, size: int = 1) -> None:
    """Put two hours in which calm and wild stretches of about five minutes take turns."""
    rng = np.random.default_rng([day.toordinal(), size])
    count = HOURS * 3_600 * QUOTES_A_SECOND
    wild = np.concatenate([np.full(int(rng.integers(200, 400)) * QUOTES_A_SECOND, k % 2) for k in range(60)])[:count]
    ticks = 600_000 + np.cumsum(rng.integers(-1, 2, count) * np.where(wild, 8, 1) * size)
    columns: dict[str, Any] = {
        "ts_event": ns_of_date(day) + NS_PER_HOUR + np.cumsum(rng.integers(1, 2 * NS_PER_S // QUOTES_A_SECOND, count)),
        "bid_price": ticks * 0.1,
        "ask_price": (ticks + np.where(wild, rng.integers(2, 6, count), 1)) * 0.1,
        "bid_qty": rng.integers(1, 50, count) * 0.001,
        "ask_qty": rng.integers(1, 50, count) * 0.001,
    }
    columns["ts_recv"] = columns["ts_event"] + 1_000_000
    put(lake, Stream.BBO, columns, day=day)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    for k in range(3):
        add_day(folder, DAY + timedelta(days=k))
    return folder


def fitted(lake: Path, day: date, how: RegimeFit = HOW) -> RegimeModel:
    first_ns = ns_of_date(day)
    return fit_regimes(Catalog(lake).partitions(start=day, end=day), first_ns, first_ns + 12 * NS_PER_HOUR, how)


@functools.cache
def first_model(lake: Path) -> RegimeModel:
    return fitted(lake, DAY)


def episodes(lake: Path, model: RegimeModel, day: date, path: Path, last: date | None = None) -> Any:
    log_regimes(Catalog(lake).partitions(start=day, end=last or day), model, path)
    return pq.read_table(path)


def test_two_regimes_are_found_and_told_apart_on_other_days(lake: Path, tmp_path: Path) -> None:
    model = first_model(lake)
    assert model.is_stable
    assert model.volatilities[1] > 3 * model.volatilities[0]
    day = DAY + timedelta(days=1)
    summary = log_regimes(Catalog(lake).partitions(start=day, end=day), model, tmp_path / "log.parquet")
    assert [0.3 < one.time_ratio < 0.7 for one in summary.regimes] == [True, True]
    # About 24 stretches of 200 to 400 s, none shorter than the dwell.
    assert 16 <= sum(one.episodes for one in summary.regimes) <= 32
    assert all(one.dwell_ns[1] > 150 * NS_PER_S for one in summary.regimes)
    assert summary.transitions[0][0] == summary.transitions[1][1] == 0
    assert abs(summary.transitions[0][1] - summary.transitions[1][0]) <= 1


def test_t06_ids_survive_a_refit_on_another_day(lake: Path, tmp_path: Path) -> None:
    day = DAY + timedelta(days=2)
    logs = [
        episodes(lake, model, day, tmp_path / f"{k}.parquet")
        for k, model in enumerate(
            (first_model(lake), fitted(lake, DAY + timedelta(days=1)), fitted(lake, DAY, msgspec.structs.replace(HOW, seed=9)))
        )
    ]
    instants = np.arange(logs[0]["begin_ns"][0].as_py(), logs[0]["end_ns"][-1].as_py(), NS_PER_S)
    labels = [log["label"].to_numpy()[np.searchsorted(log["begin_ns"].to_numpy(), instants, "right") - 1] for log in logs]
    assert np.mean(labels[0] == labels[1]) > 0.95


def test_t06_regimes_are_numbered_by_volatility_in_whatever_order_a_fit_finds_them(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, chosen = first_model(lake), regimes._chosen

    def backwards(rows: np.ndarray, ts_ns: np.ndarray, how: RegimeFit) -> Any:
        mixture, candidates, stable = chosen(rows, ts_ns, how)
        return Mixture(*(part[::-1] for part in mixture)), candidates, stable

    monkeypatch.setattr(regimes, "_chosen", backwards)
    again = fitted(lake, DAY)
    assert (again.means, again.weights) == (model.means, model.weights)
    np.testing.assert_allclose(again.volatilities, model.volatilities)


def test_t06_a_violent_future_changes_nothing_before_it(lake: Path, tmp_path: Path) -> None:
    for k in range(2):
        add_day(tmp_path, DAY + timedelta(days=k))
    day = DAY + timedelta(days=1)
    model = fitted(tmp_path, DAY)
    before = episodes(tmp_path, model, day, tmp_path / "before.parquet")
    add_day(tmp_path, DAY + timedelta(days=2), size=50)
    # Asked for all the data there is, a fit still sees only its interval.
    again = fit_regimes(Catalog(tmp_path).partitions(), model.fit_first_ns, model.fit_last_ns, HOW)
    assert again == model
    after = episodes(tmp_path, again, day, tmp_path / "after.parquet", day + timedelta(days=1))
    last_ns = before["end_ns"][-1].as_py()
    assert after.slice(0, len(before) - 1).equals(before.slice(0, len(before) - 1))
    assert set(after["label"].to_numpy()[after["begin_ns"].to_numpy() > last_ns]) <= {0, 1}


def test_t05_the_interval_of_the_fit_is_refused(lake: Path, tmp_path: Path) -> None:
    model = first_model(lake)
    with pytest.raises(InputError, match="was fitted on data up to then, and its labels there know their future"):
        log_regimes(Catalog(lake).partitions(start=DAY), model, tmp_path / "log.parquet")
    with pytest.raises(InputError, match="data was of binance_usdm BTCUSDT, expected x"):
        log_regimes(
            Catalog(lake).partitions(start=DAY + timedelta(days=1)), msgspec.structs.replace(model, instrument="x"), tmp_path
        )
    model.require_after_fit(model.fit_last_ns + 1)


def test_of_the_stable_numbers_the_likeliest_is_kept(lake: Path) -> None:
    model = fitted(lake, DAY, RegimeFit(inputs=INPUTS, regimes=(2, 3)))
    assert model.regimes == min(model.candidates, key=lambda one: one.bic).regimes
    assert all(one.stability >= 0.8 for one in model.candidates)
    assert list(model.volatilities) == sorted(model.volatilities)


def test_what_cannot_be_fitted_is_said(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_ns = ns_of_date(DAY) + NS_PER_HOUR
    with pytest.raises(DataError, match="complete rows between"):
        fit_regimes(Catalog(lake).partitions(end=DAY), first_ns, first_ns + NS_PER_MINUTE, HOW)
    monkeypatch.setattr(regimes, "STABILITY_MIN", 1.1)
    with pytest.raises(DataError, match=r"no number of regimes came out the same .* by number: 2: \d"):
        fitted(lake, DAY)
    assert not fitted(lake, DAY, msgspec.structs.replace(HOW, allow_unstable=True)).is_stable


SIMPLE = ("imbalance_ema(period=2)", "spread()")


def simple_model(**changes: Any) -> RegimeModel:
    inputs = (
        RegimeInput(feature=SIMPLE[0], is_log=False, floor=0.0, center=0.1, scale=0.5),
        RegimeInput(feature=SIMPLE[1], is_log=True, floor=0.01, center=-2.0, scale=0.7),
    )
    values: dict[str, Any] = {
        "instrument": "binance_usdm BTCUSDT",
        "data_fingerprint": "",
        "fit_first_ns": 0,
        "fit_last_ns": 400_000_123,
        "rows": 1,
        "step_ns": 10_000_000,
        "dwell_ns": 50_000_000,
        "inputs": inputs,
        "weights": (0.5, 0.3, 0.2),
        "means": ((-1.0, 0.0), (1.0, 0.5), (0.0, 2.0)),
        "stds": ((0.7, 1.0), (0.8, 1.2), (1.5, 0.6)),
        "volatilities": (1.0, 2.0, 3.0),
        "candidates": (Candidate(regimes=3, bic=0.0, stability=1.0),),
        "is_stable": True,
    }
    return RegimeModel(**values | changes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.tuples(st.integers(50, 599), st.sampled_from(["bid_qty", "ask_price"])), max_size=8))
def test_assignment_equals_its_twin(seed: int, bad: list[tuple[int, str]]) -> None:
    events = bbo_tape(600, seed=seed)
    for place, name in bad:
        events[name][place] = np.nan
    model = simple_model()
    inputs = Program([parse_feature(name).named(f"x{k}") for k, name in enumerate(SIMPLE)]).compute(events)
    expected = np.array(naive.assigned(model, events["ts_recv"].tolist(), inputs.tolist()))
    got = Program(model.features()).compute(events)
    np.testing.assert_array_equal(got[:, [0, 2]], expected[:, [0, 2]])
    np.testing.assert_allclose(got[:, 1], expected[:, 1], rtol=1e-9)
    assert np.isnan(got[events["ts_recv"] <= model.fit_last_ns]).all()


def test_hysteresis_and_dwell_hold_labels_back() -> None:
    events = bbo_tape(2_000, seed=2)
    inputs = Program([parse_feature(name).named(f"x{k}") for k, name in enumerate(SIMPLE)]).compute(events).tolist()
    models = (simple_model(), simple_model(dwell_ns=0), simple_model(hysteresis=0.0, dwell_ns=0), simple_model(dwell_ns=10**12))
    labels = [[label for label, _, _ in naive.assigned(model, events["ts_recv"].tolist(), inputs)] for model in models]
    held, at_once, restless, never = (sum(b == b and a == a and a != b for a, b in pairwise(each)) for each in labels)
    assert restless > at_once > held > 100 > never == 0


def test_chunks_and_snapshots_are_invisible() -> None:
    events, program = bbo_tape(3_000, seed=2), Program(simple_model().features())
    whole = program.compute(events)
    assert len(np.unique(whole[~np.isnan(whole[:, 0]), 0])) >= 2
    state, out = program.new_state(), np.empty_like(whole)
    for begin, end in pairwise([0, 1, 700, 701, 2_000, 3_000]):
        program.run(events[begin:end], out[begin:end], state)
        state.restore(state.snapshot())
    assert out.tobytes() == whole.tobytes()


def test_a_model_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    model = simple_model()
    path = model.save(tmp_path / "models" / "m.json")
    assert load_model(path) == model
    assert load_model(path).model_id == model.model_id != simple_model(hysteresis=0.3).model_id
    assert [spec.name for spec in model.features()] == ["regime_label", "regime_confidence", "regime_age_ns"]
    assert parse_feature(str(model.features()[0])).node == model.features()[0].node
    path.write_text(json.dumps({"regimes": 3}))
    with pytest.raises(CorruptDataError, match="was not a regime model"):
        load_model(path)
    with pytest.raises(InputError, match="edgesmith regimes fit"):
        load_model(tmp_path / "none.json")


def test_log_of_episodes_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regime_log, "BUFFER_EPISODES", 2)
    rows = [(0, np.nan), (1, 0), (2, 0), (3, 1), (4, np.nan), (5, 1), (6, 0), (40, 0), (41, 2)]
    logger = RegimeLogger(tmp_path / "log.parquet", gap_ns=30)
    for at in range(0, len(rows), 2):
        ts, labels = (np.array(column) for column in zip(*rows[at : at + 2], strict=True))
        logger.add(ts, labels, np.full(len(ts), 0.5))
    logger.close()
    table = pq.read_table(tmp_path / "log.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (1, 3, 0, -1, 0.5, 2),
        (3, 6, 1, 0, 0.5, 2),
        (6, 6, 0, 1, 0.5, 1),  # ends at its last row: what came in the gap is not known
        (40, 41, 0, -1, 0.5, 1),
        (41, 41, 2, 0, 0.5, 1),
    ]


def test_adjusted_rand_counts_pairs() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 3, 60), rng.integers(0, 4, 60)
    b[:30] = a[:30]
    same = [(x == y, u == v) for (x, u), (y, v) in combinations(zip(a, b, strict=True), 2)]
    both, in_a, in_b = sum(p and q for p, q in same), sum(p for p, _ in same), sum(q for _, q in same)
    expected = in_a * in_b / len(same)
    assert adjusted_rand(a, b) == pytest.approx((both - expected) / ((in_a + in_b) / 2 - expected))
    assert adjusted_rand(a, (a + 1) % 3) == 1.0


def test_a_mixture_finds_what_was_mixed() -> None:
    rng = np.random.default_rng(7)
    means, stds = np.array([[-2.0, 0.0], [2.0, 1.0]]), np.array([[0.5, 1.0], [1.0, 0.3]])
    parts = rng.random(4_000) < 0.25
    rows = rng.normal(means[parts.astype(int)], stds[parts.astype(int)])
    found, _ = fit_mixture(rows, 2, np.random.default_rng(0))
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.means[order], means, atol=0.1)
    np.testing.assert_allclose(found.stds[order], stds, rtol=0.1)
    np.testing.assert_allclose(found.weights[order], [0.75, 0.25], atol=0.03)


def test_commands(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--venue", "binance_usdm", "--symbol", "BTCUSDT", "--lake", str(lake)]
    model = tmp_path / "m.json"
    inputs = [word for name in INPUTS for word in ("--input", name)]
    assert run(["regimes", "fit", *data, *inputs, "--date", str(DAY), "--output", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["is_stable"]
    assert run(["regimes", "show", str(model)]) == 0
    assert "regime 1" in capsys.readouterr().out
    assert run(["regimes", "log", str(model), *data, "--from", str(DAY + timedelta(days=1)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(one["episodes"] for one in found["summary"]["regimes"]) == pq.read_metadata(found["path"]).num_rows > 10
    assert run(["regimes", "log", str(model), *data]) == 2
    assert "was fitted on data up to then" in capsys.readouterr().err
    assert run(["regimes", "log", str(model), *data, "--rest"]) == 0
    assert program_of_sets([f"mid_price,{model}"]).names == ("mid_price", "regime_label", "regime_confidence", "regime_age_ns")
