"""What a strategy may do: intent -> approved lots, or a reason; compiled.

Exits always pass: the part of an intent that reduces the position (with the market orders already on their way) is approved
whatever the rules say; only the part that opens or adds is judged. An open limit order may never fill: it counts where it would
add to the position, never as something an exit could reduce. Rules in order: short not allowed (spot), MaxPosition, Cooldown,
MaxDailyLoss, MaxNotional; the first to refuse names the reason. The day is the UTC day of our clock.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgesmith.compiled import kernel
from edgesmith.domain.orders import Reason
from edgesmith.domain.units import NS_PER_DAY
from edgesmith.venues.simulated.fees import value_e8

NONE = int(Reason.NONE)
MAX_POSITION, COOLDOWN, DAILY_LOSS = int(Reason.MAX_POSITION), int(Reason.COOLDOWN), int(Reason.DAILY_LOSS)
SHORT_NOT_ALLOWED, MAX_NOTIONAL = int(Reason.SHORT_NOT_ALLOWED), int(Reason.MAX_NOTIONAL)

Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]


class RiskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a run; the defaults are the prior system's. A ratio of 0 switches its rule off."""

    enabled: bool = True
    max_positions: Annotated[int, Meta(ge=1, le=1_000)] = 1
    cooldown_events: Annotated[int, Meta(ge=0, le=10_000_000)] = 50
    max_daily_loss_ratio: Ratio = 0.02
    stop_loss_ratio: Ratio = 0.005
    take_profit_ratio: Ratio = 0.01
    max_position_notional: Annotated[float, Meta(ge=0.0, le=1e10)] = 0.0


class Approved(msgspec.Struct, frozen=True):
    """An intent that passed risk and is on its way; `qty` is what was approved."""

    order_id: int
    qty: float


class Refused(msgspec.Struct, frozen=True):
    """An intent that risk or the border refused."""

    reason: Reason


@kernel
def judge_entry(run, books, instrument, lots, after_exit):  # type: ignore[no-untyped-def]
    """Return the reason an entry of `lots` (signed) is refused, given the position `after_exit`, or NONE."""
    book = books[instrument]
    if book.no_short and after_exit + lots < 0:
        return SHORT_NOT_ALLOWED
    if run.risk_on == 0:
        return NONE
    held = 1 if after_exit != 0 else 0
    for other in range(books.shape[0]):
        if other != instrument and (books[other].position_lots != 0 or books[other].pending_orders != 0):
            held += 1
    if held >= run.max_positions:
        return MAX_POSITION
    if book.exit_in_flight != 0 or run.events - run.last_fill_event < run.cooldown_events:
        return COOLDOWN
    if run.daily_locked:
        return DAILY_LOSS
    if run.max_notional_e8 > 0:
        mid = (book.bid_ticks + book.ask_ticks) >> 1
        if mid > 0 and abs(value_e8(book, after_exit + lots, mid)) > run.max_notional_e8:
            return MAX_NOTIONAL
    return NONE


@kernel
def expected_lots(book):  # type: ignore[no-untyped-def]
    """Return the position once everything on its way has filled; reduce-only orders bring it towards zero, never past it."""
    lots = book.position_lots + book.pending_lots
    if lots > 0:
        return max(lots - book.reduce_sell_lots, 0)
    return min(lots + book.reduce_buy_lots, 0)


@kernel
def _exposed_lots(book, side):  # type: ignore[no-untyped-def]
    # The position an order of `side` would meet if none of the open limit orders of the other side fills.
    lots = book.position_lots + book.pending_lots
    if side > 0:
        lots += book.limit_sell_lots
        return lots if lots >= 0 else min(lots + book.reduce_buy_lots, 0)
    lots -= book.limit_buy_lots
    return lots if lots <= 0 else max(lots - book.reduce_sell_lots, 0)


@kernel
def judge(run, books, instrument, side, lots):  # type: ignore[no-untyped-def]
    """Return (approved lots, reason); approved is between 0 and `lots`."""
    exposed = _exposed_lots(books[instrument], side)
    reducing = min(lots, abs(exposed)) if exposed * side < 0 else 0
    entering = lots - reducing
    if entering == 0:
        return lots, NONE
    reason = judge_entry(run, books, instrument, side * entering, exposed + side * reducing)
    if reason == NONE:
        return lots, NONE
    return reducing, reason


@kernel
def roll_day(run):  # type: ignore[no-untyped-def]
    """Begin a new UTC day when ours has ended: the daily loss starts from zero and its lock opens."""
    if run.now >= run.day_end:
        run.day_end = (run.now // NS_PER_DAY + 1) * NS_PER_DAY
        run.day_start_net_e8 = run.realized_e8 - run.fees_e8 + run.funding_e8
        run.daily_locked = 0


@kernel
def check_daily_loss(run):  # type: ignore[no-untyped-def]
    """Lock entries for the rest of the day once realized PnL net of fees and funding has lost too much."""
    if run.risk_on == 0 or run.max_daily_loss_e8 == 0 or run.daily_locked:
        return
    net = run.realized_e8 - run.fees_e8 + run.funding_e8 - run.day_start_net_e8
    if net < -run.max_daily_loss_e8:
        run.daily_locked = 1
        run.daily_locks += 1
