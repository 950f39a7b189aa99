"""What an edge must show: the gates, the findings they are held against, and the rung that follows."""

from __future__ import annotations

import msgspec

from edgesmith.domain.units import NS_PER_MS, format_duration_ns
from edgesmith.edges.verdict import Verdict
from edgesmith.errors import InputError

# One day is told from luck among at least this many.
ONE_DAY_OF = 5


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bars of validation.

    Parameters
    ----------
    alpha : level of the family-wise test over the candidates carried, and of "no profit"
    blocks_min, blocks_effective_min, onsets_testable : below any of these, of rows or of trades, nothing can be said
    onsets_min, days_min : below these a steady profit stays a CANDIDATE
    latency_stress, latency_stress_min_ns : the lower bound must stay above zero at this multiple of the latency too, and at
        least this late: nobody acts in no time
    pbo_max, dsr_min, positive_days_min : bars of overfitting, deflated Sharpe ratio and share of days with a profit
    placebo_alpha : level of the placebos together; one edge in a hundred is held back by chance
    """

    alpha: float = 0.05
    blocks_min: int = 30
    blocks_effective_min: float = 20.0
    onsets_testable: int = 30
    onsets_min: int = 200
    days_min: int = 10
    latency_stress: float = 2.0
    latency_stress_min_ns: int = 10 * NS_PER_MS
    pbo_max: float = 0.2
    dsr_min: float = 0.95
    positive_days_min: float = 0.6
    placebo_alpha: float = 0.01

    def __post_init__(self) -> None:
        for name, low, high in (
            ("alpha", 1e-4, 0.2),
            ("latency_stress", 1.0, 10.0),
            ("pbo_max", 0.0, 1.0),
            ("dsr_min", 0.0, 1.0),
            ("positive_days_min", 0.0, 1.0),
            ("placebo_alpha", 1e-3, 0.2),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} was {getattr(self, name)}, expected {low:g}..{high:g}")

    def stressed_ns(self, latency_ns: int) -> int:
        """Return the latency an edge of `latency_ns` must also survive."""
        return max(round(latency_ns * self.latency_stress), self.latency_stress_min_ns)


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers the ladder reads; None where a thing could not be measured. All bps are of trades after cost.

    `p_excess` and `p_net` are adjusted for the candidates carried; `p_excess` is 1 where the effect is not to the edge's side.
    `blocks` hold rows of the trigger, `trade_blocks` trades. `early` and `late` are the first half and the last third of the
    span: (low, high) ends of 90 % intervals; `best_day` allows for having been chosen among all days. `placebo_p` is the
    smallest p of the placebos, adjusted for their number. `winsorized_bps` and `per_volatility` are the same effect with the
    largest results cut and in units of volatility: they must point to the side of the edge.
    """

    leaks: tuple[str, ...] = ()
    onsets: int
    days: int
    blocks: int
    blocks_effective: float
    trade_blocks: int
    trade_blocks_effective: float
    p_excess: float | None
    p_net: float | None
    gross_bps: float | None
    cost_bps: float | None
    net_bps: float | None
    net_low_bps: float | None
    stressed_latency_ns: int
    stressed_net_low_bps: float | None
    break_even_fee_bps: float | None
    walk_forward_low_bps: float | None
    pbo: float | None
    dsr: float | None
    positive_days_ratio: float | None
    without_best_day_bps: float | None
    best_day_low_bps: float | None
    early_low_bps: float | None
    late_low_bps: float | None
    late_high_bps: float | None
    mde_bps: float | None
    placebo_p: float | None
    winsorized_bps: float | None = None
    per_volatility: float | None = None


class Judgment(msgspec.Struct, frozen=True):
    """The rung, and the numbers that decided it in one sentence."""

    verdict: Verdict
    sentence: str


def judge_findings(found: Findings, gates: Gates) -> Judgment:
    """Return the first rung of the ladder that applies."""
    for verdict, reason in (
        (Verdict.LEAK, _leak(found)),
        (Verdict.INSUFFICIENT, _insufficient(found, gates)),
        (Verdict.REJECT_NULL, _nothing(found, gates)),
        (Verdict.REJECT_COST, _costs(found, gates)),
        (Verdict.REJECT_UNSTABLE, _unstable(found, gates)),
        (Verdict.REJECT_DECAYED, _decayed(found)),
        (Verdict.CANDIDATE, _missing(found, gates)),
    ):
        if reason is not None:
            return Judgment(verdict, f"{verdict.words}: {reason}")
    return Judgment(
        Verdict.VALIDATED,
        f"{Verdict.VALIDATED.words}: {found.onsets:,} trades on {found.days} "
        f"day{'s' * (found.days != 1)} keep {_bps(found.net_bps)} after "
        f"{_bps(found.cost_bps)} of cost, at least {_bps(found.net_low_bps)} with 95 % confidence; deflated Sharpe "
        f"{found.dsr:.3f}, probability of overfitting {found.pbo:.2f}",
    )


def is_decayed(found: Findings) -> bool:
    """Tell whether the first half surely paid, and the last third is surely worse and no longer surely pays."""
    if found.early_low_bps is None or found.late_high_bps is None:
        return False
    # A lower end that is not known is below any number.
    return 0.0 < found.early_low_bps > found.late_high_bps and (found.late_low_bps is None or found.late_low_bps <= 0.0)


def is_one_day(found: Findings) -> bool:
    """Tell whether a single day surely paid, and nothing is left without it."""
    if found.best_day_low_bps is None or found.without_best_day_bps is None or found.days < ONE_DAY_OF:
        return False
    return found.best_day_low_bps > 0.0 >= found.without_best_day_bps


def _leak(found: Findings) -> str | None:
    if not found.leaks:
        return None
    names = ", ".join(found.leaks)
    return f"the past of {names} changes when later events are taken away"


def _insufficient(found: Findings, gates: Gates) -> str | None:
    if found.blocks < gates.blocks_min or found.blocks_effective < gates.blocks_effective_min:
        worth = min(found.blocks, found.blocks_effective)
        return (
            f"{found.blocks} blocks of time, worth {worth:.0f} equal ones; expected {gates.blocks_min} "
            f"worth {gates.blocks_effective_min:.0f}"
        )
    if found.onsets < gates.onsets_testable:
        return f"the trigger began {found.onsets} times where trades could follow, expected {gates.onsets_testable}"
    if found.trade_blocks < gates.blocks_min or found.trade_blocks_effective < gates.blocks_effective_min:
        worth = min(found.trade_blocks, found.trade_blocks_effective)
        return (
            f"its {found.onsets:,} trades lie in {found.trade_blocks} blocks of time, worth {worth:.0f} equal ones; expected "
            f"{gates.blocks_min} worth {gates.blocks_effective_min:.0f}"
        )
    return None


def _nothing(found: Findings, gates: Gates) -> str | None:
    if is_decayed(found) or (found.p_excess is not None and found.p_excess <= gates.alpha):
        return None
    seen = f"; an effect of {_bps(found.mde_bps)} would have been seen" if found.mde_bps is not None else ""
    return f"what follows the trigger does not differ from what follows otherwise (p = {_number(found.p_excess)}){seen}"


def _costs(found: Findings, gates: Gates) -> str | None:
    surely = found.net_low_bps is not None and found.net_low_bps > 0.0 and found.p_net is not None and found.p_net <= gates.alpha
    if is_decayed(found) or (not surely and is_one_day(found)):
        return None
    if not surely:
        return (
            f"it moves {_bps(found.gross_bps)} and costs {_bps(found.cost_bps)}, which leaves {_bps(found.net_bps)} with a lower "
            f"bound of {_bps(found.net_low_bps)} (no profit: p = {_number(found.p_net)}); fees of "
            f"{_bps(found.break_even_fee_bps)} a side would break even"
        )
    if found.stressed_net_low_bps is None or found.stressed_net_low_bps <= 0.0:
        return (
            f"entered {format_duration_ns(found.stressed_latency_ns)} after the decision the lower bound is "
            f"{_bps(found.stressed_net_low_bps)}, from {_bps(found.net_low_bps)}"
        )
    return None


def _unstable(found: Findings, gates: Gates) -> str | None:
    if is_decayed(found):
        return None
    if is_one_day(found):
        return (
            f"one day kept at least {_bps(found.best_day_low_bps)} a trade, and without it {_bps(found.without_best_day_bps)} "
            f"are left of the {found.days} days"
        )
    if found.pbo is not None and found.pbo > gates.pbo_max:
        return (
            f"the best of the past was below the middle afterwards in {found.pbo:.0%} of splits, "
            f"at most {gates.pbo_max:.0%} are allowed"
        )
    if found.walk_forward_low_bps is not None and found.walk_forward_low_bps <= 0.0:
        return f"chosen again on every training span it keeps {_bps(found.walk_forward_low_bps)} at the lower end"
    if found.without_best_day_bps is not None and found.without_best_day_bps <= 0.0:
        return f"without its best day {_bps(found.without_best_day_bps)} are left"
    if found.positive_days_ratio is not None and found.days > 1 and found.positive_days_ratio < gates.positive_days_min:
        return f"{found.positive_days_ratio:.0%} of days had a profit, expected {gates.positive_days_min:.0%}"
    return None


def _decayed(found: Findings) -> str | None:
    if not is_decayed(found):
        return None
    return (
        f"the last third of the span keeps {_bps(found.late_low_bps)} to {_bps(found.late_high_bps)}, the first half "
        f"at least {_bps(found.early_low_bps)}"
    )


def _missing(found: Findings, gates: Gates) -> str | None:
    reasons = []
    if found.onsets < gates.onsets_min:
        reasons.append(f"{found.onsets} of {gates.onsets_min} trades")
    if found.days < gates.days_min:
        reasons.append(f"{found.days} of {gates.days_min} days")
    if found.dsr is None or found.dsr < gates.dsr_min:
        reasons.append(f"deflated Sharpe {_number(found.dsr)} of {gates.dsr_min:g}")
    if found.pbo is None:
        reasons.append("too few blocks for a probability of overfitting")
    if found.walk_forward_low_bps is None:
        reasons.append("nothing was chosen in the walk forward")
    if found.placebo_p is None:
        reasons.append("too few blocks for placebos")
    elif found.placebo_p <= gates.placebo_alpha:
        reasons.append(f"it shows in a placebo too (p = {_number(found.placebo_p)})")
    if found.winsorized_bps is not None and found.winsorized_bps <= 0.0:
        reasons.append(f"without the largest 0.5 % of results on either end it keeps {_bps(found.winsorized_bps)}")
    if found.per_volatility is not None and found.per_volatility <= 0.0:
        reasons.append(f"in units of volatility it moves {found.per_volatility:.3f} to its side")
    if not reasons:
        return None
    return f"it keeps {_bps(found.net_bps)}, at least {_bps(found.net_low_bps)}; not proven yet: {', '.join(reasons)}"


def _bps(value: float | None) -> str:
    return "an unknown amount" if value is None else f"{value:.2f} bps"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
