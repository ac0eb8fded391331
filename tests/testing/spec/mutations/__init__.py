"""Broken peers: for each MUST and POLICY check one fault under which it has to fail.

A mutation gets the peers and pytest's patcher. Some put a hand into the wire, as a target would speak or hear that does
this one thing wrong; the others change one rule of the core, in the target's classes only.
"""

from tests.testing.spec.mutations import auth, control, encryption, gre, lcp, network
from tests.testing.spec.mutations.hands import MUTATIONS

__all__ = ["MUTATIONS", "auth", "control", "encryption", "gre", "lcp", "network"]
