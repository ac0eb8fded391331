"""A whole PPTP end: the control connection and the sessions of its calls."""
