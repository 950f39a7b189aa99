"""A dated universe: which symbols of a venue were worth looking at on each UTC day, as it was known before that day began.

Choosing by what is big today keeps the winners and forgets the dead. Here the members of a day are the `top` symbols of the
days before it, so later days change nothing; a symbol that stopped trading is a member up to its last day.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np

from edgesmith.canonical import canonical_json, content_hash
from edgesmith.domain.events import Stream
from edgesmith.domain.instruments import ContractKind
from edgesmith.errors import CorruptDataError, InputError
from edgesmith.lake.atomic import write_atomically
from edgesmith.lake.catalog import Catalog, Partition, format_days
from edgesmith.lake.datafile import open_data, read_row_group
from edgesmith.parallel import Progress, map_ordered
from edgesmith.venues.registry import find_instrument

Measure = Literal["turnover", "trades"]
TOP_MAX = 10_000
WINDOW_DAYS_MAX = 3_660


class UniverseDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of a day, largest first, decided from the days `decided_from` to `decided_to` and no others.

    `silent` were chosen too, but the lake has no quotes of them that day: they stopped trading, or were not recorded. Nobody
    takes their place.
    """

    day: date
    decided_from: date
    decided_to: date
    members: tuple[str, ...]
    silent: tuple[str, ...]


class Universe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of every day; `data_fingerprint` is of the partitions they were chosen by."""

    schema_version: int = 1
    venue: str
    by: Measure
    top: int
    window_days: int
    data_fingerprint: str
    days: tuple[UniverseDay, ...]

    @property
    def universe_id(self) -> str:
        """Return the hash of its content, short enough for names."""
        return content_hash(self)[:12]

    def save(self, path: Path) -> Path:
        """Write canonical JSON with the hash of the content beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = canonical_json(_Saved(content_hash(self), self))

        def write(temporary: Path) -> None:
            temporary.write_bytes(content)

        write_atomically(path, write)
        return path

    def member_days(self, first: date | None = None, last: date | None = None) -> dict[str, tuple[date, ...]]:
        """Return the days each symbol was a member: symbols by their first day, then by their place in it."""
        found: dict[str, list[date]] = {}
        for one in self.days:
            if (first is None or one.day >= first) and (last is None or one.day <= last):
                for symbol in one.members:
                    found.setdefault(symbol, []).append(one.day)
        return {symbol: tuple(days) for symbol, days in found.items()}


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content_sha256: str
    universe: Universe


def load_universe(path: Path) -> Universe:
    """Read a universe file; raises CorruptDataError when it is not what was written."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
    except FileNotFoundError:
        raise InputError(f"there is no universe at {path}; build one with `edgesmith universe build`") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is not a universe ({error}); build it again with `edgesmith universe build`") from None
    found = content_hash(saved.universe)
    if found != saved.content_sha256:
        raise CorruptDataError(
            f"{path} was changed after it was built: its content hashes to {found[:12]}, expected {saved.content_sha256[:12]}; "
            "build it again with `edgesmith universe build`"
        )
    return saved.universe


def build_universe(
    catalog: Catalog,
    venue: str,
    *,
    top: int,
    by: Measure = "turnover",
    window_days: int = 7,
    start: date | None = None,
    end: date | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Universe:
    """Choose the `top` symbols of each day the lake has of `venue`, by what was traded in the `window_days` days before it.

    Only symbols that traded on the last recorded day before it are asked. The first recorded day has no days before it, so no
    members. `start` and `end` bound the days chosen for, not those looked back at; a vaulted day is neither.

    Parameters
    ----------
    by : `turnover` is the value of all trades in the currency they are settled against, `trades` their number
    """
    _check(top, by, window_days)
    sizes, fingerprint = _sizes(catalog, venue, by, workers, progress)
    quoted: dict[date, set[str]] = defaultdict(set)
    for one in catalog.partitions(venue, Stream.BBO):
        quoted[one.key.day].add(one.key.symbol)
    wanted = [day for day in sorted(quoted) if (start is None or day >= start) and (end is None or day <= end)]
    made = [_day(day, quoted[day], sizes, top, window_days) for day in wanted]
    days = tuple(one for one in made if one is not None)
    if not days:
        raise InputError(
            f"no day of {venue} has recorded trades in the {window_days} days before it; the lake has quotes of "
            f"{format_days(sorted(quoted)) or 'no day'} and trades of {format_days(sorted(sizes)) or 'no day'}"
        )
    return Universe(venue=venue, by=by, top=top, window_days=window_days, data_fingerprint=fingerprint, days=days)


def _check(top: int, by: str, window_days: int) -> None:
    if not 1 <= top <= TOP_MAX:
        raise InputError(f"top was {top}, expected 1..{TOP_MAX:,}")
    if by not in get_args(Measure):
        raise InputError(f"by was '{by}', expected one of {', '.join(get_args(Measure))}")
    if not 1 <= window_days <= WINDOW_DAYS_MAX:
        raise InputError(f"window was {window_days} days, expected 1..{WINDOW_DAYS_MAX:,}")


Sizes = Mapping[date, Mapping[str, float]]


def _sizes(
    catalog: Catalog, venue: str, by: Measure, workers: int | None, progress: Progress | None
) -> tuple[dict[date, dict[str, float]], str]:
    # What each symbol traded on each day, and what the figures were made of.
    traded = catalog.partitions(venue, Stream.TRADE)
    measure: Callable[[Partition], float] = _turnover if by == "turnover" else _count
    found: dict[date, dict[str, float]] = defaultdict(dict)
    values = map_ordered(measure, traded, workers=workers, mode="threads", progress=progress)
    for one, value in zip(traded, values, strict=True):
        found[one.key.day][one.key.symbol] = value
    return dict(found), content_hash([[str(one.key), one.meta.content_sha256] for one in traded])


def _count(partition: Partition) -> float:
    return float(partition.meta.rows)


def _turnover(partition: Partition) -> float:
    key, meta = partition.key, partition.meta
    instrument = find_instrument(
        key.venue, key.symbol, price_increment=meta.price_increment, qty_increment=meta.qty_increment, simulated=meta.simulated
    )
    is_inverse = instrument.kind == ContractKind.INVERSE
    sums = []
    with open_data(partition.folder, meta) as file:
        for group in range(file.metadata.num_row_groups):
            table = read_row_group(file, group, partition.folder, ["price", "qty"])
            price, qty = (table.column(name).to_numpy() for name in ("price", "qty"))
            sums.append(float(np.sum(qty if is_inverse else price * qty)))
    # A contract of a coin-margined market is worth a fixed number of dollars.
    return math.fsum(sums) * (float(instrument.contract_value) if is_inverse else 1.0)


def _day(day: date, quoted: set[str], sizes: Sizes, top: int, window_days: int) -> UniverseDay | None:
    before = [day - timedelta(days=back) for back in range(window_days, 0, -1)]
    known = [one for one in before if one in sizes]
    if not known:
        return None
    # Whoever did not trade on the last day that is known has stopped.
    totals = {symbol: math.fsum(sizes[one].get(symbol, 0.0) for one in known) for symbol in sizes[known[-1]]}
    chosen = sorted(totals, key=lambda symbol: (-totals[symbol], symbol))[:top]
    return UniverseDay(
        day=day,
        decided_from=known[0],
        decided_to=known[-1],
        members=tuple(symbol for symbol in chosen if symbol in quoted),
        silent=tuple(symbol for symbol in chosen if symbol not in quoted),
    )
