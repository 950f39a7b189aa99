"""Chimeras of a recorded market: its own prices and clock, with the sizes and sides of another time of the same market.

Features that read nothing but sizes and sides then know nothing of these prices. Tapes are put together piece by piece, so memory
does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesmith.canonical import content_hash
from edgesmith.domain.events import EVENT, KIND_BBO, KIND_TRADE
from edgesmith.domain.records import joined, records, taken
from edgesmith.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from edgesmith.errors import InputError
from edgesmith.evaluation.sources import EventSource
from edgesmith.features.operator import FeatureSpec, Node
from edgesmith.worlds.nulls import chimera

FLOW_FIELDS = frozenset({"bid_qty", "ask_qty", "qty", "side"})
CLOCK_FIELDS = frozenset({"ts_recv", "kind", "flags"})
PIECES = 16


class ChimeraSource:
    """The events of one instrument of `source`, each piece of time with the flow of the piece `offset` further on."""

    def __init__(self, source: EventSource, instrument: int, offset: int) -> None:
        self._source = source
        self._instrument = instrument
        self._first_ns, last_ns = source.span(instrument)
        self._piece_ns = piece_ns_of(last_ns - self._first_ns)
        self._pieces = (last_ns - self._first_ns) // self._piece_ns + 1
        if offset % self._pieces == 0:
            raise InputError(f"offset was {offset} of {self._pieces} pieces, expected the flow of another piece")
        self._offset = offset

    @property
    def instruments(self) -> tuple[tuple[str, str], ...]:
        """Return (venue, symbol), as the source numbers them."""
        return self._source.instruments

    @property
    def fingerprint(self) -> str:
        """Return a hash that no data has."""
        return content_hash(["chimera", self._source.fingerprint, self._instrument, self._offset])

    def span(self, instrument: int) -> tuple[int, int]:
        """Return the receive times of the first and last quote."""
        return self._source.span(instrument)

    def window_fingerprint(self, start_ns: int, end_ns: int) -> str:
        """Return the hash of everything, for a window's flow may come from anywhere."""
        return self.fingerprint

    def window(self, start_ns: int, end_ns: int) -> Iterator[NDArray[Any]]:
        """Yield the events of a window; pieces no other piece has the flow for are left out."""
        first = max(0, (start_ns - self._first_ns) // self._piece_ns)
        last = min(self._pieces - 1, (end_ns - 1 - self._first_ns) // self._piece_ns)
        for piece in range(first, last + 1):
            prices = self._piece(piece)
            flow = self._flow_for(piece, prices)
            if flow is not None:
                made = chimera(prices, flow)
                inside = (made["ts_recv"] >= start_ns) & (made["ts_recv"] < end_ns)
                yield taken(made, np.flatnonzero(inside))

    def _flow_for(self, piece: int, prices: NDArray[Any]) -> NDArray[Any] | None:
        needed = {kind for kind in (KIND_BBO, KIND_TRADE) if (prices["kind"] == kind).any()}
        for further in range(self._pieces):
            other = (piece + self._offset + further) % self._pieces
            if other == piece:
                continue
            flow = self._piece(other)
            if needed <= set(np.unique(flow["kind"]).tolist()):
                return flow
        return None

    def _piece(self, piece: int) -> NDArray[Any]:
        begin_ns = self._first_ns + piece * self._piece_ns
        batches = list(self._source.window(begin_ns, begin_ns + self._piece_ns))
        own = [taken(batch, np.flatnonzero(batch["instrument"] == self._instrument)) for batch in batches]
        return joined([records(EVENT, 0), *own])


def piece_ns_of(span_ns: int) -> int:
    """Return the length of a piece: an hour, or a sixteenth of a shorter span, a minute at least."""
    return min(NS_PER_HOUR, max(NS_PER_MINUTE, span_ns // PIECES // NS_PER_MINUTE * NS_PER_MINUTE))


def offsets_of(span_ns: int, count: int, seed: int) -> list[int]:
    """Return up to `count` different offsets: a day forward and back where there are two, else anywhere in the span."""
    pieces = span_ns // piece_ns_of(span_ns) + 1
    day = NS_PER_DAY // piece_ns_of(span_ns)
    whole = [day, pieces - day] if span_ns >= 2 * NS_PER_DAY else []
    draw = np.random.Generator(np.random.PCG64([seed, 4]))
    others = [int(one) for one in 1 + draw.permutation(pieces - 1) if one + 1 not in whole]
    return [*whole, *others][:count]


def flow_features(specs: Sequence[FeatureSpec]) -> tuple[str, ...]:
    """Return the names of the features that read sizes and sides and no price."""
    return tuple(
        spec.name for spec in specs if FLOW_FIELDS & fields_of(spec.node) and fields_of(spec.node) <= FLOW_FIELDS | CLOCK_FIELDS
    )


def fields_of(node: Node) -> frozenset[str]:
    """Return the names of the event fields a node reads, itself or through others."""
    if node.operator is None:
        return frozenset({node.name})
    return frozenset().union(*(fields_of(one) for one in node.inputs))
