"""The checks, by the first part of their ids. Importing this package registers them all."""

from importlib import import_module

for _name in (
    "cc_connection",
    "cc_framing",
    "cc_timers",
    "cc_calls",
    "gre",
    "lcp_negotiation",
    "lcp_opened",
    "auth",
    "mschap_v2",
    "ccp",
    "mppe",
    "ipcp",
    "data",
    "life",
    "client",
):
    import_module(f"{__name__}.{_name}")
