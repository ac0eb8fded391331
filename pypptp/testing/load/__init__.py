"""Many sessions at once from one process, to see what a server of one's own bears: ``pypptp load``.

``figures`` is what is measured, ``generator`` does it.
"""

from pypptp.testing.load.figures import Phase, Report, Spread
from pypptp.testing.load.generator import Load, LoadPlan

__all__ = ["Load", "LoadPlan", "Phase", "Report", "Spread"]
