"""Edges with a leader or with regimes, and peeks, through the vault of a world whose truth is planted."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from builders_edges import spec
from edgesmith.canonical import content_hash
from edgesmith.cli.world import DEFAULT_START_DAY, make_world
from edgesmith.clock import ManualClock
from edgesmith.domain.units import ns_of_date
from edgesmith.edges.edge import Bound, EdgeSpec, Trigger
from edgesmith.edges.frozen_evaluator import FrozenEvaluator
from edgesmith.edges.thresholdout import BUDGET
from edgesmith.edges.trials import TrialLedger
from edgesmith.edges.validation.frozen import frozen_replay
from edgesmith.edges.vault import Vault
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.regimes import RegimeFit, fit_regimes
from edgesmith.features.regime_model import RegimeModel, load_model
from edgesmith.lake.catalog import Catalog

MS, S, MINUTE = 10**6, 10**9, 60 * 10**9
DAYS = [DEFAULT_START_DAY + timedelta(days=number) for number in range(3)]
LEADS = "leader_return(leader=0, window_ns=50000000)"
ACTIVITY = "trade_activity(half_life_ns=60000000000, warmup_events=20)"


def following(low: float = 1.3, **change: object) -> EdgeSpec:
    """Buy the follower 5 ms after its leader rose."""
    trigger = Trigger(bounds=(Bound(feature=LEADS, low=low),), leader="P4LEADUSDT")
    fields: dict[str, object] = {
        "symbol": "P4USDT",
        "trigger": trigger,
        "horizon_ns": S,
        "latency_ns": 5 * MS,
        "grid_ns": 10 * MS,
    }
    return spec(**(fields | {"fee_in_bps": 0.1, "fee_out_bps": 0.1} | change))


def in_regime(model: RegimeModel, number: int = 1) -> EdgeSpec:
    trigger = Trigger(bounds=(Bound(feature="queue_imbalance()", low=0.3),), regimes=(number,))
    return spec(symbol="P4USDT", trigger=trigger, horizon_ns=S, regimes_hash=model.model_id)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour on each of three days: worlds are not mixed, but their days are days of one market here."""
    root: Path = tmp_path_factory.mktemp("days")
    for number, day in enumerate(DAYS):
        make_world("P4", seed=1 + number, root=root / str(day), hours=1, rate=0.5, start_day=day)
        shutil.copytree(root / str(day), root / "all", dirs_exist_ok=True)
    return root


@pytest.fixture
def lake(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template / "all", tmp_path / "lake"))


def vault_of(lake: Path) -> Vault:
    return Vault(lake, TrialLedger(lake.parent / "trials.jsonl"), ManualClock(1_000), lambda count: bytes(range(count)))


def test_who_follows_a_leader_is_proven_on_days_of_both(lake: Path, template: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    opened = vault.open(following(), FrozenEvaluator(), n_min=20)
    assert opened.result.verdict == Verdict.VALIDATED
    day = [one for one in Catalog(template / str(DAYS[2])).partitions() if one.key.stream.label in ("bbo", "trade")]
    assert {one.key.day for one in day} == {DAYS[2]}
    trades = frozen_replay(day, following(), block_ns=MINUTE, seed=1).trades
    assert opened.result.evaluation.n == len(trades.ts_ns) > 20
    assert opened.result.evaluation.net_bps == pytest.approx(float(trades.net_bps.mean()))
    # The twin rule sees the leader too: another threshold nearby, or another grid, is no other edge.
    for twin in (following(1.31), following(grid_ns=100 * MS)):
        with pytest.raises(InputError, match="answers once for both"):
            vault.open(twin, FrozenEvaluator())


def test_a_leader_that_is_not_in_the_vault_is_refused_before_the_seal(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1, symbol="P4USDT")
    with pytest.raises(InputError, match="holds no data of simulated:P4LEADUSDT"):
        vault.open(following(), FrozenEvaluator())
    assert vault.state().seals == ()


def test_an_edge_that_never_begins_outside_cannot_be_told_from_a_twin(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    vault.open(following(), FrozenEvaluator(), n_min=20)
    with pytest.raises(InputError, match="never begins outside the vault"):
        vault.open(following(1e6), FrozenEvaluator())
    assert len(vault.state().seals) == 1


def test_regimes_are_sealed_with_their_model(lake: Path, tmp_path: Path) -> None:
    how = RegimeFit(inputs=(ACTIVITY,), regimes=(2,), allow_unstable=True)
    every = Catalog(lake).partitions(symbol="P4USDT")
    first, last = (ns_of_date(day) for day in (DAYS[0], DAYS[2]))
    model = fit_regimes(every, first, first + 20 * MINUTE, how)
    knowing = fit_regimes(every, last, last + 20 * MINUTE, how)
    vault = vault_of(lake)
    vault.init(1)
    edge = in_regime(model)
    for wrong in (None, knowing):
        with pytest.raises(InputError, match=rf"rests on the regime model {model.model_id} and .* was given"):
            vault.open(edge, FrozenEvaluator(wrong))
    with pytest.raises(InputError, match="its labels there know their future"):
        vault.open(in_regime(knowing), FrozenEvaluator(knowing))
    assert vault.state().seals == ()
    opened = vault.open(edge, FrozenEvaluator(load_model(model.save(tmp_path / "model.json"))), n_min=1)
    assert opened.seal.regimes_sha256 == content_hash(model) and opened.seal.spec.regimes_hash == model.model_id
    # The same trigger in any regime trades more, and in the other regime at other instants.
    counts = [opened.result.evaluation.n]
    anywhere = msgspec.structs.replace(edge, trigger=Trigger(bounds=edge.trigger.bounds), regimes_hash=None)
    evaluator = FrozenEvaluator(model)
    days = [one for one in every if one.key.day != DAYS[2]]
    for one in (in_regime(model, 0), anywhere):
        counts.append(vault.open(one, evaluator, n_min=1).result.evaluation.n)
    assert 0 < counts[0] < counts[2] and 0 < counts[1] < counts[2]
    busy, calm, both = evaluator.onsets([edge, in_regime(model, 0), anywhere], days)
    assert len(np.intersect1d(busy, both)) > 0.9 * len(busy) and not np.intersect1d(busy, calm).size


def test_a_real_edge_survives_a_peek_and_the_openings_never_see_those_days(lake: Path) -> None:
    vault = vault_of(lake)
    generation = vault.init(2, peek_days=1)
    assert generation.opening_day == DAYS[2]
    peek, again = vault.peek(following(), FrozenEvaluator())
    assert not again and peek.agrees and peek.answer_bps == peek.outside_bps > 1.0 and peek.budget_left == BUDGET
    opened = vault.open(following(), FrozenEvaluator(), n_min=20)
    assert opened.result.verdict == Verdict.VALIDATED
    assert ns_of_date(DAYS[2]) <= opened.result.evaluation.first_ns < ns_of_date(DAYS[2]) + 60 * MINUTE


def test_a_maker_is_opened_and_never_filled_when_first_touched(lake: Path) -> None:
    vault = vault_of(lake)
    vault.init(1)
    hoping = following(entry="maker_touch")
    opened = vault.open(hoping, FrozenEvaluator(), n_min=1)
    assert opened.seal.spec == hoping
    evaluated = opened.result.evaluation
    day = [one for one in Catalog(lake).partitions() if one.key.day == DAYS[1]]
    touch, queue = (FrozenEvaluator().evaluate(following(entry=entry), day) for entry in ("maker_touch", "maker_queue"))
    assert touch == queue and evaluated.first_ns >= ns_of_date(DAYS[2])
    # An optimistic fill would have traded more.
    optimistic = frozen_replay(day, hoping, block_ns=MINUTE, seed=1)
    assert len(optimistic.trades.ts_ns) > queue.n
