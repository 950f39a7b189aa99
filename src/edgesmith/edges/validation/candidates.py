"""Which edges of the registry a search put there."""

from __future__ import annotations

from edgesmith.edges.discovery.result import DiscoveryResult
from edgesmith.edges.edge import EdgeSpec
from edgesmith.edges.registry import EdgeRegistry
from edgesmith.edges.verdict import Verdict


def carried(registry: EdgeRegistry, result: DiscoveryResult) -> list[EdgeSpec]:
    """Return the candidates of a search, the surest profit first; fewer where other searches found the same edges too."""
    _, _, symbol = result.instrument.partition(":")
    found: list[tuple[float, str, EdgeSpec]] = []
    for row in registry.list(None, symbol):
        for one in registry.evidence(row.edge_id):
            if one.stage == "discovery" and one.details.get("trial_hash") == result.trial_hash:
                assert one.verdict == Verdict.CANDIDATE.value
                found.append((-(one.net_low_bps or 0.0), row.edge_id, registry.get(row.edge_id)))
                break
    return [spec for _, _, spec in sorted(found, key=lambda item: item[:2])]
