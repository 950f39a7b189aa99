"""A run of rows of one form of one instrument, and how it falls into streams and days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_DAY, date_of_ns
from edgesmith.lake.importers.checks import Columns
from edgesmith.lake.rows import take
from edgesmith.lake.schema import ClockRecord, content_columns

# The column whose absence (NaN) means that a row has nothing for the stream.
PRESENCE = {Stream.MARK_PRICE: "mark_price", Stream.FUNDING: "funding_rate", Stream.OPEN_INTEREST: "open_interest"}


@dataclass(frozen=True)
class Series:
    """What a run of rows is: whose, in which form the source had it, for which streams, on which clocks.

    `form` is the source's own word (`aggTrade`, `quotes`). `in_receive_order` says that ids must rise in file order; otherwise
    the order of the file means nothing and rows are sorted by (`ts_event`, id). With `on_change`, funding and open interest are
    stored when they change or a UTC day begins. `required` names columns that may not be absent where absence is possible.
    """

    venue: str
    symbol: str
    form: str
    streams: tuple[Stream, ...]
    clock: ClockRecord
    in_receive_order: bool = True
    on_change: bool = False
    required: tuple[str, ...] = ()


def joined(batches: Sequence[Columns]) -> Columns:
    """Return the columns of several batches end to end."""
    if len(batches) == 1:
        return batches[0]
    return {
        name: pa.concat_arrays([batch[name] for batch in batches])
        if isinstance(first, pa.Array)
        else np.concatenate([batch[name] for batch in batches])
        for name, first in batches[0].items()
    }


def rows_of(series: Series, stream: Stream, columns: Columns) -> Columns:
    """Return what `columns` hold for one stream of the lake."""
    rows = {name: columns[name] for name in content_columns(stream)}
    presence = PRESENCE.get(stream)
    if presence is None:
        return rows
    present = ~np.isnan(rows[presence])
    if not present.all():
        rows = take(rows, present)
    if series.on_change and stream != Stream.MARK_PRICE:
        rows = take(rows, _changes(rows, stream))
    return rows


def _changes(rows: Columns, stream: Stream) -> NDArray[np.bool_]:
    changed = np.ones(len(rows["ts_event"]), np.bool_)
    changed[1:] = np.diff(rows["ts_event"] // NS_PER_DAY) != 0
    for name in ("open_interest",) if stream == Stream.OPEN_INTEREST else ("funding_rate", "next_funding_ts"):
        changed[1:] |= rows[name][1:] != rows[name][:-1]
    return changed


def by_day(rows: Columns) -> list[tuple[date, Columns]]:
    """Return the rows of every UTC day, in their order."""
    if not len(rows["ts_event"]):
        return []
    days = rows["ts_event"] // NS_PER_DAY
    first, last = int(days.min()), int(days.max())
    if first == last:
        return [(date_of_ns(first * NS_PER_DAY), rows)]
    return [(date_of_ns(int(day) * NS_PER_DAY), take(rows, days == day)) for day in np.unique(days)]
