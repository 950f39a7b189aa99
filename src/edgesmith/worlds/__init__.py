"""Markets whose truth is known: simulated tapes, edges of exactly known size planted in them, and the record of what is true.

A world is data, never code that trades, and never touches the lake: `World.hour` gives arrays, whoever composes stores them.
Reading order: `scenarios` (what there is), `world` (a scenario made concrete), `tape` (the simulator), `plant` (the shift layer,
which works on real tapes as well), `claims` (the truth).
"""

from edgesmith.worlds.claims import Claim, ClaimTruth
from edgesmith.worlds.plant import Plant, PlantedTape, plant_edges
from edgesmith.worlds.regions import Region
from edgesmith.worlds.scenario import Scenario
from edgesmith.worlds.scenarios import SCENARIOS, find_scenario
from edgesmith.worlds.world import TruthRecord, World, WorldHour

__all__ = [
    "SCENARIOS",
    "Claim",
    "ClaimTruth",
    "Plant",
    "PlantedTape",
    "Region",
    "Scenario",
    "TruthRecord",
    "World",
    "WorldHour",
    "find_scenario",
    "plant_edges",
]
