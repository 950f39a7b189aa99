"""Write a partition: unite what it holds with what arrives, and put the result in place so that no crash can hurt it.

The commit, under a lock on the folder: write `data-<checksum>.parquet`, then rename `meta.json`, which names it, into place; that
rename is the commit. What an interrupted write leaves behind is named by no meta: readers do not see it and the next write
removes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import gcd
from pathlib import Path
from typing import Any

import msgspec

from edgesmith.errors import DataError, InputError
from edgesmith.lake.atomic import locked_folder, remove_leftovers, write_atomically
from edgesmith.lake.datafile import read_rows, write_data
from edgesmith.lake.figures import Figures, figures_of
from edgesmith.lake.group_commit import finish_commits
from edgesmith.lake.held import check_not_held
from edgesmith.lake.rows import Rows, checked_rows, ordered, united
from edgesmith.lake.schema import (
    META_NAME,
    SIMULATED_VENUE,
    ClockRecord,
    PartitionKey,
    PartitionMeta,
    Source,
    encode_meta,
    read_meta,
)


class MergeResult(msgspec.Struct, frozen=True):
    """What a merge did; `changed` is False when the partition already said all of it."""

    meta: PartitionMeta
    rows_added: int
    duplicates: int
    changed: bool


def merge_partition(
    root: Path,
    key: PartitionKey,
    columns: Mapping[str, Any],
    *,
    source: Source,
    clock: ClockRecord,
    price_increment: str | None = None,
    qty_increment: str | None = None,
    simulated: bool = False,
    truth: dict[str, Any] | None = None,
) -> MergeResult:
    """Unite `columns` with the partition `key` of the lake at `root`.

    Parameters
    ----------
    columns
        The stream's `content_columns`, equally long, in order of arrival: clocks int64 ns, prices and quantities float64
        (`index_price` may be NaN), `side` int8, `trade_id` strings or integers. All `ts_event` lie in the key's day.
    source
        The file the rows came from; the meta lists each once.
    clock
        What the two clocks are; the skew is measured on the rows.
    """
    check_simulated(key, simulated)
    check_not_held(root, key)
    added = checked_rows(key, columns)
    given = len(added["ts_event"])
    added = ordered(added, key.stream)
    folder = key.folder(root)
    finish_commits(root)
    with locked_folder(folder):
        held = read_meta(folder)
        if held is None:
            rows, new = added, len(added["ts_event"])
        else:
            rows, new = united(read_rows(folder, held), added)
        meta = new_meta(key, figures_of(key, rows), held, source, clock, price_increment, qty_increment, truth)
        if meta != held:
            _commit(folder, meta, rows, held)
    return MergeResult(meta, rows_added=new, duplicates=given - new, changed=meta != held)


def check_simulated(key: PartitionKey, simulated: bool) -> None:
    """Refuse simulated data for a real venue, and real data for the simulated one."""
    if simulated != (key.venue == SIMULATED_VENUE):
        raise InputError(f"{key}: simulated was {simulated}; simulated data, and only that, goes to venue '{SIMULATED_VENUE}'")


def new_meta(
    key: PartitionKey,
    figures: Figures,
    held: PartitionMeta | None,
    source: Source,
    clock: ClockRecord,
    price_increment: str | None,
    qty_increment: str | None,
    truth: dict[str, Any] | None,
) -> PartitionMeta:
    """Return the meta of a partition with these figures; raises where it contradicts the meta it `held`."""
    sources = {source}
    if held is not None:
        _check_agreement(key, held, clock, truth)
        sources.update(held.sources)
        price_increment = _common_increment(held.price_increment, price_increment)
        qty_increment = _common_increment(held.qty_increment, qty_increment)
    return PartitionMeta(
        venue=key.venue,
        stream=key.stream.label,
        symbol=key.symbol,
        day=key.day,
        data_file=f"data-{figures.content_sha256[:12]}.parquet",
        rows=figures.rows,
        ts_event_min=figures.ts_event_min,
        ts_event_max=figures.ts_event_max,
        ts_recv_min=figures.ts_recv_min,
        ts_recv_max=figures.ts_recv_max,
        content_sha256=figures.content_sha256,
        sources=tuple(sorted(sources)),
        clock=ClockRecord(clock.event_clock, clock.recv_clock, figures.skew_ns_min, figures.skew_ns_p50),
        price_increment=price_increment,
        qty_increment=qty_increment,
        simulated=key.venue == SIMULATED_VENUE,
        truth=truth if truth is not None or held is None else held.truth,
    )


def _check_agreement(key: PartitionKey, held: PartitionMeta, clock: ClockRecord, truth: dict[str, Any] | None) -> None:
    now, before = (clock.event_clock, clock.recv_clock), (held.clock.event_clock, held.clock.recv_clock)
    if now != before:
        raise DataError(
            f"{key}: the lake holds rows with clocks (event {before[0]}, receive {before[1]}) and the new ones have "
            f"(event {now[0]}, receive {now[1]}); one sequence cannot have both: import them into another lake root"
        )
    if truth is not None and held.truth is not None and truth != held.truth:
        raise DataError(f"{key}: the lake holds a simulated world with another truth; write this one into another lake root")


def _common_increment(first: str | None, second: str | None) -> str | None:
    # The coarsest grid both lie on.
    if first is None or second is None or first == second:
        return first if first is not None else second
    one, two = Decimal(first), Decimal(second)
    places = max(0, -int(one.as_tuple().exponent), -int(two.as_tuple().exponent))
    step = Decimal(gcd(int(one.scaleb(places)), int(two.scaleb(places)))).scaleb(-places)
    return format(step.normalize(), "f")


def _commit(folder: Path, meta: PartitionMeta, rows: Rows, held: PartitionMeta | None) -> None:
    remove_leftovers(folder)
    if held is None or held.data_file != meta.data_file:
        write_atomically(folder / meta.data_file, lambda path: write_data(path, meta.key, rows))
    write_atomically(folder / META_NAME, lambda path: _write_bytes(path, encode_meta(meta)))
    remove_unnamed(folder, meta)


def remove_unnamed(folder: Path, meta: PartitionMeta | None) -> None:
    """Remove data files that `meta` does not name; call it only while holding the folder."""
    for data in folder.glob("data-*.parquet"):
        if meta is None or data.name != meta.data_file:
            data.unlink(missing_ok=True)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
