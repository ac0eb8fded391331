import asyncio
import errno
import socket
import struct

import pytest

from pypptp.errors import NetworkError
from pypptp.net import netlink as module
from pypptp.net.links import RTM_GETLINK, RTM_NEWLINK
from pypptp.net.namespaces import Namespace
from pypptp.net.netlink import NLM_F_DUMP, NetlinkSocket, ifinfmsg, refused


def _names(netlink: NetlinkSocket) -> list[str]:
    return [link.get_attr("IFLA_IFNAME") for link in netlink.request(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP)]


def test_dump_without_any_right() -> None:
    with NetlinkSocket() as netlink:
        assert "lo" in _names(netlink)
        assert "lo" in _names(netlink)


def test_it_works_where_an_event_loop_runs() -> None:
    async def main() -> list[str]:
        with NetlinkSocket() as netlink:
            return _names(netlink)

    assert "lo" in asyncio.run(main())


def test_it_can_be_closed_in_another_thread() -> None:
    async def main() -> None:
        netlink = await asyncio.to_thread(NetlinkSocket)
        assert "lo" in await asyncio.to_thread(_names, netlink)
        netlink.close()

    asyncio.run(main())


def test_unwanted_replies_are_not_decoded() -> None:
    seen = []

    def wanted(body: bytes) -> bool:
        seen.append(body)
        return False

    with NetlinkSocket() as netlink:
        assert netlink.request(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP, wanted=wanted) == []
    assert seen


def test_a_refusal_is_an_oserror_and_the_socket_goes_on() -> None:
    message = ifinfmsg()
    message["index"] = 2**31 - 1
    with NetlinkSocket() as netlink:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is looked at below
            netlink.request(message, RTM_GETLINK)
        assert caught.value.errno == errno.ENODEV
        assert "lo" in _names(netlink)


@pytest.mark.netns
def test_the_kernels_own_words() -> None:
    message = ifinfmsg()
    message["index"] = 1
    message["attrs"] = [("IFLA_MTU", 1)]

    def act() -> str:
        names = ifinfmsg()
        names["attrs"] = [("IFLA_IFNAME", "none-such")]
        with NetlinkSocket() as netlink, pytest.raises(OSError) as caught:  # noqa: PT011
            netlink.request(names, RTM_NEWLINK)
        return str(caught.value.strerror)

    with Namespace("host") as host:
        assert host.run(act)


@pytest.mark.parametrize("capped", [True, False])
def test_extended_acknowledgement(capped: bool) -> None:
    text = b"mtu less than device minimum\0"
    request = struct.pack("=IHHII", 16 + 8, 16, 0, 1, 0) + (b"" if capped else bytes(8))
    attribute = struct.pack("=HH", 4 + len(text), 1) + text
    flags = module._NLM_F_ACK_TLVS | (module._NLM_F_CAPPED if capped else 0)
    body = struct.pack("=i", -errno.EINVAL) + request + attribute
    assert module._kernels_words(body, 2, flags) == "mtu less than device minimum"
    for cut in range(len(body)):
        module._kernels_words(body[:cut], 2, flags)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EPERM, "not allowed to add a route: run as root or give the process CAP_NET_ADMIN"),
        (errno.EPROTONOSUPPORT, "cannot add a route: this kernel offers no such netlink socket"),
        (errno.EINVAL, "cannot add a route: no such thing"),
    ],
)
def test_refused(code: int, words: str) -> None:
    error = refused("add a route", OSError(code, "no such thing"))
    assert isinstance(error, NetworkError)
    assert str(error) == words


def test_close_on_exec() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert not netlink._socket.get_inheritable()
