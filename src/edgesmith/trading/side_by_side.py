"""Engines of one strategy fed together: the same runs as one at a time, several times as fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.domain.records import as_records, records
from edgesmith.trading.addresses import address
from edgesmith.trading.compiled_driver import CompiledDriver
from edgesmith.trading.engine import Engine
from edgesmith.trading.enter import constant_arrays
from edgesmith.trading.entry import advance, advance_lanes
from edgesmith.trading.lanes import ADDRESSES, LANE, SEAT
from edgesmith.trading.state import STOP_CHUNK_END


class SideBySide:
    """Runs of one compiled strategy that differ in its parameters only, and the pilot whose market they share.

    Parameters
    ----------
    engines : sequence of Engine
        Fresh, each with a `CompiledDriver` and the same feature program; feed them here only.
    pilot : Engine
        Like them; its strategy is never asked.
    """

    def __init__(self, engines: Sequence[Engine], pilot: Engine) -> None:
        assert isinstance(pilot.driver, CompiledDriver), "only compiled strategies run side by side"
        self._engines = [*engines, pilot]
        self._decide = pilot.driver.decide
        pilot.driver.stop(pilot)
        self._lanes = records(LANE, len(self._engines))
        self._seats = records(SEAT, len(pilot.instruments) * len(self._engines))
        for place, engine in enumerate(self._engines):
            for name, array in zip(ADDRESSES, constant_arrays(engine), strict=True):
                self._lanes[name][place] = address(array)
            seats = self._seats[place :: len(self._engines)]
            seats["run_at"] = address(engine.run)
            seats["book_at"] = [address(engine.books[place:]) for place in range(len(engine.books))]
            seats["view_at"] = [address(engine.views[place:]) for place in range(len(engine.views))]
        self._seats["held"] = np.nan

    def feed(self, events: NDArray[Any]) -> None:
        """Take every event of a chunk through every run."""
        if len(events) == 0:
            return
        events, features = as_records(events), self._engines[-1].features_of(events)
        for engine in self._engines:
            engine.begin(events)
        self._seats["taken"] = -1
        index, step = 0, advance_lanes()
        while True:
            index = step(self._lanes, self._seats, events, features, index, len(events), advance(), self._decide)
            for engine in self._engines:
                engine.handle_stop(events)
                engine.run["stop_reason"] = STOP_CHUNK_END
            if index == len(events):
                break
        for engine in self._engines:
            # Many buffers filled to the brim would be much memory; these stay small, and in the cache.
            engine.recorder.flush(engine.run[0])

    def finish(self) -> None:
        """End every run but the pilot's."""
        for engine in self._engines[:-1]:
            engine.finish()
