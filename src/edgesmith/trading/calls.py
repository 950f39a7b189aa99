"""The compiled functions Python calls one at a time; compiled.

They take arrays of records: naming the type of a single record costs Python 100 us a call, of an array of them 0.3 us.
"""

from __future__ import annotations

from edgesmith.compiled import kernel
from edgesmith.domain.orders import OrderState
from edgesmith.trading.kernel import close_bucket, deliver_reports
from edgesmith.trading.risk import expected_lots
from edgesmith.trading.submission import find_slot, request_cancel, submit

DONE = int(OrderState.DONE)


@kernel
def call_submit(run, books, decisions, instrument, side, lots, order_type, price, tif, post_only, reduce_only, origin):  # type: ignore[no-untyped-def]
    """Call `submission.submit`."""
    return submit(run[0], books, decisions, instrument, side, lots, order_type, price, tif, post_only, reduce_only, origin)


@kernel
def call_cancel(run, order_id):  # type: ignore[no-untyped-def]
    """Request the cancel of an open order; False when it is not open any more."""
    slot = find_slot(run[0], order_id)
    if slot < 0 or run[0].order_state[slot] == DONE:
        return False
    request_cancel(run[0], slot)
    return True


@kernel
def call_expected_lots(books, instrument):  # type: ignore[no-untyped-def]
    """Return the position of an instrument once everything on its way has filled."""
    return expected_lots(books[instrument])


@kernel
def call_deliver_reports(run, books, fills):  # type: ignore[no-untyped-def]
    """Deliver every report due now."""
    return deliver_reports(run[0], books, fills, run[0].now)


@kernel
def call_close_bucket(run, books, curve, prices):  # type: ignore[no-untyped-def]
    """Close the bucket of the curves that is open."""
    close_bucket(run[0], books, curve, prices, run[0].now)
