import io
from ipaddress import IPv4Address

from rich.console import Console

from pypptp.testing.scenario import GATEWAY_PRIVATE, GATEWAY_PUBLIC, PRIVATE, PUBLIC, Pings, Transfer
from pypptp_cli.demonstration.screen import Screen

from .test_report import NETWORK, TRANSFER


class Ascii(io.StringIO):
    encoding = "ascii"


def play(screen: Screen) -> None:
    screen.open()
    screen.begin("ping")
    screen.pinged_before(Pings(4, 0, refusal="network unreachable"))
    screen.connected(NETWORK, 0.5)
    screen.pinged_after(Pings(4, 4, (0.001, 0.002, 0.001, 0.002)))
    screen.sending(1.5, 30_000_000)
    screen.sent(TRANSFER)
    screen.taken_back([])
    screen.close([])


def test_a_pipe_gets_lines_without_colours_or_movement() -> None:
    output = io.StringIO()
    play(Screen(Console(file=output)))
    text = output.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    lines = [line for line in text.splitlines() if line.startswith("  ✓")]
    assert lines == [
        "  ✓ without tunnel   ping 203.0.113.2: 0 of 4 answered (network unreachable)",
        "  ✓ connected        ppp0, 192.168.0.234 → 192.168.0.1, after 0.5 s",
        "  ✓ protected by     MS-CHAPv2, MPPE-128 stateless",
        "  ✓ through tunnel   ping 203.0.113.2: 4 of 4 answered, 1.5 ms",
        "  ✓ transfer         200 Mbit/s, 75 MB in 3.0 s",
        "  ✓ public host saw  203.0.113.1, the gateway's address: NAT works",
        "  ✓ afterwards       no interface, route, nftables table, process or file left",
    ]
    assert "MPPE (RC4) has no integrity" in text


def test_the_drawing_shows_the_hosts_own_addresses() -> None:
    output = io.StringIO()
    Screen(Console(file=output)).open()
    for address in (PRIVATE, GATEWAY_PRIVATE, GATEWAY_PUBLIC, PUBLIC):
        assert f" {address} " in output.getvalue()


def test_a_terminal_that_knows_ascii_alone() -> None:
    output = Ascii()
    play(Screen(Console(file=output)))
    assert output.getvalue().isascii()
    assert "ok through tunnel" in output.getvalue()


def test_a_terminal_sees_the_bar_move() -> None:
    output = io.StringIO()
    play(Screen(Console(file=output, force_terminal=True, width=90, _environ={"TERM": "xterm-256color"})))
    assert "160 Mbit/s" in output.getvalue()  # half way
    assert "━━━━" in output.getvalue()


def test_what_went_wrong_is_marked() -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output))
    screen.pinged_before(Pings(4, 4, (0.001,)))
    screen.pinged_after(Pings(4, 1, (0.001,)))
    screen.sent(Transfer(IPv4Address("192.168.0.234"), 0, 0.0))
    screen.taken_back(["gateway: + interface ppp0 mtu 1400"])
    screen.show_logs({"server": [f"line {number}" for number in range(1, 21)], "client": []})
    screen.close(["left behind: gateway: + interface ppp0 mtu 1400"])
    text = output.getvalue()
    assert "the server's last lines:\n  line 13\n" in text
    assert "  line 20\n\nthe client's last lines:\n" in text
    assert text.count("  ✗ ") == 5
    assert "192.168.0.234, not the gateway's address 203.0.113.1" in text
    assert "\nleft behind: gateway" in text
