"""What scapy lacks of PPTP, registered when this is imported: MPPE, CCP, IPV6CP, LCP Identification, MS-CHAP's fields.

``PptpSession`` decrypts a stream of scapy packets, live or from a file, where the password is known.

scapy is licensed under the GPL, version 2 only, pypptp under MIT. Nothing else of pypptp imports this package or scapy;
a program that imports it and is given to others has to heed the GPL. It needs an extra, ``pypptp[testing]``.
"""

from pypptp.testing.scapy_layers.layers import (
    MPPE,
    PPP_CCP,
    PPP_IPV6CP,
    PPP_CCP_BSD_Option,
    PPP_CCP_Configure,
    PPP_CCP_Deflate_Option,
    PPP_CCP_MPPE_Option,
    PPP_CCP_Option,
    PPP_CCP_Stac_Option,
    PPP_IPV6CP_Interface_Identifier_Option,
    PPP_IPV6CP_Option,
    PPP_LCP_Identification,
    PPP_MSCHAP_Response,
    PPP_MSCHAPv2_Response,
)
from pypptp.testing.scapy_layers.session import PptpSession

__all__ = [
    "MPPE",
    "PPP_CCP",
    "PPP_IPV6CP",
    "PPP_CCP_BSD_Option",
    "PPP_CCP_Configure",
    "PPP_CCP_Deflate_Option",
    "PPP_CCP_MPPE_Option",
    "PPP_CCP_Option",
    "PPP_CCP_Stac_Option",
    "PPP_IPV6CP_Interface_Identifier_Option",
    "PPP_IPV6CP_Option",
    "PPP_LCP_Identification",
    "PPP_MSCHAP_Response",
    "PPP_MSCHAPv2_Response",
    "PptpSession",
]
