"""Makes the corpus from recordings of real sessions: ``python -m tests.fuzz.seeds``. What is there already stays."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.packet import Packet
from scapy.utils import rdpcap

from pypptp.gre import parse_header
from pypptp.mppe import Encryptor, Strength
from pypptp.ppp.protocols import Protocol, split_frame
from tests.fuzz.script import write_script
from tests.fuzz.targets.gre import packet as gre_packet
from tests.mppe.frames import START, plaintext

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors"
RECORDINGS = sorted((VECTORS / "captures").glob("*/*.pcap"))
LONGEST = 16 * 1024
PORT = 1723
SERVER, CLIENT = b"\0", b"\xff"
BY_PROTOCOL = {
    Protocol.LCP: "lcp",
    Protocol.CHAP: "authentication",
    Protocol.PAP: "authentication",
    Protocol.CCP: "ccp",
    Protocol.IPCP: "ipcp",
}
SECRETS = (
    b'alice * wonderland *\n"bob b" pptpd "x\\"y" 10.0.0.1 -10.0.0.2 !10.0.0.3 10.1.0.0/16\n',
    b"# nobody\nDOMAIN\\\\user * nt:00112233445566778899aabbccddeeff *\ncarol * @/etc/secret -\n",
    b"\xef\xbb\xbfdave\t*\t'single quoted'\t*\\\n 10.0.0.9\n",
)
CONFIGURATIONS = (
    b'\0local = "192.168.0.1"\nremote = "192.168.0.234-245"\n[server]\ndns = ["192.0.2.1"]\nidle = "10m"\n',
    b'\x40[client]\nserver = "vpn.example"\nuser = "alice"\nroute = ["10.0.0.0/8"]\nbypass = ["private"]\n',
    b"\x80require-mppe-128\nrefuse-pap\nms-dns 192.0.2.1\nmtu 1400\n\0option o\nlocalip 192.168.0.1\n"
    b"remoteip 192.168.0.234-238,192.168.0.245\n",
    b'\xc0{"entry":1,"at":5,"boot":"x","namespace":[1,2,3],"pid":7,"start":"9","instance":"server",'
    b'"change":{"kind":"nat","interface":"eth0","sources":["10.0.0.0/8"],"comment":"pypptp 7 9"}}\n{"struck":1}\n',
)


def save(target: str, data: bytes) -> None:
    """Put one try into the corpus, under its hash."""
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    if 0 < len(data) <= LONGEST:
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)


def main() -> None:
    """Make all of it."""
    for recording in RECORDINGS:
        if recording.name.endswith(".inner.pcap"):
            continue
        if recording.stat().st_size <= LONGEST:
            save("pcap", recording.read_bytes())
        _from_packets([packet for packet in rdpcap(str(recording)) if IP in packet])
    for data in SECRETS:
        save("chap-secrets", data)
    for data in CONFIGURATIONS:
        save("configuration", data)
    _mppe()


def _from_packets(packets: list[Packet]) -> None:
    began = float(packets[0].time)
    last: dict[str, float] = {}
    scripts: dict[tuple[str, bytes], list[tuple[float, bytes]]] = {}

    def add(target: str, end: bytes, now: float, octets: bytes) -> None:
        key = target + end.hex()
        scripts.setdefault((target, end), []).append((max(now - last.get(key, began), 0.0), octets))
        last[key] = now

    for packet in packets:
        now = float(packet.time)
        if TCP in packet and packet[TCP].payload and PORT in (packet[TCP].sport, packet[TCP].dport):
            octets = bytes(packet[TCP].payload)
            to_server = packet[TCP].dport == PORT
            save("control-messages", octets)
            add("control-server" if to_server else "control-client", b"", now, octets)
            if to_server:
                add("endpoint", b"", now, b"\0" + octets)
        elif packet[IP].proto == 47 and not packet[IP].frag and not packet[IP].flags.MF:
            _from_datagram(bytes(packet[IP].payload), now, add)
    for (target, end), steps in scripts.items():
        save(target, end + write_script(steps))


def _from_datagram(datagram: bytes, now: float, add: object) -> None:
    assert callable(add)
    header = parse_header(datagram)
    if header is None:
        return
    payload = datagram[header.header_length : header.header_length + header.payload_length]
    add("gre", b"", now, gre_packet(header.sequence, header.acknowledgement, payload[:64]))
    add("endpoint", b"", now, b"\1" + datagram)
    parts = split_frame(payload)
    if parts is not None and parts[0] in BY_PROTOCOL:
        # Both ends' frames are worth a try with both ends.
        for end in (SERVER, CLIENT):
            add(BY_PROTOCOL[Protocol(parts[0])], end, now, payload)


def _mppe() -> None:
    for number, strength in enumerate((Strength.BITS_128, Strength.BITS_56, Strength.BITS_40)):
        forged = Encryptor(START[::-1], strength, stateless=True).encrypt_frame(plaintext())
        steps = [(0.0, b""), (0.0, forged), (0.1, b"\x05"), (0.0, b""), (0.3, forged[:20]), (0.0, b"\xff"), (0.0, b"")]
        save("mppe", bytes((number,)) + write_script(steps))


if __name__ == "__main__":
    main()
