"""A server in several processes: a parent that accepts, and workers that each serve a share of the connections.

    client --TCP--> parent --descriptor of the connection--> worker 1: endpoints, TUNs, GRE of call ids 1 to 32767
                      |                                      worker 2: endpoints, TUNs, GRE of call ids 32768 to 65535
                      +-- who may log in, the address pool, the list of sessions, NAT

A packet is read by one process: each worker's raw socket has a filter for its own call ids, and the parent that opened
it keeps it open, so that a worker that is started again goes on with the same one and the kernel never answers GRE
with "protocol unreachable" meanwhile.

Parent and worker talk in small messages over a pair of Unix sockets. Its end is how either notices that the other is
gone: a worker ends its sessions in order, a parent takes back the addresses and starts another.
"""

from pypptp.aio.workers.parent import Launch, Parent, Process
from pypptp.aio.workers.worker import Worker, receive_begin

__all__ = ["Launch", "Parent", "Process", "Worker", "receive_begin"]
