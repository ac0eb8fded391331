"""Connections that were set up once and have a name: pppd's peers files and NetworkManager's keyfiles.

``find_connection`` and ``all_connections`` read them, ``create`` and ``delete`` write them as pptpsetup does.
"""

from pypptp.service.peers.connection import Connection
from pypptp.service.peers.lookup import Places, all_connections, find_connection
from pypptp.service.peers.pptpsetup import NewConnection, create, delete

__all__ = ["Connection", "NewConnection", "Places", "all_connections", "create", "delete", "find_connection"]
