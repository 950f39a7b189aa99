"""The section on discovery: which cells were tried, what was concluded, and beside it the truth where a world's truth is known.

The result arrives as the plain JSON of `discovery.json`; this module states which part of it a page needs and checks that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from edgesmith.domain.units import NS_PER_MS
from edgesmith.errors import CorruptDataError
from edgesmith.trading.report import formats

# Strongest first; the words a page uses, and how loudly it says them.
VERDICTS = {
    "VALIDATED": ("proven on new data", "strong"),
    "CANDIDATE": ("real", "strong"),
    "REJECT_DECAYED": ("was real, has faded", "half"),
    "REJECT_UNSTABLE": ("real, but not steady", "half"),
    "REJECT_COST": ("real, but costs eat it", "half"),
    "REJECT_NULL": ("nothing", ""),
    "INSUFFICIENT": ("too little data", "faint"),
    "LEAK": ("knows the future", "faint"),
}
# What a search counts as found.
FOUND = ("CANDIDATE", "REJECT_COST")
# The verdicts of a world on itself.
TRUTHS = {
    "tradable": "tradable",
    "real_but_cost": "real, but costs eat it",
    "real_but_unstable": "real, but it does not last",
    "nothing": "nothing",
}
# The bin code of missing values.
MISSING = 255
# A region at least this high has no upper end.
OPEN_ABOVE = 1e9
# What was found fills a table; a page of nothing but rejected cells would teach nobody anything.
ROWS_MAX = 60


class SearchBound(msgspec.Struct, frozen=True):
    """One condition of a cell."""

    feature: str
    first: int
    lower: float | None = None
    upper: float | None = None


class SearchDepth(msgspec.Struct, frozen=True):
    """What was looked at with one number of conditions."""

    depth: int
    triggers: int
    pruned: int
    tested: int
    trials: int
    alpha: float


class SearchCell(msgspec.Struct, frozen=True):
    """The part of a discovery cell that a page shows."""

    feature: str
    bin: int
    horizon_ns: int
    latency_ns: int
    side: int
    verdict: str
    lower: float | None = None
    upper: float | None = None
    n_eff: float | None = None
    gross_bps: float | None = None
    cost_bps: float | None = None
    net_bps_best_side: float | None = None
    t_excess: float | None = None
    p_family: float | None = None
    p_net_family: float | None = None
    mde_bps: float | None = None
    sentence: str = ""
    bounds: list[SearchBound] = []
    onsets: int | None = None
    onset_net_bps: float | None = None
    onset_low_bps: float | None = None

    @property
    def where(self) -> str:
        """Return the conditions as a table shows them."""
        if len(self.bounds) < 2:
            return condition(self.feature, self.lower, self.upper, missing=self.bin == MISSING)
        return " and ".join(condition(one.feature, one.lower, one.upper, missing=one.first == MISSING) for one in self.bounds)

    @property
    def strength(self) -> tuple[int, float, float, str, int, int]:
        """Return a sort key: the best verdict first, then the surest, then the largest effect."""
        p = 1.0 if self.p_family is None else self.p_family
        return _rank(self.verdict), p, -abs(self.t_excess or 0.0), self.feature, self.horizon_ns, self.bin


class SearchRecord(msgspec.Struct, frozen=True):
    """The part of a discovery result that a page shows."""

    cells: list[SearchCell]
    trials: int
    counts: dict[str, int]
    instrument: str = ""
    trial_hash: str = ""
    critical_t: float | None = None
    fee_in_bps: float | None = None
    fee_out_bps: float | None = None
    edges_span: dict[str, int] = {}
    config: dict[str, Any] = {}
    needed_ic: list[dict[str, Any]] = []
    best: list[SearchCell] = []
    refined: list[SearchCell] = []
    depths: list[SearchDepth] = []
    trials_total: int | None = None
    level: float | None = None
    cost_tier: str = ""


class PlantedRegion(msgspec.Struct, frozen=True):
    """Where an effect was planted: `low` <= feature < `high`; if `mirrored`, also the mirror image, with the sides exchanged."""

    feature: str
    low: float
    high: float = OPEN_ABOVE
    mirrored: bool = False


class PlantedEffect(msgspec.Struct, frozen=True):
    """One effect that a simulated world really contains, as `worlds` describes it."""

    region: PlantedRegion
    side: int
    shift_bps: float
    probability_ratio: float = 1.0
    delay_ms: float = 0.0
    window_ms: float = 0.0


class TruthClaim(msgspec.Struct, frozen=True):
    """What is true of one region of one feature, measured by `worlds` against what was planted."""

    feature: str
    low: float
    side: int
    horizon_ms: float
    verdict: str
    gross_bps: float
    cost_bps: float
    high: float = OPEN_ABOVE
    mirrored: bool = False


class TruthRecord(msgspec.Struct, frozen=True):
    """What a simulated world really contains; no plants means that nothing was planted."""

    plants: list[PlantedEffect]
    claims: list[TruthClaim] = []
    summary: str = ""


def discovery_view(found: Mapping[str, Any], truth: Mapping[str, Any] | None) -> dict[str, Any]:
    """Build the discovery section from a discovery result and, for a simulated world, its truth record."""
    search = _checked(found, SearchRecord, "discovery result")
    known = None if truth is None else _checked(truth, TruthRecord, "truth record")
    cells = _shown(search)
    return {
        "headline": headline(search),
        "tally": [
            (f"{formats.count(search.counts[name])} {words}", style)
            for name, (words, style) in VERDICTS.items()
            if search.counts.get(name)
        ],
        "funnel": [_funnel(depth, search) for depth in search.depths],
        "facts": _facts(search),
        "needed": [_needed(row) for row in at_one_latency(search.needed_ic)],
        "overview": overview(search),
        "rows": [_row(cell, known) for cell in cells],
        "rows_hidden": len(search.cells) - len(cells),
        "refined": [_refined(cell, known) for cell in search.refined],
        "truth": None
        if known is None
        else {
            "summary": known.summary,
            "claims": [_claim_row(claim) for claim in known.claims],
            "plants": [_plant_sentence(plant) for plant in known.plants],
        },
    }


def headline(search: SearchRecord) -> str:
    """Say the outcome of the whole search in a sentence, and what could not have been seen."""
    real, eaten = search.counts.get("CANDIDATE", 0), search.counts.get("REJECT_COST", 0)
    looked, sizes = f"{formats.count(search.trials)} cells looked at", _detectable(search)
    if real:
        also = f"; {formats.count(eaten)} more are real, but costs eat them" if eaten else ""
        caveat = "Candidates still have to be validated on data no search has seen."
        return f"{looked}: {formats.count(real)} real after costs{also}. {caveat}"
    if eaten:
        return f"{looked}: {formats.count(eaten)} real, and costs eat every one of them. Nothing here is worth trading."
    if not sizes:
        return f"{looked}: too little data. No conclusion can be drawn, neither way."
    smallest = formats.bps(sizes[0], signed=False)
    return f"{looked}: nothing found. The smallest effect that could have been seen is {smallest}; smaller ones may exist."


def overview(search: SearchRecord) -> dict[str, Any]:
    """Lay out the strongest cell of every feature at every horizon as a grid."""
    alone = [cell for cell in search.cells if len(cell.bounds) < 2]
    horizons = sorted({cell.horizon_ns for cell in alone})
    strongest: dict[tuple[str, int], SearchCell] = {}
    for cell in sorted(alone, key=lambda cell: cell.strength):
        strongest.setdefault((cell.feature, cell.horizon_ns), cell)
    features = list(dict.fromkeys(feature for feature, _ in strongest))
    return {
        "horizons": [formats.duration(horizon) for horizon in horizons],
        "rows": [(feature, [_square(strongest.get((feature, horizon))) for horizon in horizons]) for feature in features],
    }


def condition(feature: str, lower: float | None, upper: float | None, *, missing: bool = False) -> str:
    """Say which values of a feature a cell holds, short enough for a table."""
    if missing:
        return f"{feature} missing"
    if lower is None:
        return f"any {feature}" if upper is None else f"{feature} < {_short(upper)}"
    return f"{feature} \u2265 {_short(lower)}" if upper is None else f"{_short(lower)} \u2264 {feature} < {_short(upper)}"


def _checked(value: Mapping[str, Any], kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise CorruptDataError(f"the {name} was not what a report can show ({error}); run discovery again") from None


def _shown(search: SearchRecord) -> list[SearchCell]:
    ranked = sorted(search.cells, key=lambda cell: cell.strength)
    found = [cell for cell in ranked if cell.verdict in FOUND][:ROWS_MAX]
    features = {cell.feature for cell in found}
    return found + [cell for cell in search.best if cell.feature not in features]


def _facts(search: SearchRecord) -> list[tuple[str, str]]:
    config, sizes = search.config, _detectable(search)
    first, tested, last = (formats.instant(search.edges_span.get(name)) for name in ("first_ns", "test_first_ns", "test_last_ns"))
    fee_in, fee_out = formats.bps(search.fee_in_bps, signed=False), formats.bps(search.fee_out_bps, signed=False)
    best, median = (formats.bps(sizes[at], signed=False) for at in (0, len(sizes) // 2)) if sizes else (formats.UNKNOWN,) * 2
    return [
        ("Instrument", search.instrument or formats.UNKNOWN),
        ("Cells looked at", formats.count(search.trials)),
        ("In this data so far", f"{formats.count(search.trials_total or search.trials)} cells, earlier searches counted"),
        (
            "Chance of one false find",
            f"at most {formats.percent(search.level or config.get('alpha'), 1)} over all cells together",
        ),
        ("Test", f"sign flips of whole blocks of time, {formats.count(config.get('flips'))} of them"),
        ("Critical |t|", formats.number(search.critical_t)),
        ("Detectable effect", f"{best} at best, {median} in the median cell"),
        ("Fees in and out", f"{fee_in} and {fee_out}, plus the spread" + (f" ({search.cost_tier})" if search.cost_tier else "")),
        ("Bin edges from", f"{first} to {tested} UTC, never tested"),
        ("Tested on", f"{tested} to {last} UTC"),
        ("Trial hash", search.trial_hash or formats.UNKNOWN),
    ]


def at_one_latency(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the shortest latency: what a move is worth hardly depends on when it is entered."""
    shortest = min((row.get("latency_ns", 0) for row in table), default=0)
    return [row for row in table if row.get("latency_ns", 0) == shortest]


def _funnel(depth: SearchDepth, search: SearchRecord) -> dict[str, str]:
    cells = [cell for cell in search.cells if max(1, len(cell.bounds)) == depth.depth and cell.verdict in FOUND]
    triggers = {cell.where for cell in cells}
    paying = {cell.where for cell in cells if cell.verdict == "CANDIDATE"}
    return {
        "depth": ("single conditions", "pairs", "triples")[depth.depth - 1],
        "trials": formats.count(depth.trials),
        "triggers": formats.count(depth.triggers),
        "pruned": formats.count(depth.pruned),
        "tested": formats.count(depth.tested),
        "real": formats.count(len(triggers)),
        "paying": formats.count(len(paying)),
        "alpha": formats.percent(depth.alpha, 2),
    }


def _needed(row: Mapping[str, Any]) -> dict[str, str]:
    needed = formats.as_float(row.get("needed_ic"))
    word = formats.UNKNOWN if needed is None else "possible" if row.get("possible") else "none can pay"
    return {
        "horizon": formats.duration(row.get("horizon_ns")),
        "latency": formats.duration(row.get("latency_ns")),
        "move": formats.bps(row.get("gross_sd_bps"), signed=False),
        "cost": formats.bps(row.get("cost_bps"), signed=False),
        "needed": formats.number(needed),
        "detectable": formats.number(formats.as_float(row.get("mde_bps"))),
        "word": word,
    }


def _row(cell: SearchCell, truth: TruthRecord | None) -> dict[str, str]:
    words, style = VERDICTS.get(cell.verdict, (cell.verdict, ""))
    gross = None if cell.gross_bps is None else cell.side * cell.gross_bps
    return {
        "verdict": words,
        "style": style,
        "cell": cell.where,
        "horizon": formats.duration(cell.horizon_ns),
        "side": "buy" if cell.side > 0 else "sell",
        "gross": formats.number(gross, signed=True),
        "cost": formats.number(cell.cost_bps),
        "net": formats.number(cell.net_bps_best_side, signed=True),
        "net_tone": formats.tone(cell.net_bps_best_side),
        "p": formats.number(cell.p_family, 4),
        "p_net": formats.number(cell.p_net_family, 4),
        "detectable": formats.number(cell.mde_bps),
        "rows_effective": formats.count(cell.n_eff),
        "sentence": cell.sentence,
        "truth": "" if truth is None else _truth_of(cell, truth),
    }


def _refined(cell: SearchCell, truth: TruthRecord | None) -> dict[str, str]:
    return _row(cell, truth) | {
        "onsets": formats.count(cell.onsets),
        "onset_net": formats.number(cell.onset_net_bps, signed=True),
        "onset_low": formats.number(cell.onset_low_bps, signed=True),
        "onset_tone": formats.tone(cell.onset_low_bps),
    }


def truth_words(feature: str, lower: float | None, upper: float | None, horizon_ns: int, truth: Mapping[str, Any]) -> str:
    """Say what a world's truth record knows of an interval of a feature at a horizon."""
    cell = SearchCell(feature=feature, bin=0, horizon_ns=horizon_ns, latency_ns=0, side=1, verdict="", lower=lower, upper=upper)
    return _truth_of(cell, _checked(truth, TruthRecord, "truth record"))


def _truth_of(cell: SearchCell, truth: TruthRecord) -> str:
    # A claim counts the market's own effects too and carries a verdict, so it goes before what was merely planted.
    claims = [(claim, side) for claim in truth.claims if (side := _side_in(cell, claim.feature, claim)) is not None]
    if claims:
        claim, side = min(claims, key=lambda pair: abs(math.log(pair[0].horizon_ms * NS_PER_MS / cell.horizon_ns)))
        return _claim_words(claim, side * claim.side)
    planted = [
        (plant, side) for plant in truth.plants if (side := _side_in(cell, plant.region.feature, plant.region)) is not None
    ]
    return "; ".join(_effect(plant, side * plant.side) for plant, side in planted) or "nothing planted"


def _side_in(cell: SearchCell, feature: str, region: PlantedRegion | TruthClaim) -> int | None:
    if feature != cell.feature:
        return None
    if _overlap(cell, region.low, region.high):
        return 1
    return -1 if region.mirrored and _overlap(cell, -region.high, -region.low) else None


def _claim_words(claim: TruthClaim, side: int) -> str:
    word = TRUTHS.get(claim.verdict, claim.verdict)
    if claim.verdict == "nothing":
        return word
    size = formats.bps(claim.gross_bps, signed=False)
    return f"{word}: {'buy' if side > 0 else 'sell'} {size} in {formats.duration(claim.horizon_ms * NS_PER_MS)}"


def _claim_row(claim: TruthClaim) -> dict[str, str]:
    mirrored = " (and its mirror image)" if claim.mirrored else ""
    return {
        "where": condition(claim.feature, claim.low, _open(claim.high)) + mirrored,
        "horizon": formats.duration(claim.horizon_ms * NS_PER_MS),
        "side": "buy" if claim.side > 0 else "sell",
        "gross": formats.number(claim.gross_bps, signed=True),
        "cost": formats.number(claim.cost_bps),
        "word": TRUTHS.get(claim.verdict, claim.verdict),
    }


def _open(high: float) -> float | None:
    return None if high >= OPEN_ABOVE else high


def _effect(plant: PlantedEffect, side: int) -> str:
    size = formats.bps(plant.probability_ratio * plant.shift_bps, signed=False)
    return f"{'buy' if side > 0 else 'sell'} {size} within {_posted(plant)}"


def _plant_sentence(plant: PlantedEffect) -> str:
    region = plant.region
    where = condition(region.feature, region.low, _open(region.high))
    mirrored = ", and its mirror image with the sides exchanged" if region.mirrored else ""
    odds = f"{formats.percent(plant.probability_ratio, 0)} of the time by {formats.bps(plant.shift_bps, signed=False)}"
    return f"{where}: {_effect(plant, plant.side)} on average (the price moves {odds}){mirrored}"


def _posted(plant: PlantedEffect) -> str:
    return formats.duration((plant.delay_ms + plant.window_ms) * NS_PER_MS)


def _overlap(cell: SearchCell, low: float, high: float) -> bool:
    cell_low, cell_high = _bounds(cell.lower, cell.upper)
    return cell.bin != MISSING and low < cell_high and cell_low < high


def _bounds(lower: float | None, upper: float | None) -> tuple[float, float]:
    return (-math.inf if lower is None else lower), (math.inf if upper is None else upper)


def _square(cell: SearchCell | None) -> dict[str, str]:
    if cell is None:
        return {"text": "", "style": "faint", "words": "not tried"}
    words, style = VERDICTS.get(cell.verdict, (cell.verdict, ""))
    return {
        "text": formats.number(cell.t_excess, 1, signed=True),
        "style": style,
        "words": f"{condition(cell.feature, cell.lower, cell.upper, missing=cell.bin == MISSING)}: {words}",
    }


def _detectable(search: SearchRecord) -> list[float]:
    return sorted(cell.mde_bps for cell in search.cells if cell.mde_bps is not None)


def _rank(verdict: str) -> int:
    return list(VERDICTS).index(verdict) if verdict in VERDICTS else len(VERDICTS)


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", formats.MINUS)
