"""The network edge in a process of its own, so that the one that talks to peers needs no rights.

The process that keeps its rights runs a :class:`Host`: it holds a :class:`pypptp.net.linux.LinuxEdge`, does what it is
asked as far as :class:`Allowed` goes, and hands TUN devices and raw GRE sockets over as descriptors (SCM_RIGHTS). When
the channel ends, however the other process did, it takes everything back. :func:`remote_edge` is the other end, and to
its callers the same as the real edge.
"""

from pypptp.net.remote.allowed import Allowed, NotAllowed
from pypptp.net.remote.channel import Channel, channel_pair
from pypptp.net.remote.edge import RemoteHelper, remote_edge
from pypptp.net.remote.host import Helper, Host, SecretText

__all__ = [
    "Allowed",
    "Channel",
    "Helper",
    "Host",
    "NotAllowed",
    "RemoteHelper",
    "SecretText",
    "channel_pair",
    "remote_edge",
]
