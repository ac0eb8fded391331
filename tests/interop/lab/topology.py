"""Machines and the wire between them, inside the guest.

    server 10.77.0.1 --eth0--+                +--eth0-- client  10.77.0.11
                             [ bridge "wire" ]
                             |                +--eth0-- client2 10.77.0.12
                      capture, netem

Every machine is a network namespace with a mount namespace of its own: /run, /etc/ppp and /etc/resolv.conf belong to it
alone, so that two pppds or two pptp clients do not meet in a pid file. Behind a NAT, the clients sit on 192.168.77.0/24
and the wire has the address 10.77.0.254 and the kernel's PPTP connection tracking.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .guest import Guest, GuestError, Program, Result

SERVER_ADDRESS = "10.77.0.1"
NAT_ADDRESS = "10.77.0.254"
WIRE = "wire"
TCP_TIME_WAIT, TCP_LISTEN = 6, 10
CAPTURE_FILE = "/tmp/wire.pcap"

SPACE = """\
ip netns add {name}
ip -n {name} link set lo up
"""

MACHINE = """\
touch /run/mounts/{name}
nsenter --net=/run/netns/{space} unshare --mount=/run/mounts/{name} --propagation private sh -e -c '
mount -t sysfs sysfs /sys
mkdir -p /tmp/{name}
cp -a /etc/ppp /tmp/{name}/ppp
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/pptp
ln -s /tmp/{name}/syslog.sock /run/syslog
mount --bind /tmp/{name}/ppp /etc/ppp
: > /tmp/{name}/resolv.conf
[ -e /etc/resolv.conf ] || : > /etc/resolv.conf
mount --bind /tmp/{name}/resolv.conf /etc/resolv.conf'
"""

STATE = r"""
ip -o link show
echo ==
ip -o -4 address show
echo ==
ip -4 route show table all
echo ==
ip rule show
echo ==
find /run -type f -o -type s
echo ==
cat /etc/resolv.conf
"""
"""What `Machine.state` is read from, part by part."""

BRIDGE = """\
ip netns add wire
ip -n wire link set lo up
ip -n wire link add br0 type bridge forward_delay 0
ip -n wire link set br0 up
"""

ROUTER = """\
modprobe -a nf_conntrack_pptp nf_nat_pptp iptable_nat iptable_raw xt_CT xt_MASQUERADE
ip -n wire link add br1 type bridge forward_delay 0
ip -n wire address add 192.168.77.254/24 dev br1
ip -n wire address add 10.77.0.254/24 dev br0
ip -n wire link set br1 up
nsenter --net=/run/netns/wire sysctl -q -w net.ipv4.ip_forward=1
nsenter --net=/run/netns/wire iptables-legacy -t raw -A PREROUTING -p tcp --dport 1723 -j CT --helper pptp
nsenter --net=/run/netns/wire iptables-legacy -t nat -A POSTROUTING -o br0 -s 192.168.77.0/24 -j MASQUERADE
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """One end on the wire."""

    guest: Guest
    name: str
    address: str
    index: int
    space: str
    """Its network namespace; two machines with one address share one."""

    def _within(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.space}", f"--mount=/run/mounts/{self.name}", "--", *argv]

    def path(self, name: str) -> str:
        """A file name in the machine's own folder, the same inside and outside of it."""
        return f"/tmp/{self.name}/{name}"

    def run(
        self,
        argv: Sequence[str],
        *,
        limit: float = 30.0,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command line on this machine to its end."""
        return self.guest.run(self._within(argv), limit=limit, given=given, environment=environment)

    def shell(self, script: str, *, limit: float = 30.0) -> Result:
        """Run a shell script (`set -e`) on this machine."""
        return self.run(["sh", "-e", "-c", script], limit=limit)

    def start(self, argv: Sequence[str], log: str, environment: Mapping[str, str] | None = None) -> Program:
        """Start a program in the background; its output goes to `path(log)`."""
        return self.guest.start(self._within(argv), self.path(log), environment)

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> str:
        """Write a file into the machine's own folder and give its full name."""
        self.guest.put(self.path(name), content, mode)
        return self.path(name)

    def processes(self) -> dict[int, str]:
        """The processes in this machine's network namespace: pid and command line."""
        return self.guest.processes([self.space])[self.space]

    def state(self) -> dict[str, list[str]]:
        """What a program can leave behind besides processes: links, addresses, routes, rules, files in /run."""
        parts = self.run(["sh", "-c", STATE]).check().out.split("==\n")
        names = ("links", "addresses", "routes", "rules", "run", "resolv.conf")
        state = {name: part.split("\n") for name, part in zip(names, parts, strict=True)}
        # Index and state of a link change by themselves.
        state["links"] = [line.partition(": ")[2].partition(" state ")[0] for line in state["links"]]
        return state

    def tunnels(self) -> list[Tunnel]:
        """The point-to-point links that are up and have addresses."""
        return [Tunnel(**found) for found in self.guest.look(self.space)[0]]

    def listens(self) -> bool:
        """Whether a program listens on TCP port 1723."""
        return TCP_LISTEN in self.guest.look(self.space)[1]

    def control_connections(self) -> int:
        """How many TCP connections of port 1723 are open, those aside that only wait out their time."""
        return sum(state not in (TCP_LISTEN, TCP_TIME_WAIT) for state in self.guest.look(self.space)[1])

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """Those of the named files of the machine's folder that are there, by machine and name."""
        found = {}
        for name in names:
            try:
                found[f"{self.name}-{name}"] = self.guest.get(self.path(name)).decode(errors="replace")
            except GuestError:
                continue
        return found


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel interface as the machine's kernel sees it."""

    name: str
    local: str
    peer: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How many clients there are, and whether they sit behind a NAT or all at one address."""

    clients: int = 1
    nat: bool = False
    one_address: bool = False


class Lan:
    """A server machine and client machines on one wire, made for a test and used again by the next while nothing is
    left on it.
    """

    def __init__(self, guest: Guest, shape: Shape) -> None:
        self.guest = guest
        self.shape = shape
        self.server = Machine(guest, "server", SERVER_ADDRESS, 0, "server")
        self.clients = []
        for number in range(1, shape.clients + 1):
            place = 1 if shape.one_address else number
            address = f"{'192.168.77' if shape.nat else '10.77.0'}.{10 + place}"
            self.clients.append(Machine(guest, f"client{number}", address, place, f"client{place}"))
        self._capture: Program | None = None
        self._impaired = False
        self._unplugged: set[Machine] = set()
        self.clean = True
        """Whether the last look found nothing left behind, and nothing was started since."""
        self.spaces = sorted({machine.space for machine in self.machines})
        script = [BRIDGE, ROUTER if shape.nat else ""]
        for machine in self.machines:
            if machine.space == machine.name:
                script += self._plug_in(machine)
            script.append(MACHINE.format(name=machine.name, space=machine.space))
        script.append("ln -sf /run/syslog /dev/log")
        guest.shell("\n".join(script), limit=120).check()
        for machine in self.machines:
            guest.syslog(machine.path("syslog.sock"), machine.path("syslog"))
        self._before = {machine.name: machine.state() for machine in self.machines}

    def _plug_in(self, machine: Machine) -> list[str]:
        bridge = "br1" if self.shape.nat and machine is not self.server else "br0"
        port = f"port{machine.index}"
        script = [
            SPACE.format(name=machine.space),
            f"ip link add {port} netns wire type veth peer name eth0 netns {machine.space}",
            f"ip -n wire link set {port} master {bridge} up",
            f"ip -n {machine.space} address add {machine.address}/24 dev eth0",
            f"ip -n {machine.space} link set eth0 up",
        ]
        if bridge == "br1":
            script.append(f"ip -n {machine.space} route add default via 192.168.77.254")
        return script

    @property
    def machines(self) -> list[Machine]:
        """All ends, the server first."""
        return [self.server, *self.clients]

    @property
    def client(self) -> Machine:
        """The first client."""
        return self.clients[0]

    def netem(self, *arguments: str) -> None:
        """Impair both directions, at the ports towards the server and towards the clients; no arguments: heal."""
        if not arguments and not self._impaired:
            return
        for device in sorted({f"port{machine.index}" for machine in self.machines}):
            change = ["replace" if arguments else "del", "dev", device, "root"]
            netem = ["netem", "limit", "2000", *arguments] if arguments else []
            self.guest.run(["tc", "-n", WIRE, "qdisc", *change, *netem]).check()
        self._impaired = bool(arguments)

    def link(self, machine: Machine, *, up: bool) -> None:
        """Pull or plug the machine's cable (its port goes down on the wire's side, so its own addresses stay)."""
        if up and machine not in self._unplugged:
            return
        self.guest.run(["ip", "-n", WIRE, "link", "set", f"port{machine.index}", "up" if up else "down"]).check()
        (self._unplugged.discard if up else self._unplugged.add)(machine)

    def capture(self) -> None:
        """Record the wire at the server's port until `recording` is asked for."""
        self.clean = False
        self.guest.run(["rm", "-f", CAPTURE_FILE])
        argv = [
            "nsenter",
            f"--net=/run/netns/{WIRE}",
            "tcpdump",
            "-i",
            "port0",
            "-U",
            "--immediate-mode",
            "-B",
            "4096",
            "-s",
            "0",
            "-n",
            "-Z",
            "root",
        ]
        argv += ["-w", CAPTURE_FILE, "ip", "or", "ip6"]
        self._capture = self.guest.start(argv, "/tmp/tcpdump.log")
        deadline = time.monotonic() + 10
        while "listening on" not in self._capture.output():
            if time.monotonic() > deadline:
                raise GuestError(f"tcpdump did not start: {self._capture.output()}")
            time.sleep(0.03)

    def recording(self) -> bytes:
        """End the capture and give the pcap file."""
        if self._capture is None:
            return b""
        self._capture.end(signal.SIGINT)
        self._capture = None
        return self.guest.get(CAPTURE_FILE)

    def left_behind(self) -> list[str]:
        """What the programs under test have left on the machines: processes, and anything of `Machine.state` that is
        new.
        """
        found = []
        for space, alive in self.guest.processes(self.spaces).items():
            found += [f"{space}: process {pid}: {line}" for pid, line in alive.items()]
        for machine in self.machines:
            now = machine.state()
            for kind, before in self._before[machine.name].items():
                found += [f"{machine.name}: {kind}: {line}" for line in now[kind] if line not in before]
                found += [f"{machine.name}: {kind}: gone: {line}" for line in before if line not in now[kind]]
        return found

    def await_nothing_left(self, limit: float = 10.0) -> list[str]:
        """`left_behind` once it is empty, or as it is after `limit` seconds."""
        deadline = time.monotonic() + limit
        while True:
            found = self.left_behind()
            if not found or time.monotonic() > deadline:
                self.clean = not found
                return found
            time.sleep(0.2)

    def clear_files(self) -> None:
        """Remove the logs and files of the last test from the machines' folders; pppd's configuration is put back as
        it was.
        """
        keep = "! -name ppp ! -name resolv.conf ! -name syslog.sock"
        script = [
            f"find /tmp/{machine.name} -mindepth 1 -maxdepth 1 {keep} -exec rm -rf {{}} +; "
            f"rm -rf /tmp/{machine.name}/ppp/*; cp -a /etc/ppp/. /tmp/{machine.name}/ppp/"
            for machine in self.machines
        ]
        self.guest.shell("\n".join(script)).check()

    def kill_processes(self) -> None:
        """Kill by pid what still runs on the machines."""
        for pids in self.guest.processes(self.spaces).values():
            self.guest.kill(pids)

    def close(self) -> None:
        """Kill by pid what still runs on the machines, and take them down."""
        if self._capture is not None:
            self._capture.end(signal.SIGINT)
        self.kill_processes()
        names = [machine.name for machine in self.machines]
        script = [f"umount /run/mounts/{name}; rm -rf /tmp/{name} /run/mounts/{name}" for name in names]
        script += [f"ip netns del {space}" for space in (*self.spaces, WIRE)]
        self.guest.run(["sh", "-c", "\n".join(script)])
