"""A ladder of an exchange: who said what to whom, with an arrow for each message, as text or as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from pypptp.capture.decoding import MessageLine
from pypptp.capture.pcap_file import NANOSECONDS

STANDARDS = {
    "PPTP": "RFC 2637",
    "LCP": "RFC 1661",
    "PAP": "RFC 1334",
    "CHAP": "RFC 1994, 2433, 2759",
    "CCP": "RFC 1962, 3078",
    "IPCP": "RFC 1332, 1877",
    "IPV6CP": "RFC 5072",
    "EAP": "RFC 3748",
}
"""Where a layer's messages are defined."""
PHASES = (
    ({"PPTP"}, "Control connection"),
    ({"LCP"}, "Link establishment"),
    ({"PAP", "CHAP", "EAP", "CBCP"}, "Authentication"),
    ({"CCP", "IPCP", "IPV6CP"}, "Network"),
)
_OPENING = "Start-Control-Connection-Request"
_WIDTH = 76
_LEFT, _RIGHT = "client", "server"
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #1b1f24; background: #fff; }
table { border-collapse: collapse; width: 100%; }
td { padding: .15rem .5rem; vertical-align: top; }
td.time, td.number { color: #656d76; font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
td.message { border-left: 2px solid #8c959f; border-right: 2px solid #8c959f; width: 70%; }
td.from-server { text-align: right; }
td.phase { font-weight: 600; padding-top: .8rem; border-left: 2px solid #8c959f; border-right: 2px solid #8c959f; }
.layer { font-weight: 600; border-radius: .3rem; padding: 0 .3rem; background: #eef1f4; }
.arrow { color: #0969da; white-space: nowrap; }
.from-server .arrow { color: #8250df; }
details { color: #656d76; font-family: ui-monospace, monospace; font-size: 12px; word-break: break-all; }
summary { list-style: none; cursor: pointer; font-family: system-ui, sans-serif; }
"""


def text_ladder(lines: Sequence[MessageLine], began: int) -> Iterator[str]:
    """Yield the ladder line by line.

    Args:
        lines: the messages, in order.
        began: when the capture did, nanoseconds since 1970.
    """
    yield f"{'':>12} {_LEFT:<{_WIDTH // 2}}{_RIGHT:>{_WIDTH // 2}}"
    phases = _Phases()
    for line in lines:
        phase = phases.begins(line)
        if phase:
            yield f"{'':>12} |{f' {phase} ':-^{_WIDTH - 2}}|"
        seconds = (line.time - began) / NANOSECONDS
        words = f" {line.layer} {line.text}"
        for number, piece in enumerate(_pieces(words, _WIDTH - 8)):
            head = f"{seconds:>12.6f}" if number == 0 else " " * 12
            yield f"{head} |{_arrow(piece, line.from_client, first=number == 0)}|"


def html_ladder(lines: Sequence[MessageLine], began: int, title: str) -> str:
    """Return the ladder as one page that needs nothing else; each message opens to its octets."""
    rows = []
    phases = _Phases()
    for line in lines:
        phase = phases.begins(line)
        if phase:
            rows.append(f'<tr><td></td><td></td><td class="phase">{escape(phase)}</td></tr>')
        rows.append(_row(line, (line.time - began) / NANOSECONDS))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n<table>\n"
        f"<tr><td></td><td></td><td><b>{_LEFT}</b> <b style='float:right'>{_RIGHT}</b></td></tr>\n"
        + "\n".join(rows)
        + "\n</table>\n</html>\n"
    )


class _Phases:
    """Says where a phase begins; what belongs to an earlier one, an echo of LCP for example, begins none."""

    def __init__(self) -> None:
        self._reached = -1

    def begins(self, line: MessageLine) -> str:
        """Return the name of the phase that this message is the first of, or the empty string."""
        place = next((place for place, (layers, _) in enumerate(PHASES) if line.layer in layers), len(PHASES))
        if place == 0 and line.text.startswith(_OPENING):
            self._reached = -1
        if place <= self._reached:
            return ""
        self._reached = place
        return PHASES[place][1] if place < len(PHASES) else "Other protocols"


def _pieces(words: str, width: int) -> Iterator[str]:
    while len(words) > width:
        cut = words.rfind(" ", width // 2, width)
        cut = width if cut < 0 else cut
        yield words[:cut]
        words = "  " + words[cut:]
    yield words


def _arrow(words: str, from_client: bool | None, *, first: bool) -> str:
    room = _WIDTH - 2
    if not first:
        return f"{words:<{room}}" if from_client else f"{words:>{room}}"
    if from_client is None:
        return f"{words:<{room}}"
    line = "-" * max(room - len(words) - 3, 1)
    return f"{words} {line}> " if from_client else f" <{line}{words} "


def _row(line: MessageLine, seconds: float) -> str:
    side = "from-client" if line.from_client else "from-server"
    arrow = "&rarr;" if line.from_client else "&larr;"
    if line.from_client is None:
        arrow = "&middot;"
    where = STANDARDS.get(line.layer, "")
    number = "" if line.sequence is None else f"GRE sequence {line.sequence}; "
    details = f"{number}{escape(where)}; {len(line.octets)} octets<br>{line.octets.hex(' ')}"
    return (
        f'<tr><td class="number">{line.number}</td><td class="time">{seconds:.6f}</td>'
        f'<td class="message {side}"><details><summary><span class="arrow">{arrow}</span> '
        f'<span class="layer">{escape(line.layer)}</span> {escape(line.text)}</summary>{details}</details></td></tr>'
    )
