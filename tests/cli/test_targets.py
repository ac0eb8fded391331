from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pypptp.errors import ConfigurationError
from pypptp_cli.targets import require_own, resolve


def test_host_and_port() -> None:
    assert resolve("127.0.0.9") == (IPv4Address("127.0.0.9"), 1723)
    assert resolve("127.0.0.9:99") == (IPv4Address("127.0.0.9"), 99)
    assert resolve("localhost")[0] == IPv4Address("127.0.0.1")


@pytest.mark.parametrize("text", ["127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:²", "no host", "a" * 300])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError):
        resolve(text)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1"])
def test_who_is_near_is_ones_own(address: str) -> None:
    require_own(IPv4Address(address), False, "it is hostile")


@pytest.mark.parametrize("address", ["192.0.2.1", "172.32.0.1", "8.8.8.8"])
def test_others_must_be_named_twice(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"neither loopback .* it is hostile, so say --i-own-this-target"):
        require_own(IPv4Address(address), False, "it is hostile")
    require_own(IPv4Address(address), True, "it is hostile")
