from __future__ import annotations

from html.parser import HTMLParser
from ipaddress import IPv4Address
from pathlib import Path

from pypptp.capture.decoding import MessageLine, decode
from pypptp.capture.ladder import html_ladder, text_ladder
from pypptp.capture.pcap_file import read_capture

LAB = Path(__file__).resolve().parents[1] / "vectors" / "captures" / "lab"
HERE = IPv4Address("10.0.0.1")


def lines() -> list[MessageLine]:
    return decode(read_capture(LAB / "mppe40-stateless.pcap")).messages()


def test_a_ladder_of_text() -> None:
    whole = lines()
    drawn = list(text_ladder(whole, whole[0].time))
    assert all(len(line) <= 13 + 76 for line in drawn)
    phases = [line.strip(" |-") for line in drawn if line.startswith(" " * 13 + "|--")]
    assert phases == ["Control connection", "Link establishment", "Authentication", "Network"]
    (challenge,) = (line for line in drawn if "CHAP Challenge" in line)
    assert "| <--" in challenge
    (response,) = (line for line in drawn if "CHAP Response" in line)
    assert response.endswith("-> |")
    assert sum("|" in line and line[:12].strip() != "" for line in drawn) == len(whole)


def test_who_sent_it_may_not_be_known() -> None:
    line = MessageLine(1, 5, None, None, None, "LCP", "Configure-Request id 1")
    (_, _, drawn) = text_ladder([line], 0)
    assert "<" not in drawn
    assert ">" not in drawn


def test_a_second_connection_begins_anew() -> None:
    whole = lines()
    phases = [line for line in text_ladder([*whole, *whole], 0) if "- Control connection -" in line]
    assert len(phases) == 2


class Page(HTMLParser):
    """Sees whether a page is well formed, and gathers its text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") or name == "src" for name, _ in attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_page() -> None:
    page = Page()
    page.feed(html_ladder(lines(), 0, "a <title>"))
    assert page.open == []
    text = " ".join(page.text)
    assert "a <title>" in text
    assert "RFC 1962, 3078" in text
    assert "GRE sequence 0" in text
    assert lines()[0].octets.hex(" ") in text


def test_what_a_peer_says_cannot_become_part_of_the_page() -> None:
    page = Page()
    page.feed(html_ladder([MessageLine(1, 0, HERE, HERE, True, "LCP", "<script>alert(1)</script>")], 0, "x"))
    assert "<script>alert(1)</script>" in "".join(page.text)
