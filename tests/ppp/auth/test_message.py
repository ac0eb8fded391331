import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.ppp.auth.message import (
    TEXT_LIMIT,
    MschapMessage,
    build_failure,
    explain,
    parse_message,
    printable_text,
    text_of,
)

CHALLENGE = bytes(range(16))
PROOF = bytes.fromhex("407A5589115FD0D6209F510FE9C04566932CDA56")
S = b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
C = b"C=000102030405060708090A0B0C0D0E0F"


def test_what_is_built_is_read() -> None:
    built = build_failure(691, CHALLENGE, retry=True, version=3, text="Access denied")
    assert built == b"E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3 M=Access denied"
    assert parse_message(built) == MschapMessage(691, True, CHALLENGE, 3, None, "Access denied")


@pytest.mark.parametrize(
    "order",
    [
        b"E=691 R=1 %s V=3 M=Access denied",
        b"M=Access denied E=691 R=1 %s V=3",
        b"V=3 M=Access denied R=1 %s E=691",
        b"%s V=3 E=691 R=1 M=Access denied\r\n",
    ],
)
def test_fields_in_any_order(order: bytes) -> None:
    assert parse_message(order % C) == MschapMessage(691, True, CHALLENGE, 3, None, "Access denied")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", MschapMessage()),
        (b"E=691 R=0", MschapMessage(error=691)),
        (
            b"E=691 R=1 C=0001020304050607 V=0 M=Access denied",
            MschapMessage(691, True, CHALLENGE[:8], 0, None, "Access denied"),
        ),
        (b"go away", MschapMessage(text="go away")),
        (b"E=nonsense", MschapMessage(text="E=nonsense")),
        (b"E=abc R=2 C=123 V=x", MschapMessage()),
        (b"E=12345678901 R=1", MschapMessage(retry=True)),
        (b"E=1 E=2", MschapMessage(error=1)),
        (S, MschapMessage(proof=PROOF)),
        (S.lower().replace(b"s=", b"S="), MschapMessage(proof=PROOF)),
        (S + b" M=Access granted", MschapMessage(proof=PROOF, text="Access granted")),
        (S + b"M=Access granted", MschapMessage(proof=PROOF, text="Access granted")),
        (b"M=Welcome home " + S, MschapMessage(proof=PROOF, text="Welcome home")),
        (S[:-1], MschapMessage()),
        (S + b"0", MschapMessage()),
        (b"x" + S, MschapMessage(text="x" + S.decode())),
        (b"M=", MschapMessage()),
        (b"M=E is for effort", MschapMessage(text="E is for effort")),
    ],
)
def test_what_servers_really_send(message: bytes, expected: MschapMessage) -> None:
    assert parse_message(message) == expected


@given(st.binary(max_size=200) | st.text(alphabet="ERCVSM= 0123456789ABCDEFabcdef\r\n", max_size=120).map(str.encode))
def test_any_message_gets_read(message: bytes) -> None:
    parsed = parse_message(message)
    assert parsed.text.isprintable()
    assert len(parsed.text) <= TEXT_LIMIT
    assert parsed.proof is None or len(parsed.proof) == 20
    assert explain(parsed)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"E=691 R=1 V=0 M=Access denied", "Access denied (E=691, wrong user name or password)"),
        (b"E=691 R=0", "E=691, wrong user name or password"),
        (b"E=648 M=", "E=648, the password has expired"),
        (b"E=12345 M=Strange", "Strange (E=12345)"),
        (b"go away", "go away"),
        (b"", "the server gave no reason"),
    ],
)
def test_what_a_person_reads(message: bytes, expected: str) -> None:
    assert explain(parse_message(message)) == expected


def test_words_stay_on_one_line() -> None:
    assert printable_text(b"a\r\nb\x00\x1b[2J") == "a\\r\\nb\\x00\\x1b[2J"
    assert printable_text("grüß".encode()) == printable_text("grüß".encode("latin-1")) == "grüß"
    assert len(printable_text(b"\0" * 5000)) == TEXT_LIMIT
    assert text_of(b"\xff\xfe") == "\xff\xfe"
