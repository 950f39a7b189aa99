"""The same world is the same bytes: in any order of hours, in other processes, with any room, compiled or not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from builders_worlds import START_DAY, a_market, of_kind
from edgesmith.canonical import canonical_json
from edgesmith.cli.world import write_world
from edgesmith.domain.events import Stream
from edgesmith.domain.units import NS_PER_HOUR, NS_PER_MS, ns_of_date
from edgesmith.worlds import market as market_module
from edgesmith.worlds.scenarios import find_scenario
from edgesmith.worlds.world import World

HASH_HOURS = """
import sys
sys.path.insert(0, "tests")
from hashlib import sha256
from builders_worlds import a_market
market = a_market(seed=5, rate=float(sys.argv[1]))
print(*(sha256(market.hour(int(hour)).tobytes()).hexdigest() for hour in sys.argv[2:]))
"""


def hashes(rate: float, *hours: int, **environment: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", HASH_HOURS, str(rate), *map(str, hours)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


def test_an_hour_alone_is_the_hour_in_its_world_in_any_process() -> None:
    market = a_market(seed=5)
    here = [hashlib.sha256(market.hour(hour).tobytes()).hexdigest() for hour in range(3)]
    assert hashes(0.1, 2, 0, PYTHONHASHSEED="7") == [here[2], here[0]]
    assert len({*here, hashlib.sha256(a_market(seed=6).hour(0).tobytes()).hexdigest()}) == 4
    assert hashlib.sha256(a_market(seed=5, symbol_index=1).hour(0).tobytes()).hexdigest() not in here


def test_compiled_equals_plain_python() -> None:
    assert hashes(0.002, 1, NUMBA_DISABLE_JIT="1") == hashes(0.002, 1)


def test_room_for_rows_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    market = a_market()
    expected = market.hour(0).tobytes()
    rows_given: list[int] = []
    real = market_module.records

    def few_records(dtype: np.dtype, count: int = 1) -> np.ndarray:
        if dtype == market_module.EVENT:
            count = 2_000 if not rows_given else count
            rows_given.append(count)
        return real(dtype, count)

    monkeypatch.setattr(market_module, "records", few_records)
    assert market.hour(0).tobytes() == expected and len(rows_given) == 2


def test_hours_join_without_a_seam() -> None:
    market = a_market(seed=3, rate=1.0)
    first, second = market.hour(4), market.hour(5)
    boundary_ns = ns_of_date(START_DAY) + 5 * NS_PER_HOUR
    for kind in range(5):
        before, after = of_kind(first, kind), of_kind(second, kind)
        assert before["ts_event"][-1] < boundary_ns <= after["ts_event"][0]
        assert before["ts_recv"][-1] < after["ts_recv"][0]
    gap_ticks = (of_kind(second, 0)["bid_price"][0] - of_kind(first, 0)["bid_price"][-1]) / 0.1
    assert abs(gap_ticks) < 0.5, "the price of the next hour starts where this one ends"
    assert after["ts_event"][0] - before["ts_event"][-1] < 10_000 * NS_PER_MS


def test_planted_hours_and_truth_do_not_depend_on_what_was_made_before() -> None:
    world = World(find_scenario("demo"), seed=11, start_day=START_DAY, hours=3)
    together = list(world)
    alone = world.hour(2)
    assert alone.events.tobytes() == together[2].events.tobytes()
    assert canonical_json(world.truth([alone])) == canonical_json(world.truth(together[2:]))
    other = World(find_scenario("demo"), seed=12, start_day=START_DAY, hours=3)
    assert other.hour(2).events.tobytes() != alone.events.tobytes()


@pytest.mark.parametrize("name", ["demo", "null_plain"])
def test_a_lake_is_the_same_bytes_for_any_number_of_workers(tmp_path: Path, name: str) -> None:
    world = World(find_scenario(name), seed=11, start_day=START_DAY, hours=5, rate=0.3)
    written: list[dict[str, bytes]] = []
    for workers in (1, 2, 7):
        root = tmp_path / str(workers)
        write_world(world, root, workers=workers)
        written.append({str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()})
    assert len(written[0]) == 2 * len(Stream)
    assert written[0] == written[1] == written[2]
