"""What a protocol tester imports: a simulated network with a clock of its own."""

from pypptp.testing.simnet import Direction, Impairment, PathCounters, SimulatedNetwork, seeded

__all__ = ["Direction", "Impairment", "PathCounters", "SimulatedNetwork", "seeded"]
