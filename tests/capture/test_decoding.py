"""Captures decoded whole: those others recorded, the lab's, and made-up ones with everything that goes wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import TO_CLIENT, TO_SERVER, Decoded, decode
from pypptp.capture.link_layers import Layer, find_network_layer
from pypptp.capture.pcap_file import Capture, CaptureError, read_capture
from pypptp.mppe.keys import Strength
from tests.capture.tape import CREDENTIALS, Tape, inner_packet, ip_frame, ipv6_packet, pcap

LAB = Path(__file__).resolve().parents[1] / "vectors" / "captures" / "lab"
ROOT_PASSWORD = Credentials("root", "123456")
ENCRYPTED_LAB = {
    "mppe128-stateless": (209, 108),
    "mppe40-stateless": (6, 6),
    "mschapv1-mppe128": (6, 6),
    "dns-nak": (6, 6),
    "keepalive": (6, 6),
    "disc-server": (6, 6),
    "disc-pptpctrl-term": (6, 6),
}
CLEAR_LAB = ("pap", "chap-md5", "mschapv2-nomppe")
MODES = [(strength, stateless) for strength in Strength for stateless in (True, False)]


@pytest.fixture(scope="module")
def captures(shared_dir: Path) -> Path:
    path = shared_dir / "captures"
    if not path.is_dir():
        pytest.skip("no ../shared/captures beside the project")
    return path


def decode_tape(tape: Tape, credentials: Credentials | None = CREDENTIALS) -> Decoded:
    return decode(Capture(pcap(tape.packets)), credentials)


def counts(decoded: Decoded, direction: str) -> tuple[int, int, int, int]:
    totals = decoded.mppe[direction]
    return totals.frames, totals.decrypted, totals.duplicates, totals.undecryptable


def digest(plaintexts: list[bytes]) -> str:
    return sha256(b"".join(plaintexts)).hexdigest()


# -- Captures recorded by others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["rerange/pptp-only.pcap", "chapcrack/pptp.cap", "chapcrack/sample.dump", "tcpdump/pptp.pcap"]
)
def test_captures_yield_what_is_expected_of_them(captures: Path, name: str) -> None:
    expected: dict[str, Any] = json.loads((captures / "expected.json").read_text())[name]
    login = expected.get("mschapv2", {})
    credentials = Credentials(login["user"], login["password"]) if "password" in login else None
    decoded = decode(read_capture(captures / name), credentials)
    found = decoded.as_json()
    assert found["gre"] == {
        "total": expected["gre"]["gre_v1_ppp"],
        **{key: expected["gre"][key] for key in ("ack_only", "seq_and_ack", "seq_only")},
    }
    assert found["ppp"] == expected["ppp_protocols"]
    for direction, values in expected.get("mppe128_stateless", {}).items():
        assert found["mppe"][direction]["decrypted"] == values["decrypted"]
        assert found["mppe"][direction]["duplicates"] == values["duplicates_discarded"]
        assert found["mppe"][direction]["sha256"] == values["sha256_of_concatenated_plaintexts"]
        samples = {sample["frame"]: sample["plaintext_ppp"] for sample in values["samples"]}
        inner = {packet.number: packet.packet.hex() for packet in decoded.inner}
        assert all(("0021" + inner[frame]).startswith(plaintext) for frame, plaintext in samples.items())
    if "password" in login:
        handshakes_fit = [session.password_fits for session in decoded.sessions if session.users]
        assert handshakes_fit == [True]


def test_frames_of_an_older_session_are_counted_as_undecryptable(captures: Path) -> None:
    decoded = decode(read_capture(captures / "rerange/pptp-only.pcap"), Credentials("vpnuser", "vpnuser123"))
    assert len(decoded.recording.control) == 13
    assert counts(decoded, TO_SERVER) == (511, 505, 0, 6)
    assert counts(decoded, TO_CLIENT) == (186, 184, 0, 2)


@pytest.mark.parametrize("name", ["rerange/pptp-only.pcap", "chapcrack/pptp.cap"])
def test_start_keys_are_the_expected_ones(captures: Path, name: str) -> None:
    from pypptp.capture.calls import find_calls
    from pypptp.capture.recording import record
    from pypptp.capture.sessions import follow_call

    login = json.loads((captures / "expected.json").read_text())[name]["mschapv2"]
    credentials = Credentials(login["user"], login["password"])
    calls = find_calls(record(read_capture(captures / name)))
    (handshake,) = [handshake for call in calls for handshake in follow_call(call).handshakes]
    assert handshake.challenge == bytes.fromhex(login["authenticator_challenge"])
    assert credentials.fits(handshake)
    for sent_by_client, key in ((True, "client_to_server_start_key128"), (False, "server_to_client_start_key128")):
        assert credentials.start_key(handshake, Strength.BITS_128, sent_by_client) == bytes.fromhex(login[key])


def test_malformed_captures_are_read_to_their_end(captures: Path) -> None:
    files = sorted((captures / "tcpdump").glob("*.pcap"))
    assert len(files) >= 7
    for path in files:
        decoded = decode(read_capture(path), Credentials("user", "password"))
        assert decoded.recording.packets
        assert all(line.text.isprintable() for line in decoded.messages())


# -- The lab's captures ------------------------------------------------------------------------------------------------


def inner_capture(name: str) -> Counter[bytes]:
    """The clear text as the client's own ppp0 had it."""
    return Counter(packet.data[16:] for packet in read_capture(LAB / f"{name}.inner.pcap"))


@pytest.mark.parametrize("name", ENCRYPTED_LAB)
def test_real_sessions_decrypt_to_what_their_ends_saw(name: str) -> None:
    decoded = decode(read_capture(LAB / f"{name}.pcap"), ROOT_PASSWORD)
    to_server, to_client = ENCRYPTED_LAB[name]
    assert counts(decoded, TO_SERVER) == (to_server, to_server, 0, 0)
    assert counts(decoded, TO_CLIENT) == (to_client, to_client, 0, 0)
    # tcpdump on ppp0 started after and ended before the one outside, so it has fewer packets; never another one.
    seen_inside = inner_capture(name)
    assert seen_inside
    assert not seen_inside - Counter(packet.packet for packet in decoded.inner)


@pytest.mark.parametrize("name", CLEAR_LAB)
def test_real_sessions_in_clear_are_written_out_too(name: str) -> None:
    decoded = decode(read_capture(LAB / f"{name}.pcap"))
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (0, 0, 0, 0)
    assert not inner_capture(name) - Counter(packet.packet for packet in decoded.inner)


def test_another_compression_is_not_taken_for_mppe() -> None:
    decoded = decode(read_capture(LAB / "noauth-vj-deflate.pcap"))
    assert decoded.recording.ppp[0xFD] > 0
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (0, 0, 0, 0)


@pytest.mark.parametrize("path", sorted(LAB.glob("*.pcap")), ids=lambda path: path.stem)
def test_real_captures_cut_anywhere_stay_readable(path: Path) -> None:
    whole = path.read_bytes()
    source = random.Random(path.stem)
    for _ in range(12):
        cut = whole[: source.randrange(min(len(whole), 8000))]
        try:
            decoded = decode(Capture(cut), ROOT_PASSWORD)
        except CaptureError:
            assert len(cut) < 24
        else:
            assert all(line.text.isprintable() for line in decoded.messages())


# -- Sessions that go as they do on bad networks -----------------------------------------------------------------------


@pytest.mark.parametrize(("strength", "stateless"), MODES)
def test_every_mode_decrypts(strength: Strength, stateless: bool) -> None:
    tape = Tape(strength=strength, stateless=stateless)
    tape.set_up()
    tape.data(True, b"\x00\x57" + ipv6_packet())
    for number in range(600):
        tape.data(number % 3 > 0, ip_frame(number))
    decoded = decode_tape(tape)
    for direction, from_client in ((TO_SERVER, True), (TO_CLIENT, False)):
        sent = len(tape.plain[from_client])
        assert counts(decoded, direction) == (sent, sent, 0, 0)
        assert decoded.mppe[direction].sha256 == digest(tape.plain[from_client])


@pytest.mark.parametrize(
    "plaintext",
    [
        b"\x21" + inner_packet(1),
        b"\x57" + ipv6_packet(),
        b"\x00\x2b" + b"IPX",
        b"\x00\x21" + b"no IP at all",
        b"\x80\x21\x01\x01\x00\x04",
        b"\x2d" + b"Van Jacobson",
    ],
)
def test_whatever_is_inside_is_decrypted(plaintext: bytes) -> None:
    tape = Tape()
    tape.set_up()
    tape.data(True, plaintext)
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (1, 1, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest([plaintext])


@pytest.mark.parametrize(("strength", "stateless"), MODES)
def test_order_of_capture_does_not_matter(strength: Strength, stateless: bool) -> None:
    tape = Tape(strength=strength, stateless=stateless)
    tape.set_up()
    frames = [tape.encrypt(True, ip_frame(number)) for number in range(700)]
    random.Random(1).shuffle(frames)
    tape.packets += frames
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (700, 700, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


def test_a_frame_later_than_all_counts_is_decrypted() -> None:
    tape = Tape()
    tape.set_up()
    frames = [tape.encrypt(True, ip_frame(number)) for number in range(9000)]
    tape.packets += frames[1:] + frames[:1]
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (9000, 9000, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


@pytest.mark.parametrize("burst", [1, 2049, 4096, 10000])
def test_lost_bursts_do_not_lose_the_key(burst: int) -> None:
    tape = Tape()
    tape.set_up()
    tape.data(True, ip_frame(0))
    lost = [tape.encrypt(True, ip_frame(number)) for number in range(burst)]
    del tape.plain[True][-len(lost) :]
    tape.data(True, ip_frame(1))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (2, 2, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


def test_duplicates_are_counted_and_decrypted_once() -> None:
    tape = Tape()
    tape.set_up()
    for number in range(50):
        tape.data(False, ip_frame(number))
        tape.packets.append(tape.packets[-1])
    tape.packets.append(tape.packets[-40])
    decoded = decode_tape(tape)
    assert counts(decoded, TO_CLIENT) == (101, 50, 51, 0)
    assert decoded.mppe[TO_CLIENT].sha256 == digest(tape.plain[False])
    assert len(decoded.inner) == 50


def test_a_duplicated_set_up_changes_nothing() -> None:
    tape = Tape()
    tape.set_up()
    tape.packets = [packet for packet in tape.packets for _ in range(2)]
    for number in range(20):
        tape.data(True, ip_frame(number))
    assert counts(decode_tape(tape), TO_SERVER) == (20, 20, 0, 0)


def test_sequence_numbers_wrap_around() -> None:
    tape = Tape(next_to_server=0xFFFFFFF0, next_to_client=0xFFFFFFFA)
    tape.set_up()
    for number in range(100):
        tape.data(number % 2 > 0, ip_frame(number))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (50, 50, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


def test_stateful_waits_for_a_flushed_frame_after_a_gap() -> None:
    tape = Tape(stateless=False)
    tape.set_up()
    for number in range(10):
        tape.data(True, ip_frame(number))
    tape.encrypt(True, ip_frame(10))  # not captured
    for number in range(11, 14):
        tape.data(True, ip_frame(number))
    tape.encryptors[True].reset()
    for number in range(14, 20):
        tape.data(True, ip_frame(number))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (19, 16, 0, 3)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True][:10] + tape.plain[True][14:])


def test_other_frames_use_up_sequence_numbers() -> None:
    tape = Tape()
    tape.set_up()
    for number in range(30):
        tape.data(True, ip_frame(number))
        tape.packets.extend(tape.gre(True, b"\xc0\x21\x09\x01\x00\x08" + bytes(4)) for _ in range(number))
    assert counts(decode_tape(tape), TO_SERVER) == (30, 30, 0, 0)


def test_frames_from_before_the_login_belong_to_another_session() -> None:
    stranger = Tape()
    stranger.encryptors[True].encrypt_frame(b"\x00\x21")
    older = [stranger.gre(True, b"\x00\xfd\x93\x74" + random.Random(n).randbytes(40), 900 + n) for n in range(8)]
    tape = Tape()
    tape.packets += older
    tape.set_up()
    for number in range(30):
        tape.data(True, ip_frame(number))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (38, 30, 0, 8)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


def test_forged_frames_do_not_move_the_key() -> None:
    tape = Tape()
    tape.set_up()
    source = random.Random(2)
    for number in range(40):
        tape.data(True, ip_frame(number))
        genuine = tape.next_to_server
        header = (0x9000 | source.randrange(4096)).to_bytes(2, "big")
        forged = tape.gre(True, b"\x00\xfd" + header + source.randbytes(60), source.randrange(1 << 32))
        tape.packets.append(forged)
        tape.next_to_server = genuine
    frames, decrypted, duplicates, undecryptable = counts(decode_tape(tape), TO_SERVER)
    assert frames == 80
    assert decrypted == 40
    assert duplicates + undecryptable == 40


@pytest.mark.parametrize("missing", ["challenge", "success", "ccp", "lcp"])
def test_an_incomplete_set_up_is_enough_when_it_has_the_response(missing: str) -> None:
    tape = Tape()
    if missing != "lcp":
        tape.lcp()
    tape.login(success=missing != "success")
    if missing == "challenge":
        del tape.packets[-3]
    if missing != "ccp":
        tape.ccp()
    for number in range(10):
        tape.data(number % 2 > 0, ip_frame(number))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (5, 5, 0, 0)


def test_the_mode_is_found_without_ccp() -> None:
    tape = Tape(strength=Strength.BITS_40, stateless=False)
    tape.login()
    for number in range(300):
        tape.data(True, ip_frame(number))
    assert counts(decode_tape(tape), TO_SERVER) == (300, 300, 0, 0)


@pytest.mark.parametrize("control", [True, False])
def test_several_sessions_are_summed(control: bool) -> None:
    first, second = Tape(), Tape(client_call_id=33, server_call_id=44)
    for magic, tape in enumerate((first, second)):
        if control:
            tape.control()
        tape.set_up(magic=magic)
        for number in range(10):
            tape.data(number % 2 > 0, ip_frame(number))
    both = Tape(packets=[packet for pair in zip(first.packets, second.packets, strict=True) for packet in pair])
    decoded = decode_tape(both)
    assert len(decoded.sessions) == 2
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (10, 10, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(first.plain[True] + second.plain[True])


@pytest.mark.parametrize("control", [True, False])
def test_call_ids_used_again_begin_another_session(control: bool) -> None:
    packets: list[bytes] = []
    plain: list[bytes] = []
    for magic in range(3):
        tape = Tape()
        if control:
            tape.control(40000 + magic)
        tape.set_up(magic=magic)
        for number in range(30):
            tape.data(number % 2 > 0, ip_frame(number))
        packets += tape.packets
        plain += tape.plain[True]
    decoded = decode_tape(Tape(packets=packets))
    assert counts(decoded, TO_SERVER) == counts(decoded, TO_CLIENT) == (45, 45, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(plain)


def test_ccp_negotiated_again_starts_with_the_first_key() -> None:
    tape = Tape()
    tape.set_up()
    for number in range(10):
        tape.data(True, ip_frame(number))
    tape.ccp()
    tape.start_keys()
    for number in range(10):
        tape.data(True, ip_frame(number))
    decoded = decode_tape(tape)
    assert counts(decoded, TO_SERVER) == (20, 20, 0, 0)
    assert decoded.mppe[TO_SERVER].sha256 == digest(tape.plain[True])


@pytest.mark.parametrize(
    "credentials",
    [None, Credentials("User", "wrong"), Credentials("somebody", "clientPass")],
    ids=["none", "password", "user"],
)
def test_without_the_right_password_frames_are_only_counted(credentials: Credentials | None) -> None:
    tape = Tape()
    tape.set_up()
    for number in range(10):
        tape.data(True, ip_frame(number))
    tape.packets.append(tape.packets[-1])
    decoded = decode_tape(tape, credentials)
    assert counts(decoded, TO_SERVER) == (11, 0, 1, 10)
    assert not decoded.inner
    assert decoded.mppe[TO_SERVER].sha256 == digest([])


@pytest.mark.parametrize("user", ["User", "user", "LAB\\User", "OTHER\\USER"])
def test_the_domain_and_the_case_of_a_name_do_not_matter(user: str) -> None:
    tape = Tape()
    tape.set_up()
    tape.data(True, ip_frame(0))
    assert counts(decode_tape(tape, Credentials(user, "clientPass")), TO_SERVER) == (1, 1, 0, 0)


def test_snapped_packets_decrypt_as_far_as_they_go() -> None:
    for stateless in (True, False):
        tape = Tape(stateless=stateless)
        tape.set_up()
        for number in range(20):
            tape.data(True, ip_frame(number, 400))
        decoded = decode(Capture(pcap(tape.packets, snap=200)), CREDENTIALS)
        assert counts(decoded, TO_SERVER) == (20, 20, 0, 0)
        assert all(len(inner.packet) + inner.missing == 400 and inner.missing for inner in decoded.inner)


def test_json_has_the_agreed_shape() -> None:
    empty = decode(Capture(pcap([]))).as_json()
    nothing = {"frames": 0, "decrypted": 0, "duplicates": 0, "undecryptable": 0, "sha256": digest([])}
    assert empty == {
        "control": 0,
        "gre": {"total": 0, "ack_only": 0, "seq_and_ack": 0, "seq_only": 0},
        "ppp": {},
        "mppe": {TO_SERVER: nothing, TO_CLIENT: nothing},
    }


def test_work_on_absurd_sequence_numbers_is_bounded() -> None:
    tape = Tape()
    tape.set_up()
    source = random.Random(3)
    for step in range(400):
        header = (0x9000 | source.randrange(4096)).to_bytes(2, "big")
        tape.packets.append(tape.gre(True, b"\x00\xfd" + header + bytes(30), step * 5_000_000))
    frames, decrypted, *_ = counts(decode_tape(tape), TO_SERVER)
    assert frames == 400
    assert decrypted <= 4


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted({0, 1, 9, 50, 101, 105, 113, 127, 204, 276})), st.binary(max_size=120)),
        max_size=8,
    )
)
def test_any_packets_decode_without_an_exception(frames: list[tuple[int, bytes]]) -> None:
    for link_type, data in frames:
        decoded = decode(Capture(pcap([data, data], link_type)), CREDENTIALS)
        json.dumps(decoded.as_json())
        decoded.messages()
        found = find_network_layer(link_type, data)
        assert found is None or found[0] in Layer


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([b"\xc0\x21", b"\xc2\x23", b"\x80\xfd", b"\x80\x21", b"\xfd", b"\x00\x21", b""]),
            st.binary(max_size=60),
            st.none() | st.integers(0, 0xFFFFFFFF),
        ),
        max_size=20,
    ),
    st.booleans(),
)
def test_any_ppp_behind_a_real_login_decodes_without_an_exception(
    frames: list[tuple[bool, bytes, bytes, int | None]], login: bool
) -> None:
    tape = Tape()
    if login:
        tape.set_up()
    for from_client, protocol, information, sequence in frames:
        tape.packets.append(tape.gre(from_client, protocol + information, sequence))
    decoded = decode_tape(tape)
    assert all(line.text.isprintable() for line in decoded.messages())
    for totals in decoded.mppe.values():
        assert totals.frames == totals.decrypted + totals.duplicates + totals.undecryptable
