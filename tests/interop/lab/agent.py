"""The guest's end of the lab: runs command lines, starts programs, moves files.

Runs in the guest on Debian's own Python.

One TCP connection carries one request: a line of JSON, followed by `size` octets where the request has a body. The
answer has the same form. Programs write to files, never to pipes: pppd keeps what it inherits open for as long as it
lives, and a reader that waits for the end of a pipe would wait with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RB_POWER_OFF = 0x4321FEDC
SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFMTU = 0x8913, 0x8915, 0x8917, 0x8921
IFF_UP, IFF_POINTOPOINT = 0x1, 0x10
CONTROL_PORT = f":{1723:04X}"
CLONE_NEWNET = 0x40000000


class Programs:
    """The programs started in the background, by pid, until they are asked for after their end."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, argv: list[str], log: str, environment: dict[str, str]) -> int:
        with Path(log).open("ab") as output:
            program = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        with self._lock:
            self._running[program.pid] = program
        return program.pid

    def wait(self, pid: int, limit: float) -> int | None:
        with self._lock:
            program = self._running[pid]
        try:
            return program.wait(limit)
        except subprocess.TimeoutExpired:
            return None


PROGRAMS = Programs()


def run(request: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Run one command line to its end, or to `limit` seconds, when its whole process group is killed (code None)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(body)
        given.seek(0)
        program = subprocess.Popen(
            request["argv"],
            stdin=given,
            stdout=out,
            stderr=err,
            env={**os.environ, **request.get("environment", {})},
            start_new_session=True,
        )
        code: int | None
        try:
            code = program.wait(request["limit"])
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            code = None
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    return {"code": code, "out": len(output)}, output + errors


def processes(names: list[str]) -> dict[str, dict[int, str]]:
    """The processes in each named network namespace: pid and command line."""
    namespaces = {Path("/run/netns", name).stat().st_ino: name for name in names}
    found: dict[str, dict[int, str]] = {name: {} for name in names}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = namespaces.get((folder / "ns/net").stat().st_ino)
            command = (folder / "cmdline").read_bytes() if name else b""
        except OSError:
            continue
        if name and command:
            found[name][int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def within(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start `work` on a thread that has entered the named network namespace."""

    def enter_and_work() -> None:
        with Path("/run/netns", name).open("rb") as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                return
        work()

    thread = threading.Thread(target=enter_and_work, daemon=True)
    thread.start()
    return thread


def look(name: str) -> dict[str, Any]:
    """The tunnels and the TCP sockets of port 1723 in a network namespace, without starting a program for it.

    The host asks for this again and again while programs start up, on the one CPU they start up on.
    """
    found: dict[str, Any] = {"tunnels": [], "sockets": []}

    def inside() -> None:
        found["tunnels"] = tunnels()
        for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if local.endswith(CONTROL_PORT):
                found["sockets"].append(int(state, 16))

    within(name, inside).join()
    return found


def tunnels() -> list[dict[str, Any]]:
    """The point-to-point interfaces of the thread's namespace that are up and have an IPv4 address."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def ask(request: int, interface: bytes) -> bytes:
            return fcntl.ioctl(control, request, interface.ljust(40, b"\0"))[16:]

        for _, name in socket.if_nameindex():
            interface = name.encode()
            try:
                flags = int.from_bytes(ask(SIOCGIFFLAGS, interface)[:2], "little")
                if flags & IFF_UP and flags & IFF_POINTOPOINT:
                    local, peer = (
                        socket.inet_ntoa(ask(what, interface)[4:8]) for what in (SIOCGIFADDR, SIOCGIFDSTADDR)
                    )
                    mtu = int.from_bytes(ask(SIOCGIFMTU, interface)[:4], "little")
                    found.append({"name": name, "local": local, "peer": peer, "mtu": mtu})
            except OSError:
                continue
    return found


def transfer(request: dict[str, Any]) -> dict[str, Any]:
    """Send `octets` random octets by TCP from machine `source` to `address` on machine `target`, and as many back.

    Answers the seconds each direction took and whether its SHA-256 was the same at both ends.
    """
    octets, limit = request["octets"], request["limit"]
    up, down = os.urandom(octets), os.urandom(octets)
    outcome: dict[str, Any] = {"up": None, "down": None, "same": [], "problems": []}
    listening = threading.Event()
    port = 0
    deadline = time.monotonic() + limit

    def receive(connection: socket.socket) -> bytes:
        digest = hashlib.sha256()
        left = octets
        while left:
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            piece = connection.recv(min(left, 65536))
            if not piece:
                raise ConnectionError(f"closed with {left} of {octets} octets to go")
            digest.update(piece)
            left -= len(piece)
        return digest.digest()

    def serve() -> None:
        nonlocal port
        try:
            with socket.create_server((request["address"], 0)) as server:
                port = server.getsockname()[1]
                server.settimeout(limit)
                listening.set()
                connection, _ = server.accept()
                with connection:
                    outcome["same"].append(receive(connection) == hashlib.sha256(up).digest())
                    connection.sendall(b"!")
                    connection.sendall(down)
                    connection.settimeout(limit)
                    connection.recv(1)
        except OSError as error:
            outcome["problems"].append(f"{request['target']}: {error}")

    def fetch() -> None:
        try:
            with socket.create_connection((request["address"], port), timeout=limit) as connection:
                began = time.monotonic()
                connection.sendall(up)
                connection.recv(1)
                outcome["up"] = time.monotonic() - began
                began = time.monotonic()
                outcome["same"].append(receive(connection) == hashlib.sha256(down).digest())
                outcome["down"] = time.monotonic() - began
        except OSError as error:
            outcome["problems"].append(f"{request['source']}: {error}")

    server_thread = within(request["target"], serve)
    if not listening.wait(10):
        outcome["problems"].append(f"{request['target']} cannot listen on {request['address']}")
        return outcome
    within(request["source"], fetch).join(limit + 5)
    server_thread.join(2)
    return outcome


def take_syslog(path: str, log: str) -> None:
    """Be the syslog daemon of one machine: what arrives at the socket `path` is appended to the file `log`."""
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)

    def receive() -> None:
        while line := receiver.recv(8192):
            with contextlib.suppress(OSError), Path(log).open("ab") as output:
                output.write(line.rstrip(b"\0\n") + b"\n")

    threading.Thread(target=receive, daemon=True).start()


def handle(request: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Answer one request."""
    match request["op"]:
        case "run":
            return run(request, body)
        case "start":
            return {"pid": PROGRAMS.start(request["argv"], request["log"], request.get("environment", {}))}, b""
        case "wait":
            return {"code": PROGRAMS.wait(request["pid"], request["limit"])}, b""
        case "signal":
            for pid in request["pids"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, request["signal"])
            return {}, b""
        case "processes":
            return {"found": processes(request["names"])}, b""
        case "transfer":
            return transfer(request), b""
        case "syslog":
            take_syslog(request["path"], request["log"])
            return {}, b""
        case "look":
            return look(request["space"]), b""
        case "get":
            return {}, Path(request["path"]).read_bytes()
        case "put":
            path = Path(request["path"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            path.chmod(request["mode"])
            return {}, b""
        case "off":
            # Later, so that the answer still gets out.
            threading.Timer(0.05, ctypes.CDLL(None).reboot, [RB_POWER_OFF]).start()
            return {}, b""
        case other:
            raise ValueError(f"unknown request {other!r}")


class Connection(socketserver.StreamRequestHandler):
    """One request and its answer."""

    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        body = self.rfile.read(request.get("size", 0))
        try:
            answer, data = handle(request, body)
        except (OSError, KeyError, ValueError) as error:
            answer, data = {"error": f"{type(error).__name__}: {error}"}, b""
        self.wfile.write(json.dumps({**answer, "size": len(data)}).encode() + b"\n" + data)


class Server(socketserver.ThreadingTCPServer):
    """Threads, so that a long command does not hold up the next."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve on the address and port given."""
    address, port = sys.argv[1:3]
    with Server((address, int(port)), Connection) as server:
        server.serve_forever(poll_interval=5.0)


if __name__ == "__main__":
    main()
