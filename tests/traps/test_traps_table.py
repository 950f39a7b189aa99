"""The 28 traps: what each is, and where its tests are. They carry its name, so `pytest -k t18` runs those of T18.

Most lie in this folder. A law that guards a trap stays with what it is a law of; `PLACES` names it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# A test's name begins with the numbers it is about: test_t04_..., test_t03_t18_..., test_t01_to_t08_...
NAMED = re.compile(r"^def test_((?:t\d\d_(?:to_)?)+)", re.MULTILINE)

TRAPS = {
    1: "a feature uses what the event it is computed on brought about",
    2: "clocks are mixed: trades on the venue's, quotes on ours",
    3: "a label starts before the latency is over, or at the first price after",
    4: "windows are centered, or scaled by the whole sample",
    5: "bins, scales or regimes are fitted on what is tested",
    6: "states are smoothed over the whole sample, or renamed by a refit",
    7: "a training label ends inside the test",
    8: "bars are stamped with their opening instant",
    9: "overlapping windows count as independent",
    10: "bursts of events weigh more than quiet moments",
    11: "the sample mean is treated as known where variances differ",
    12: "a trend is sold as an edge",
    13: "only the survivors of a filter are counted",
    14: "re-runs with other seeds or windows are not counted",
    15: "the data out of sample was inside the search",
    16: "cost is constant while the spread widens at the signal",
    17: "the bounce between bid and ask is taken for reversal",
    18: "labels reach over gaps, reconnects and day files",
    19: "missing data says something, and leaks into other cells",
    20: "a Sharpe ratio is annualized from returns of overlapping events",
    21: "samples keep the first of what matches",
    22: "results depend on the order of summation, or on shards",
    23: "a p-value is 0, or below what so many draws can show",
    24: "circular shifts of features that follow volatility",
    25: "symbols are chosen with hindsight",
    26: "the jump after a reconnect looks like order flow",
    27: "duplicates, and updates out of order",
    28: "research and live compute different features",
}

# Laws that stay with what they are a law of.
PLACES = {
    "laws/test_evaluation_decisions.py": {3, 18},
    "laws/test_evaluation_coded.py": {3, 8, 18, 22},
    "laws/test_features_operators.py": {4},
    "laws/test_discovery_calibration.py": {9, 11, 12, 19},
    "laws/test_discovery_profit.py": {16},
    "parity/test_discovery_shards.py": {21, 22},
    "parity/test_trading_parity.py": {8},
    "scenario/test_cli_validate.py": {15},
    "scenario/test_discovery_pipeline.py": {5, 13, 19, 23},
    "unit/test_evaluation_regimes.py": {5, 6},
    "unit/test_evaluation_sharpe.py": {20},
    "unit/test_evaluation_significance.py": {22, 23},
    "unit/test_evaluation_splits.py": {7},
    "unit/test_features_flow_twins.py": {27},
}


@cache
def named_in(path: Path) -> frozenset[int]:
    found: set[int] = set()
    for words in NAMED.findall(path.read_text()):
        numbers = [int(word) for word in re.findall(r"t(\d\d)_", words)]
        found.update(range(numbers[0], numbers[-1] + 1) if "_to_" in words else numbers)
    return frozenset(found)


def test_the_places_are_those_where_the_names_are() -> None:
    elsewhere = {str(path.relative_to(TESTS)): set(named_in(path)) for path in sorted(TESTS.glob("*/test_*.py"))}
    assert {at: numbers for at, numbers in elsewhere.items() if numbers and not at.startswith("traps/")} == PLACES


@pytest.mark.parametrize("number", TRAPS)
def test_every_trap_has_a_test_of_its_name(number: int) -> None:
    here = [path.name for path in Path(__file__).parent.glob("test_*.py") if number in named_in(path)]
    there = [place for place, numbers in PLACES.items() if number in numbers]
    assert here or there, f"no test of T{number:02d}: {TRAPS[number]}"
