"""Validate candidates on data discovery never touched: measure, hold against the gates, say the word.

One pass over the coded panel gives the block sums of every candidate, one reading of the events the trades of all of them, at
their latency and at twice that; a second reading bounds what makers would get of those that are real. Everything else is computed
from these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.units import NS_PER_DAY
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.validation.card import CostParts, EdgeCard, HalfLifeRow, Walk
from edgesmith.edges.validation.cotests import per_volatility, winsorized_bps
from edgesmith.edges.validation.curves import (
    Point,
    break_even_fee_bps,
    by_day,
    by_hour,
    finite,
    half_lives,
    labeled_point,
    latency_curve,
    response_curve,
)
from edgesmith.edges.validation.frozen import Frozen, Trades, cautious, frozen_replays
from edgesmith.edges.validation.gates import Findings, Gates, judge_findings
from edgesmith.edges.validation.maker import MakerBounds, maker_bounds, maker_tasks
from edgesmith.edges.validation.noticing import noticing
from edgesmith.edges.validation.options import option_results
from edgesmith.edges.validation.placebos import PlaceboTest, Tested, placebo_tests, smallest_p
from edgesmith.edges.validation.refit import (
    Combinatorial,
    WalkForward,
    combinatorial_paths,
    grid_overfitting,
    walk_forward,
)
from edgesmith.edges.validation.replays import Task, replay_edges
from edgesmith.edges.validation.sums import EdgeSums, edge_sums
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError
from edgesmith.evaluation.coded import CodedPanel
from edgesmith.evaluation.intervals import Interval, mean_interval, skewness_widening
from edgesmith.evaluation.labels import BLOCK_LADDER_NS, column_groups
from edgesmith.evaluation.overfitting import Overfitting
from edgesmith.evaluation.sharpe import (
    BLOCKS_MIN,
    BlockSeries,
    deflated_sharpe,
    probabilistic_sharpe,
    track_record_min_blocks,
)
from edgesmith.evaluation.significance import FlipResult, critical_value, detectable_effect, mean_influence, sign_flip
from edgesmith.evaluation.splits import Blocks, anchored, rolling
from edgesmith.lake.catalog import Partition
from edgesmith.trading.backtest import instruments_of

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

POWER_T = 0.84
# What is real, at some fee or other, may be worth a maker's while.
REAL = frozenset({Verdict.REJECT_COST, Verdict.CANDIDATE, Verdict.VALIDATED})
# A fold needs blocks to choose on and blocks to be judged on.
BLOCKS_PER_PART = 4
SHARPE_BLOCKS_MIN = 20


class ValidationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a validation; `embargo_ns` is how long features remember, `capacity_usd_max` caps the size it is ranked by."""

    gates: Gates = Gates()
    folds: int = 5
    parts: int = 16
    flips: int = 9_999
    seed: int = 1
    embargo_ns: int = 600 * 10**9
    capacity_usd_max: float = 100_000.0


class _Measured(NamedTuple):
    spec: EdgeSpec
    groups: tuple[EdgeSums, ...]
    own: EdgeSums
    column: int
    grid: Floats
    # Of an edge that acts in some regimes, the blocks in which one of those was.
    grid_keys: NDArray[np.int64]
    frozen: Frozen
    stressed: Frozen
    regimes: tuple[Point, ...]


class _Tests(NamedTuple):
    p_excess: float
    p_net: float
    mde_bps: float | None
    placebos: tuple[PlaceboTest, ...]


class _Splits(NamedTuple):
    walks: tuple[WalkForward, WalkForward] | None
    overfit: Overfitting | None
    paths: Combinatorial | None
    series: BlockSeries | None


def validate(
    specs: Sequence[EdgeSpec],
    panel: CodedPanel,
    partitions: Sequence[Partition],
    config: ValidationConfig,
    *,
    trials: int,
    leaks: Callable[[EdgeSpec], tuple[str, ...]] = lambda _: (),
    progress: Progress | None = None,
) -> list[EdgeCard]:
    """Return a card for each candidate, in the order given.

    Parameters
    ----------
    panel : decisions of the validation span, coded with the bins discovery froze
    partitions : the events of the symbol, replayed over the same span
    trials : candidates validated on overlapping data so far, these included
    leaks : names of the features of a candidate that know the future
    """
    if not specs:
        raise InputError("no edge was given to validate; `edgesmith edges ls` shows the candidates")
    report = progress or (lambda _stage, _done, _total: None)
    groups = _group_sums(specs, panel)
    own = [_own(spec, [group[index] for group in groups], panel) for index, spec in enumerate(specs)]
    traded = _traded(specs, own, panel, partitions, config, partial(report, "replaying"))
    measured = [
        _measure(spec, [group[index] for group in groups], own[index], traded[index], panel, config)
        for index, spec in enumerate(specs)
    ]
    excess = _excess_tests(measured, config)
    net = _net_tests(measured, config)
    placebos = placebo_tests(
        [Tested(one.spec, one.own.block_ns) for one in measured],
        panel,
        blocks_min=config.gates.blocks_min,
        flips=config.flips,
        seed=config.seed,
    )
    cards = []
    for i, one in enumerate(measured):
        p_excess = _p_same_side(one, float(excess.p_family[i]))
        tests = _Tests(p_excess, float(net.p_family[i]), _mde(one, excess, config), placebos[i])
        cards.append(_card(one, tests, panel, config, trials, leaks(one.spec)))
    return _with_makers(cards, measured, panel, partitions, config, partial(report, "bounding makers"))


def _group_sums(specs: Sequence[EdgeSpec], panel: CodedPanel) -> list[list[EdgeSums]]:
    triggers = [spec.trigger for spec in specs]
    latencies, horizons = {spec.latency_ns for spec in specs}, {spec.horizon_ns for spec in specs}
    found = []
    for group in column_groups(panel.labels, panel.last_ns - panel.first_ns):
        # Curves are along one axis, at an edge's own place on the other.
        columns = [one for one in group.columns if one[0] in latencies or one[1] in horizons]
        found.append([edge_sums(one) for one in panel.trigger_sums(triggers, block_ns=group.block_ns, columns=columns)])
    return found


def _own(spec: EdgeSpec, groups: Sequence[EdgeSums], panel: CodedPanel) -> EdgeSums:
    own = next((group for group in groups if (spec.latency_ns, spec.horizon_ns) in group.columns), None)
    if own is None:
        raise InputError(f"edge {spec.edge_id}: the panel lacks its latency and horizon; code the panel with them")
    if (panel.labels.fee_in_bps, panel.labels.fee_out_bps) != (spec.fee_in_bps, spec.fee_out_bps):
        raise InputError(f"edge {spec.edge_id}: the panel is at other fees than the edge; give `panel.with_fees` its own")
    return own


def _traded(
    specs: Sequence[EdgeSpec],
    own: Sequence[EdgeSums],
    panel: CodedPanel,
    partitions: Sequence[Partition],
    config: ValidationConfig,
    report: Callable[[int, int], None],
) -> list[tuple[Frozen, Frozen]]:
    # Each edge at its own latency and late, all from one reading.
    tasks = []
    for spec, sums in zip(specs, own, strict=True):
        latencies = (spec.latency_ns, config.gates.stressed_ns(spec.latency_ns))
        tasks += [Task(cautious(spec), latency_ns, sums.block_ns) for latency_ns in latencies]
    found = frozen_replays(partitions, tasks, seed=config.seed, start_ns=panel.first_ns, end_ns=panel.last_ns, progress=report)
    return list(zip(found[::2], found[1::2], strict=True))


def _measure(
    spec: EdgeSpec,
    groups: Sequence[EdgeSums],
    own: EdgeSums,
    traded: tuple[Frozen, Frozen],
    panel: CodedPanel,
    config: ValidationConfig,
) -> _Measured:
    options = option_results(spec, panel, own.block_ns)
    return _Measured(
        spec=spec,
        groups=tuple(groups),
        own=own,
        column=own.column(spec.latency_ns, spec.horizon_ns),
        grid=options.grid,
        grid_keys=options.keys,
        frozen=traded[0],
        stressed=traded[1],
        regimes=_by_regime(spec, panel, own.block_ns, config.seed),
    )


def _with_makers(
    cards: Sequence[EdgeCard],
    measured: Sequence[_Measured],
    panel: CodedPanel,
    partitions: Sequence[Partition],
    config: ValidationConfig,
    report: Callable[[int, int], None],
) -> list[EdgeCard]:
    tasks: list[Task] = []
    real = [at for at, card in enumerate(cards) if card.verdict in REAL]
    for at in real:
        spec = measured[at].spec
        used = [one for one in partitions if (one.key.venue, one.key.symbol) == (spec.venue, spec.symbol.upper())]
        (instrument,) = instruments_of(used, [(spec.venue, spec.symbol.upper())])
        tasks += maker_tasks(spec, instrument, measured[at].own.block_ns)
    if not tasks:
        return list(cards)
    records = replay_edges(partitions, tasks, start_ns=panel.first_ns, end_ns=panel.last_ns, progress=report)
    bounds: dict[int, MakerBounds] = {}
    for place, at in enumerate(real):
        pair = slice(2 * place, 2 * place + 2)
        bounds[at] = maker_bounds(tasks[pair], records[pair], config.seed)
    return [msgspec.structs.replace(card, maker=bounds.get(at)) for at, card in enumerate(cards)]


def _by_regime(spec: EdgeSpec, panel: CodedPanel, block_ns: int, seed: int) -> tuple[Point, ...]:
    if panel.regime_feature is None or spec.trigger.regimes is not None:
        return ()
    regimes = range(panel.bins[panel.place_of(panel.regime_feature)].count)
    triggers = [msgspec.structs.replace(spec.trigger, regimes=(regime,)) for regime in regimes]
    pair = (spec.latency_ns, spec.horizon_ns)
    found = panel.trigger_sums(triggers, block_ns=block_ns, columns=[pair])
    points = [latency_curve(edge_sums(one), spec.horizon_ns, spec.side, seed=seed)[0] for one in found]
    return tuple(msgspec.structs.replace(point, at=regime) for regime, point in zip(regimes, points, strict=True))


def _p_same_side(one: _Measured, p: float) -> float:
    # An effect the other way is none of this edge, however sure: on a day that only rises, buying at the worst moments pays.
    return p if one.spec.side * float(one.own.excess_of(one.column).excess[0]) > 0.0 else 1.0


def _excess_tests(measured: Sequence[_Measured], config: ValidationConfig) -> FlipResult:
    families = [(one.own.block_ns, one.own.excess_of(one.column).psi) for one in measured]
    return sign_flip(families, flips=config.flips, seed=config.seed)


def _net_tests(measured: Sequence[_Measured], config: ValidationConfig) -> FlipResult:
    # Of the trades that were made, not of the rows of the grid: what counts is what would have been earned.
    families, widening = [], []
    for one in measured:
        rows, net = _trade_blocks(one.frozen.trades, one.own.block_ns)
        families.append((one.own.block_ns + 1, mean_influence(rows[:, None], net[:, None]).psi))
        widening.append(skewness_widening(rows, net))
    return sign_flip(families, flips=config.flips, seed=config.seed, one_sided=True, widening=np.array(widening))


def _trade_blocks(trades: Trades, block_ns: int) -> tuple[Floats, Floats]:
    keys = trades.ts_ns // block_ns
    first = int(keys.min()) if len(keys) else 0
    count = int(keys.max()) - first + 1 if len(keys) else 1
    rows = np.bincount(keys - first, minlength=count).astype(np.float64)
    return rows, np.bincount(keys - first, trades.net_bps, count).astype(np.float64)


def _mde(one: _Measured, excess: FlipResult, config: ValidationConfig) -> float | None:
    effect = detectable_effect(one.own.excess_of(one.column), critical_value(excess, config.gates.alpha), POWER_T)
    return finite(float(effect[0]))


def _splits(one: _Measured, panel: CodedPanel, config: ValidationConfig) -> _Splits:
    blocks = Blocks(one.grid_keys, one.own.block_ns, one.spec.latency_ns + one.spec.horizon_ns, config.embargo_ns)
    count = len(one.grid_keys)
    return _Splits(
        walks=_walks(one, blocks, config),
        overfit=grid_overfitting(one.grid, config.parts) if count >= 2 * config.parts else None,
        paths=combinatorial_paths(one.grid, blocks, side=one.spec.side) if count >= 10 * BLOCKS_PER_PART else None,
        series=_series(one.frozen.trades, panel),
    )


def _findings(
    one: _Measured,
    splits: _Splits,
    tests: _Tests,
    panel: CodedPanel,
    config: ValidationConfig,
    trials: int,
    leaks: tuple[str, ...],
) -> Findings:
    spec, frozen, series = one.spec, one.frozen, splits.series
    early, late = _early_and_late(frozen.trades, panel, one.own.block_ns, config.seed)
    influence = one.own.excess_of(one.column)
    net_low = finite(frozen.net_bps.low)
    rows, net = _trade_blocks(frozen.trades, one.own.block_ns)
    traded = mean_influence(rows[:, None], net[:, None])
    return Findings(
        leaks=leaks,
        onsets=len(frozen.trades.ts_ns),
        days=len(frozen.days),
        blocks=int(influence.blocks[0]),
        blocks_effective=float(influence.blocks_effective[0]),
        trade_blocks=int(traded.blocks[0]),
        trade_blocks_effective=float(traded.blocks_by_rows[0]),
        p_excess=tests.p_excess,
        p_net=tests.p_net,
        gross_bps=_plus(_mean(frozen.trades.gross_bps), frozen.spread_bps),
        cost_bps=_plus(_mean(frozen.trades.gross_bps - frozen.trades.net_bps), frozen.spread_bps),
        net_bps=finite(frozen.net_bps.mean),
        net_low_bps=net_low,
        stressed_latency_ns=config.gates.stressed_ns(spec.latency_ns),
        stressed_net_low_bps=finite(one.stressed.net_bps.low),
        break_even_fee_bps=None if net_low is None else break_even_fee_bps(net_low, spec.fee_in_bps, spec.fee_out_bps),
        walk_forward_low_bps=None if splits.walks is None else finite(splits.walks[0].net_bps.low),
        pbo=None if splits.overfit is None else splits.overfit.pbo,
        dsr=None if series is None else deflated_sharpe(series, sharpe_sd_of_trials=_sharpe_sd(series), trials=trials),
        positive_days_ratio=finite(frozen.positive_days_ratio),
        without_best_day_bps=finite(frozen.without_best_day_bps),
        best_day_low_bps=finite(_best_day(frozen, one.own.block_ns, config).low),
        early_low_bps=finite(early.low),
        late_low_bps=finite(late.low),
        late_high_bps=finite(late.high),
        mde_bps=tests.mde_bps,
        placebo_p=smallest_p(tests.placebos),
        winsorized_bps=winsorized_bps(frozen.trades.net_bps),
        per_volatility=per_volatility(one.own, one.column, spec.side),
    )


def _card(
    one: _Measured, tests: _Tests, panel: CodedPanel, config: ValidationConfig, trials: int, leaks: tuple[str, ...]
) -> EdgeCard:
    spec, frozen, seed = one.spec, one.frozen, config.seed
    splits = _splits(one, panel, config)
    found = _findings(one, splits, tests, panel, config, trials, leaks)
    judged = judge_findings(found, config.gates)
    lives = half_lives(one.groups, spec.latency_ns, spec.horizon_ns, spec.side, seed=seed)
    usd = None if frozen.unit_usd is None else min(frozen.capacity.notional, config.capacity_usd_max)
    series, walks, paths, low = splits.series, splits.walks, splits.paths, found.net_low_bps
    return EdgeCard(
        spec=spec,
        verdict=judged.verdict,
        sentence=judged.sentence if spec.entry == "taker" else f"{judged.sentence} (a maker behind the whole queue)",
        findings=found,
        first_ns=panel.first_ns,
        last_ns=panel.last_ns,
        trials=trials,
        net_high_bps=finite(frozen.net_bps.high),
        hit_ratio=finite(frozen.hit_ratio),
        trades_per_day=frozen.trades_per_day,
        capacity_qty=frozen.capacity.best_qty,
        capacity_usd=usd,
        net_low_usd_per_day=None if low is None else frozen.usd_per_day(low, config.capacity_usd_max),
        sharpe_daily=None if series is None else series.sharpe * math.sqrt(NS_PER_DAY / series.length_ns),
        cost_parts=CostParts(
            spread_bps=frozen.spread_bps,
            fee_in_bps=spec.fee_in_bps,
            fee_out_bps=spec.fee_out_bps,
            funding_bps=frozen.funding_bps,
        ),
        labeled=labeled_point(one.own, one.column, spec.side, seed=seed),
        psr=None if series is None else probabilistic_sharpe(series),
        track_record_min_days=None if series is None else finite(track_record_min_blocks(series) * series.length_ns / NS_PER_DAY),
        cpcv_positive_ratio=None if paths is None else paths.positive_ratio,
        cpcv_path_net_bps=() if paths is None else tuple(map(float, paths.path_net_bps)),
        anchored=None if walks is None else _walk_row(walks[0]),
        rolling=None if walks is None else _walk_row(walks[1]),
        latency_curve=latency_curve(one.own, spec.horizon_ns, spec.side, seed=seed),
        response_curve=response_curve(one.groups, spec.latency_ns, spec.side, seed=seed),
        by_day=by_day(one.own, one.column, spec.side, seed=seed),
        by_hour=by_hour(one.own, one.column, spec.side, seed=seed),
        by_regime=one.regimes,
        half_lives=tuple(HalfLifeRow(name, *life) for name, life in lives.items()),
        placebos=tests.placebos,
        noticing=noticing(frozen.trades, low, (panel.first_ns, panel.last_ns), one.own.block_ns, seed),
    )


def _walks(one: _Measured, blocks: Blocks, config: ValidationConfig) -> tuple[WalkForward, WalkForward] | None:
    if len(blocks.keys) < (config.folds + 1) * BLOCKS_PER_PART:
        return None
    judge = partial(walk_forward, one.grid, side=one.spec.side, own_cell=0, seed=config.seed)
    return judge(anchored(blocks, config.folds)), judge(rolling(blocks, config.folds))


def _walk_row(walk: WalkForward) -> Walk:
    net = walk.net_bps
    return Walk(len(walk.folds), walk.positive_folds, walk.same_cell_folds, finite(net.mean), finite(net.low), finite(net.high))


def _series(trades: Trades, panel: CodedPanel) -> BlockSeries | None:
    # Daily where there are days enough, else the longest blocks of which there are.
    span_ns = panel.last_ns - panel.first_ns
    length_ns = next((rung for rung in reversed(BLOCK_LADDER_NS) if span_ns // rung >= SHARPE_BLOCKS_MIN), None)
    if length_ns is None or len(trades.ts_ns) < BLOCKS_MIN:
        return None
    place = (trades.ts_ns - panel.first_ns) // length_ns
    count = span_ns // length_ns
    inside = place < count
    return BlockSeries(np.bincount(place[inside], trades.net_bps[inside], count).astype(np.float64), length_ns)


def _sharpe_sd(series: BlockSeries) -> float:
    # What Sharpe ratios of worthless trials spread by.
    return 1.0 / math.sqrt(len(series.values) - 1)


def _early_and_late(trades: Trades, panel: CodedPanel, block_ns: int, seed: int) -> tuple[Interval, Interval]:
    span_ns = panel.last_ns - panel.first_ns
    early, late = trades.ts_ns < panel.first_ns + span_ns // 2, trades.ts_ns >= panel.first_ns + span_ns * 2 // 3
    found = []
    for chosen in (early, late):
        found.append(mean_interval(*_trade_blocks(trades.only(chosen), block_ns), seed=seed))
    return found[0], found[1]


def _best_day(frozen: Frozen, block_ns: int, config: ValidationConfig) -> Interval:
    # At a level that allows for the choice among all days.
    day = max(frozen.days, key=lambda one: one[1] * one[2], default=(0, 0, 0.0))[0]
    part = frozen.trades.only(frozen.trades.ts_ns // NS_PER_DAY == day)
    level = 1.0 - 2.0 * config.gates.alpha / max(len(frozen.days), 1)
    return mean_interval(*_trade_blocks(part, block_ns), level=level, seed=config.seed)


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more
