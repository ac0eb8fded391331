"""``pypptp doctor``: what keeps a tunnel from working, in plain sentences with a cure for each.

Looking (``machine``, ``dialler``, ``trial``, pypptp.net.firewall) is apart from judging (``surroundings``,
``firewall``, ``packet_filter``, ``way``, ``path_mtu``), so that judging needs no machine that is ill. What can be had
by trying is tried; what cannot be told is said to be so.
"""

from pypptp.service.doctor.examination import Question, examine
from pypptp.service.doctor.finding import Finding, Mark

__all__ = ["Finding", "Mark", "Question", "examine"]
