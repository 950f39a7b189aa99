"""Money of a run, the obvious way: every flow in a list, average cost as a fraction, drawdown over the whole equity series."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from edgesmith.domain.instruments import ContractKind, Instrument


def value_e8(instrument: Instrument, lots: int, ticks: int) -> int:
    """Worth of signed lots at a price; an inverse contract is worth less coin as its price rises."""
    if instrument.kind is ContractKind.INVERSE:
        return round(-lots * instrument.inverse_value_e8 / ticks)
    return lots * ticks * instrument.value_per_tick_lot_e8


def mark_e8(instrument: Instrument, lots: int, bid: int, ask: int) -> int:
    """Worth at the middle of bid and ask."""
    if instrument.kind is ContractKind.INVERSE:
        return round(-2.0 * lots * instrument.inverse_value_e8 / (bid + ask))
    return lots * (bid + ask) * instrument.value_per_tick_lot_e8 // 2


def fee_e8(instrument: Instrument, value: int, is_maker: bool) -> int:
    return round(abs(value) * (instrument.maker_fee_ratio if is_maker else instrument.taker_fee_ratio))


@dataclass
class Trip:
    """From flat to flat, or to the other side."""

    opened_ts: int
    closed_ts: int
    net_e8: int


@dataclass
class NaiveLedger:
    """What we own and why."""

    instruments: list[Instrument]
    cash_e8: int
    position: dict[int, int] = field(default_factory=dict)
    cost: dict[int, Fraction] = field(default_factory=dict)
    realized_e8: Fraction = Fraction(0)
    fees_e8: int = 0
    funding_e8: int = 0
    traded_e8: int = 0
    turnover_e8: int = 0
    equity_series: list[int] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    opened_ts: dict[int, int] = field(default_factory=dict)
    trip_net: dict[int, Fraction] = field(default_factory=dict)
    exposed: list[tuple[int, int]] = field(default_factory=list)
    last_realized: Fraction = Fraction(0)

    def lots(self, place: int) -> int:
        return self.position.get(place, 0)

    def fill(self, place: int, side: int, lots: int, price: int, is_maker: bool, ts: int) -> None:
        """Book an execution: what closes first, then what opens."""
        instrument, held = self.instruments[place], self.lots(place)
        value = value_e8(instrument, side * lots, price)
        fee = fee_e8(instrument, value, is_maker)
        closing = min(lots, abs(held)) if held * side < 0 else 0
        self.last_realized = Fraction(0)
        closing_value = value_e8(instrument, side * closing, price) if closing else 0
        if closing:
            released = self.cost[place] * closing / abs(held)
            self.last_realized = -closing_value - released
            self.cost[place] -= released
            self.trip_net[place] += self.last_realized - Fraction(fee * closing, lots)
            if closing == abs(held):
                self.trips.append(Trip(self.opened_ts[place], ts, round(self.trip_net[place])))
                self.trip_net[place] = Fraction(0)
        if closing < lots:
            if closing == abs(held):
                self.opened_ts[place] = ts
            self.cost[place] = self.cost.get(place, Fraction(0)) + value - closing_value
            self.trip_net[place] = self.trip_net.get(place, Fraction(0)) - Fraction(fee * (lots - closing), lots)
        self.position[place] = held + side * lots
        self.cash_e8 -= value + fee
        self.fees_e8 += fee
        self.traded_e8 += value
        self.turnover_e8 += abs(value)
        self.realized_e8 += self.last_realized

    def pay_funding(self, place: int, venue_lots: int, rate: float, price_ticks: float) -> None:
        """A long pays a positive rate on what its position is worth; a short receives it."""
        instrument = self.instruments[place]
        if instrument.kind is ContractKind.INVERSE:
            size = venue_lots * instrument.inverse_value_e8 / price_ticks
        else:
            size = venue_lots * price_ticks * instrument.value_per_tick_lot_e8
        flow = -round(size * rate)
        self.cash_e8 += flow
        self.funding_e8 += flow
        self.trip_net[place] = self.trip_net.get(place, Fraction(0)) + flow

    def unrealized(self, place: int, bid: int, ask: int) -> Fraction:
        return mark_e8(self.instruments[place], self.lots(place), bid, ask) - self.cost.get(place, Fraction(0))

    def observe(self, quotes: dict[int, tuple[int, int]]) -> int:
        """Write the equity of this moment down."""
        marks = sum(mark_e8(self.instruments[place], self.lots(place), *quotes[place]) for place in quotes)
        self.equity_series.append(self.cash_e8 + marks)
        return self.equity_series[-1]


def drawdown_max(series: list[int], start: int) -> tuple[int, float]:
    """Return the deepest fall from the highest value so far, as an amount and as a share of it."""
    peak, amount, ratio = start, 0, 0.0
    for value in series:
        peak = max(peak, value)
        amount, ratio = max(amount, peak - value), max(ratio, (peak - value) / peak)
    return amount, ratio
