"""What is traded: tick, lot, multiplier, fees; the only place prices and quantities become integers.

Contract kinds and their value in the settlement currency, for `lots` of a position at price `p`:

- linear, spot: value = lots * lot_size * p, settled in the quote currency
- inverse: value = -lots * lot_size * contract_value / p, settled in the base currency; a long gains as `p` rises
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

import msgspec

from edgesmith.domain.units import MONEY_SCALE
from edgesmith.errors import InputError

# A price or quantity may lie this far (in steps) from the grid before it is called off-grid.
GRID_TOLERANCE_STEPS = 1e-3


class ContractKind(IntEnum):
    """How a position is valued."""

    SPOT = 0
    LINEAR = 1
    INVERSE = 2


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A tradable thing on a venue.

    `tick_size` and `lot_size` are decimal strings so that they are exact. `lot_size` is in base units for spot and linear
    instruments and in contracts for inverse ones, as is every quantity of an inverse market. Fees are ratios of the traded
    value; a negative maker fee is a rebate.
    """

    venue: str
    symbol: str
    kind: ContractKind
    tick_size: str
    lot_size: str
    settle: str
    contract_value: str = "1"
    maker_fee_ratio: float = 0.0002
    taker_fee_ratio: float = 0.0005
    simulated: bool = False

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "contract_value"):
            text = getattr(self, name)
            try:
                positive = Decimal(text) > 0
            except ArithmeticError:
                positive = False
            if not positive:
                raise InputError(f"{self.name}: {name} was '{text}', expected a positive decimal such as '0.1'")
        if not (-0.01 <= self.maker_fee_ratio <= 0.01 and -0.01 <= self.taker_fee_ratio <= 0.01):
            raise InputError(f"{self.name}: fee ratios were {self.maker_fee_ratio}, {self.taker_fee_ratio}; expected -0.01..0.01")
        if self.kind != ContractKind.INVERSE and self.value_per_tick_lot_e8 != self._exact_value_e8():
            raise InputError(
                f"{self.name}: tick_size x lot_size was {Decimal(self.tick_size) * Decimal(self.lot_size)}, "
                "expected a multiple of 1e-8"
            )

    def _exact_value_e8(self) -> Decimal:
        return Decimal(self.tick_size) * Decimal(self.lot_size) * MONEY_SCALE

    @property
    def name(self) -> str:
        """Return `venue:symbol`."""
        return f"{self.venue}:{self.symbol}"

    @property
    def tick(self) -> float:
        """Return the tick size as float64."""
        return float(self.tick_size)

    @property
    def lot(self) -> float:
        """Return the lot size as float64."""
        return float(self.lot_size)

    @property
    def value_per_tick_lot_e8(self) -> int:
        """Return the worth of one lot moving one tick, 1e-8 settlement currency; 0 for inverse contracts."""
        return 0 if self.kind == ContractKind.INVERSE else int(self._exact_value_e8())

    @property
    def inverse_value_e8(self) -> float:
        """Return 1e8 x lot x contract value / tick, so that value_e8 = -lots * this / ticks; 0 unless inverse."""
        if self.kind != ContractKind.INVERSE:
            return 0.0
        return float(Decimal(self.lot_size) * Decimal(self.contract_value) * MONEY_SCALE / Decimal(self.tick_size))

    def ticks(self, price: float) -> int:
        """Convert a price to ticks; raises InputError when it is not on the grid."""
        return self._steps(price, self.tick, "price")

    def lots(self, qty: float) -> int:
        """Convert a quantity to lots; raises InputError when it is not on the grid."""
        return self._steps(qty, self.lot, "quantity")

    def lots_floor(self, qty: float) -> int:
        """Convert a quantity to the largest number of lots not above it in size."""
        steps = abs(qty) / self.lot
        whole = int(steps + GRID_TOLERANCE_STEPS)
        return whole if qty >= 0 else -whole

    def price(self, ticks: float) -> float:
        """Convert ticks to a price."""
        return float(Decimal(self.tick_size) * Decimal(str(ticks)))

    def qty(self, lots: int) -> float:
        """Convert lots to a quantity."""
        return float(Decimal(self.lot_size) * lots)

    def _steps(self, value: float, step: float, what: str) -> int:
        steps = value / step
        whole = round(steps)
        if abs(steps - whole) > GRID_TOLERANCE_STEPS * max(1.0, abs(whole) * 1e-9):
            raise InputError(f"{self.name}: {what} was {value}, expected a multiple of {step}")
        return whole
