"""pypptp against the real pptpd, pppd and pptp-linux, in a guest with a kernel that has PPP."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.scenario", f"{__name__}.wire")
