"""PPP: the RFC 1661 automaton and the protocols that use it."""
