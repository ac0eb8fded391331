"""What a server and a client can be told, with every default, and how flags and a file make it.

Each field is an option: ``lcp_echo_interval`` is ``--lcp-echo-interval`` on the command line and
``lcp-echo-interval`` (or with underscores) in TOML. Words are pptpd's and pppd's where they have one.
"""

from pypptp.service.settings.client import PRIVATE_NETWORKS, ClientSettings
from pypptp.service.settings.common import MPPE_METHODS, CommonSettings
from pypptp.service.settings.making import COMMANDS, Flags, Settings, as_flags, make_settings
from pypptp.service.settings.server import EVERY_ADDRESS, LONGEST_TIME, MOST_CONNECTIONS, MOST_WORKERS, ServerSettings

__all__ = [
    "COMMANDS",
    "EVERY_ADDRESS",
    "LONGEST_TIME",
    "MOST_CONNECTIONS",
    "MOST_WORKERS",
    "MPPE_METHODS",
    "PRIVATE_NETWORKS",
    "ClientSettings",
    "CommonSettings",
    "Flags",
    "ServerSettings",
    "Settings",
    "as_flags",
    "make_settings",
]
