"""PPTP in pure Python: RFC 2637 control connection, enhanced GRE, PPP and MPPE."""

__all__ = ["__version__"]

__version__ = "0.1.0"
