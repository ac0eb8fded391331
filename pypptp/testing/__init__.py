"""What a protocol tester imports: a simulated network with a clock of its own."""

from pypptp.testing.path import Impairment, Path, PathCounters
from pypptp.testing.simnet import Direction, SimulatedNetwork, seeded

__all__ = ["Direction", "Impairment", "Path", "PathCounters", "SimulatedNetwork", "seeded"]
