"""Options that commands share, and the partitions they choose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S, parse_date
from edgesmith.errors import InputError

if TYPE_CHECKING:
    from edgesmith.lake.catalog import Partition

LakeOption = Annotated[Path, typer.Option("--lake", envvar="EDGESMITH_LAKE", help="Folder of the lake.")]
RunsOption = Annotated[Path, typer.Option("--runs", envvar="EDGESMITH_RUNS", help="Folder runs are written to.")]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry", envvar="EDGESMITH_REGISTRY", help="URL of the registry of edges; edges.db beside the runs by default."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
VenueOption = Annotated[str, typer.Option("--venue", help="Exchange (binance, bybit, okx), venue (binance_usdm) or simulated.")]
MarketOption = Annotated[str | None, typer.Option("--market", help="Market of the exchange: usdm, spot, coinm, linear, swap.")]
SymbolOption = Annotated[str, typer.Option("--symbol", help="Symbol such as BTCUSDT.")]
SymbolsOption = Annotated[list[str], typer.Option("--symbol", help="Symbol such as BTCUSDT; repeat for several.")]
DateOption = Annotated[str | None, typer.Option("--date", help="One UTC day, YYYY-MM-DD.")]
StartOption = Annotated[str | None, typer.Option("--start", "--from", help="First UTC day, YYYY-MM-DD.")]
EndOption = Annotated[str | None, typer.Option("--end", "--to", help="Last UTC day, YYYY-MM-DD.")]
LeaderOption = Annotated[
    str | None, typer.Option("--leader", help="Symbol of the same venue, or VENUE:SYMBOL, whose moves may lead.")
]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="How many work at once; one a core by default.")]
SettingsOption = Annotated[list[str] | None, typer.Option("--set", help="Strategy setting NAME=VALUE; repeat for several.")]

DEFAULT_LAKE = Path("data")
DEFAULT_RUNS = Path("runs")
MARKET_TEXT = "VENUE:SYMBOL or VENUE:SYMBOL:YYYY-MM-DD"
# What a strategy or a search needs quotes for.
NEEDED = "bbo"


def venue_of(venue: str, market: str | None) -> str:
    """Return the venue a user means by `--venue` and `--market`."""
    from edgesmith.venues.registry import VENUES, venue_name

    if venue in VENUES:
        return venue
    if market is None:
        markets = [name.removeprefix(f"{venue}_") for name in VENUES if name.startswith(f"{venue}_")]
        if len(markets) == 1:
            return f"{venue}_{markets[0]}"
        raise InputError(
            f"--market was not given for --venue {venue}; expected one of {', '.join(markets)}"
            if markets
            else f"venue was '{venue}', expected one of {', '.join(VENUES)}"
        )
    return venue_name(venue, market)


def days_of(day: str | None, start: str | None, end: str | None) -> tuple[date | None, date | None]:
    """Return the first and last day a user means; None where open."""
    if day is not None and (start is not None or end is not None):
        raise InputError("--date was given together with --start or --end; give one or the other")
    if day is not None:
        return parse_date(day), parse_date(day)
    first, last = (parse_date(text) if text else None for text in (start, end))
    if first is not None and last is not None and last < first:
        raise InputError(f"the range was empty: --end {last} is before --start {first}")
    return first, last


def choose(
    lake: Path, venue: str, market: str | None, symbols: Sequence[str], day: str | None, start: str | None, end: str | None
) -> list[Partition]:
    """Return every partition, of all streams, of the symbols and days asked for; quotes must be among them for each symbol."""
    from edgesmith.lake.catalog import Catalog

    name = venue_of(venue, market)
    first, last = days_of(day, start, end)
    catalog = Catalog(lake)
    chosen: list[Partition] = []
    for symbol in symbols:
        catalog.require(name, NEEDED, symbol, first, last)
        chosen.extend(catalog.partitions(name, None, symbol, first, last))
    return chosen


@dataclass(frozen=True, kw_only=True)
class Span:
    """Where data comes from and of which days: what a command's selection has beside the symbols."""

    venue: VenueOption = "binance"
    market: MarketOption = None
    date: DateOption = None
    start: StartOption = None
    end: EndOption = None
    lake: LakeOption = DEFAULT_LAKE

    def of(self, *symbols: str) -> list[Partition]:
        """Return every partition of these symbols on these days; a symbol of another venue is written VENUE:SYMBOL."""
        return [
            partition
            for symbol in symbols
            for partition in choose(
                self.lake,
                symbol.rpartition(":")[0] or self.venue,
                None if ":" in symbol else self.market,
                [symbol.rpartition(":")[2]],
                self.date,
                self.start,
                self.end,
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Selection(Span):
    """The data of one symbol that a command is about."""

    symbol: SymbolOption

    def partitions(self) -> list[Partition]:
        """Return the partitions chosen."""
        return self.of(self.symbol)


@dataclass(frozen=True, kw_only=True)
class Selections(Span):
    """The data of one symbol or several that a command is about."""

    symbol: SymbolsOption

    @property
    def symbols(self) -> list[str]:
        """Return each symbol once, in the order given."""
        return list(dict.fromkeys(self.symbol))

    def partitions(self) -> list[Partition]:
        """Return the partitions chosen, of all symbols."""
        return self.of(*self.symbols)


def selection_of(lake: Path, text: str) -> Selection:
    """Return the selection that `VENUE:SYMBOL` or `VENUE:SYMBOL:YYYY-MM-DD` names."""
    venue, *rest = text.split(":")
    if len(rest) not in (1, 2):
        raise InputError(f"market was '{text}', expected {MARKET_TEXT} such as binance_usdm:BTCUSDT")
    return Selection(venue=venue, symbol=rest[0], date=rest[1] if len(rest) == 2 else None, lake=lake)


def grid_of(text: str) -> int:
    """Return the nanoseconds of a grid such as `100ms`, `1s` or `5m`; 0 for `event`."""
    if text == "event":
        return 0
    units_ns = {"ms": NS_PER_MS, "s": NS_PER_S, "m": NS_PER_MINUTE}
    found = re.fullmatch(r"([1-9]\d{0,5})(ms|s|m)", text)
    if found is None:
        raise InputError(f"--grid was '{text}', expected event or a distance such as 100ms, 1s or 5m")
    return int(found[1]) * units_ns[found[2]]


def one_of(option: str, value: str, possible: Iterable[str]) -> str:
    """Return a value that is one of the words possible, or say which are."""
    words = list(possible)
    if value not in words:
        raise InputError(f"{option} was '{value}', expected one of {', '.join(words)}")
    return value


def settings_of(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parse `NAME=VALUE` settings."""
    settings: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--set was '{pair}', expected NAME=VALUE such as order_qty=0.02")
        settings[name.strip()] = value.strip()
    return settings
