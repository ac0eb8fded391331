"""The chosen recordings, replayed without a guest: pypptp reads out of them what `record` wrote down beside them."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import TO_CLIENT, TO_SERVER, Decoded, decode
from pypptp.capture.pcap_file import read_capture

from .lab.recording import CONTROL_NAMES, PROTOCOL_NAMES, read

FOLDER = Path(__file__).parents[1] / "vectors" / "captures" / "interop"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
ICMP = 1
PROTOCOL_OFFSET = 9


@pytest.fixture(params=EXPECTED)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def decoded(name: str, password: str | None = None) -> Decoded:
    entry = EXPECTED[name]
    return decode(read_capture(FOLDER / f"{name}.pcap"), Credentials(entry["user"], password or entry["password"]))


def test_control_messages_and_frames_are_all_found(name: str) -> None:
    entry, found = EXPECTED[name], decoded(name).recording
    kinds = [CONTROL_NAMES[int.from_bytes(message.data[8:10])] for message in found.control]
    # Two ends that speak at the same moment have no order that a reader could get wrong.
    assert Counter(kinds) == Counter(entry["control"])
    assert found.gre.ack_only == entry["acknowledgements_alone"]
    frames = {PROTOCOL_NAMES.get(protocol, f"{protocol:#06x}"): count for protocol, count in found.ppp.items()}
    assert frames == entry["frames"]


def test_every_frame_is_decrypted(name: str) -> None:
    entry, found = EXPECTED[name], decoded(name)
    for direction, frames in ((TO_SERVER, entry["mppe_to_server"]), (TO_CLIENT, entry["mppe_to_client"])):
        totals = found.mppe[direction]
        assert totals.frames == frames
        if not entry["lossy"]:
            assert (totals.decrypted, totals.duplicates, totals.undecryptable) == (frames, 0, 0)


def test_what_comes_out_is_what_the_client_saw(name: str) -> None:
    entry = EXPECTED[name]
    inner = [packet.packet for packet in decoded(name).inner if packet.packet[PROTOCOL_OFFSET] == ICMP]
    if entry["lossy"]:
        # The wire is recorded beside the loss: some of what the client sent never came by, some came by and was lost.
        assert len(inner) > entry["inner_icmp"] // 2
    else:
        assert len(inner) == entry["inner_icmp"]
        assert sha256(b"".join(sorted(inner))).hexdigest() == entry["inner_icmp_sha256"]


def test_a_wrong_password_yields_nothing(name: str) -> None:
    found = decoded(name, "not it")
    assert found.mppe[TO_SERVER].decrypted == found.mppe[TO_CLIENT].decrypted == 0
    assert not found.inner


def test_the_labs_own_reader_agrees(name: str) -> None:
    entry, found = EXPECTED[name], read((FOLDER / f"{name}.pcap").read_bytes())
    assert found.control_names() == entry["control"]
    assert Counter(PROTOCOL_NAMES[frame.protocol] for frame in found.frames) == Counter(entry["frames"])
