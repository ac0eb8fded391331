from __future__ import annotations

from pathlib import Path

import pytest

from pypptp.capture.decoding import decode
from pypptp.capture.export import hashcat_lines, john_lines
from pypptp.capture.pcap_file import read_capture
from pypptp.capture.sessions import Handshake
from pypptp.ppp.auth.mschap import challenge_response, nt_password_hash, nt_response_v2

LAB = Path(__file__).resolve().parents[1] / "vectors" / "captures" / "lab"


def handshakes(name: str) -> list[Handshake]:
    return [handshake for session in decode(read_capture(LAB / name)).sessions for handshake in session.handshakes]


@pytest.mark.parametrize("name", ["mppe40-stateless.pcap", "mschapv1-mppe128.pcap"])
def test_what_hashcat_computes_of_its_line_is_the_response(name: str) -> None:
    (line,) = hashcat_lines(handshakes(name))
    user, empty, domain, lm_response, nt_response, challenge = line.split(":")
    assert (user, empty, domain, lm_response) == ("root", "", "", "")
    # What mode 5500 does with each candidate: three DES keys of the NT hash, over the challenge.
    assert challenge_response(bytes.fromhex(challenge), nt_password_hash("123456")).hex() == nt_response


def test_what_john_computes_of_its_line_is_the_response() -> None:
    (line,) = john_lines(handshakes("mppe40-stateless.pcap"))
    user, _, rest = line.partition(":")
    _, tag, challenge, response, peer_challenge, account = rest.split("$")
    assert (user, tag, account) == ("root", "MSCHAPv2", "root")
    challenges = bytes.fromhex(challenge), bytes.fromhex(peer_challenge)
    assert nt_response_v2(*challenges, account.encode(), nt_password_hash("123456")).hex() == response
    (line,) = john_lines(handshakes("mschapv1-mppe128.pcap"))
    _, tag, challenge, response = line.partition(":")[2].split("$")
    assert tag == "NETNTLM"
    assert challenge_response(bytes.fromhex(challenge), nt_password_hash("123456")).hex() == response


def test_names_that_would_end_a_field() -> None:
    response = bytes(16) + bytes(8) + bytes(24) + b"\0"
    odd = Handshake(bytes(16), response, b"CORP\\a:b$c\n\xff", 1)
    (line,) = hashcat_lines([odd])
    assert line.count(":") == 5
    assert line.startswith("CORP\\x5ca\\x3ab\\x24c\\x0a\\xff::::")
    (line,) = john_lines([odd])
    assert line.count("$") == 5
    assert line.endswith("$a\\x3ab\\x24c\\x0a\\xff")


def test_without_the_challenge_there_is_nothing_to_try() -> None:
    lost = Handshake(None, bytes(49), b"root", 1)
    assert hashcat_lines([lost]) == john_lines([lost]) == []
