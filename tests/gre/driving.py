"""What the tests of this room share: a tunnel with call ids, packets as a peer builds them, and a caller's loop."""

from pypptp.gre import DELIVER, Tunnel, TunnelConfig, build_header

LOCAL, PEER = 0x1234, 0xABCD


def new_tunnel(**options: float) -> Tunnel:
    return Tunnel(LOCAL, PEER, config=TunnelConfig(**options))  # type: ignore[arg-type]


def payload_of(sequence: int) -> bytes:
    return b"\xff\x03" + sequence.to_bytes(4, "big")


def frame(sequence: int, payload: bytes | None = None, ack: int | None = None, call_id: int = LOCAL) -> bytes:
    payload = payload_of(sequence) if payload is None else payload
    return build_header(len(payload), call_id, sequence, ack) + payload


def bare_ack(number: int) -> bytes:
    return build_header(0, LOCAL, None, number)


def drain(tunnel: Tunnel) -> list[tuple[int, bytes]]:
    taken = []
    while tunnel.ready:
        payload = tunnel.next_queued()
        assert payload is not None
        taken.append((tunnel.sequence, payload))
    assert tunnel.next_queued() is None
    return taken


def receive(tunnel: Tunnel, packet: bytes, now: float = 0.0) -> list[tuple[int, bytes]]:
    """Receive as a caller does; the (number, payload) pairs PPP gets, in order."""
    taken = []
    if tunnel.receive(packet, 0, len(packet), now) == DELIVER:
        taken.append((tunnel.sequence, packet[tunnel.payload_start : tunnel.payload_end]))
    return taken + drain(tunnel)


def run_timers(tunnel: Tunnel, until: float) -> list[tuple[int, bytes]]:
    """Call handle_timer at each deadline up to ``until``, exactly on time."""
    taken: list[tuple[int, bytes]] = []
    for _ in range(1000):
        deadline = tunnel.get_timer()
        if deadline is None or deadline > until:
            return taken
        tunnel.handle_timer(deadline)
        taken += drain(tunnel)
    msg = "the timer does not come to rest"
    raise AssertionError(msg)


def numbers(taken: list[tuple[int, bytes]]) -> list[int]:
    return [sequence for sequence, _ in taken]


def receive_numbers(tunnel: Tunnel, sequences: list[int], now: float = 0.0) -> list[int]:
    """Receive one frame of each number at the same time; the numbers PPP gets, each with its own payload."""
    taken = [pair for sequence in sequences for pair in receive(tunnel, frame(sequence & 0xFFFFFFFF), now)]
    assert all(payload == payload_of(sequence) for sequence, payload in taken)
    return numbers(taken)


def send(tunnel: Tunnel, now: float = 0.0, payload: bytes = b"\xff\x03\xc0\x21data") -> bytes:
    buffer = bytearray(32) + payload
    start = tunnel.write_header(buffer, 32, len(buffer), now)
    return bytes(buffer[start:])
