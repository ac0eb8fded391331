"""What a server says of itself and would agree to, asked politely: ``pypptp probe``.

``findings`` is what was found, ``asking`` asks.
"""

from pypptp.testing.probe.asking import probe
from pypptp.testing.probe.findings import Findings

__all__ = ["Findings", "probe"]
