"""A set of features compiled into one kernel: batch and live are the same machine code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import short_hash
from edgesmith.domain.events import EVENT, Stream
from edgesmith.domain.records import as_records
from edgesmith.errors import InputError
from edgesmith.features.generation import kernel_source, lay_out, load_module
from edgesmith.features.operator import FeatureSpec

FEATURES_MAX = 1_024
FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Snapshot:
    """A copy of a program's state, and the program it belongs to."""

    program_id: str
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]


class ProgramState:
    """What a program remembers of each instrument; two rows of numbers, advanced by `Program.run`."""

    __slots__ = ("floats", "ints", "program_id")

    def __init__(self, program_id: str, floats: NDArray[np.float64], ints: NDArray[np.int64]) -> None:
        self.program_id = program_id
        self.floats = floats
        self.ints = ints

    def snapshot(self) -> Snapshot:
        """Return a copy that later events do not touch."""
        return Snapshot(self.program_id, self.floats.copy(), self.ints.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to the moment of `snapshot`."""
        if snapshot.program_id != self.program_id or snapshot.floats.shape != self.floats.shape:
            raise InputError(
                f"snapshot was of program {snapshot.program_id} with {len(snapshot.floats)} instruments, expected program "
                f"{self.program_id} with {len(self.floats)}; restore it into the program it was taken from"
            )
        self.floats[:] = snapshot.floats
        self.ints[:] = snapshot.ints


class Program:
    """Features compiled into one flat kernel.

    Parameters
    ----------
    features : sequence of FeatureSpec
        The columns, in order. Names must differ; rename with `FeatureSpec.named`.

    Notes
    -----
    A row is NaN in a column until the feature is warm, and on an event whose input for it is NaN; such an event leaves the
    feature's state untouched. Events of streams a feature does not consume carry its last value forward.
    """

    def __init__(self, features: Sequence[FeatureSpec]) -> None:
        self.features = tuple(features)
        self.names = tuple(spec.name for spec in self.features)
        _check_names(self.names)
        self.width = len(self.names)
        self.warmup_events = max(spec.warmup_events for spec in self.features)
        self.consumes: frozenset[Stream] = frozenset().union(*(spec.consumes for spec in self.features))
        self.needs: frozenset[Stream] = frozenset().union(*(spec.node.needs for spec in self.features))
        self.looks_at: frozenset[int] = frozenset().union(*(spec.node.looks_at for spec in self.features))
        layouts = lay_out([spec.node for spec in self.features])
        self._initial = np.array([number for layout in layouts for number in layout.initial], np.float64)
        self._counters = sum(len(layout.ints) for layout in layouts)
        self.source = kernel_source(self.features, layouts)
        self.program_id = short_hash(self.source)
        self._kernel = load_module(self.source).run

    def new_state(self, instruments: int = 1) -> ProgramState:
        """Return the state before any event, for instruments 0 to `instruments` - 1."""
        if instruments < 1:
            raise InputError(f"instruments was {instruments}, expected at least 1")
        if self.looks_at and instruments <= max(self.looks_at):
            raise InputError(
                f"instruments was {instruments}, expected at least {max(self.looks_at) + 1}: a feature looks at instrument "
                f"{max(self.looks_at)}; give the run that instrument too, or set the feature's parameter to its place"
            )
        floats = np.tile(self._initial, (instruments, 1))
        return ProgramState(self.program_id, floats, np.zeros((instruments, max(self._counters, 1)), np.int64))

    def run(self, events: NDArray[Any], out: NDArray[np.float64], state: ProgramState) -> None:
        """Write the feature row after each event.

        Parameters
        ----------
        events : EVENT array of shape (n,)
            Any mix of streams and instruments, in decision order.
        out : float64 C-contiguous array of shape (n, width)
            Row i is the row of event i's instrument after event i.
        state : ProgramState
            Advanced in place.
        """
        assert state.program_id == self.program_id, f"state of program {state.program_id} given to {self.program_id}"
        assert out.dtype == FLOAT64 and out.flags.c_contiguous, f"out must be C-contiguous float64, was {out.dtype}"
        assert out.shape == (len(events), self.width), f"out.shape was {out.shape}, expected {(len(events), self.width)}"
        taken = self._kernel(_readable(events), out, state.floats, state.ints)
        if taken < len(events):
            raise InputError(
                f"event {taken} was of instrument {int(events['instrument'][taken])}, expected one of the state's "
                f"{len(state.floats)}; make the state with new_state(instruments=...)"
            )

    def step(self, event: NDArray[Any], out_row: NDArray[np.float64], state: ProgramState) -> None:
        """Write the feature row after one event: `run` over an array of one; `out_row` is (width,) or (1, width)."""
        self.run(event, out_row if out_row.ndim == 2 else out_row.reshape(1, -1), state)

    def compute(self, events: NDArray[Any], instruments: int = 1) -> NDArray[np.float64]:
        """Return the feature rows of a whole sequence from a fresh state, shape (n, width)."""
        out = np.empty((len(events), self.width), np.float64)
        self.run(events, out, self.new_state(instruments))
        return out


def _check_names(names: tuple[str, ...]) -> None:
    if not 1 <= len(names) <= FEATURES_MAX:
        raise InputError(f"number of features was {len(names)}, expected 1 to {FEATURES_MAX}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"feature '{repeated[0]}' was given twice, expected different names; rename one with .named(...)")


def _readable(events: NDArray[Any]) -> NDArray[Any]:
    # A read-only or strided array is another type to the compiler and would be compiled for separately.
    assert events.dtype is EVENT or events.dtype == EVENT, f"events.dtype was {events.dtype}, expected EVENT"
    if not events.flags.carray:
        events = np.array(events)
    return as_records(events)
