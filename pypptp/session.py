"""One call: control id, GRE tunnel, PPP link and MPPE."""
