import pytest

from pypptp.net.namespaces import Namespace
from pypptp.net.nat import NatTable
from pypptp.net.snapshot import left_behind, take_snapshot


@pytest.mark.netns
def test_lines(host: Namespace) -> None:
    lines = host.run(take_snapshot)
    assert lines == sorted(lines)
    assert "interface eth0 mtu 1500" in lines
    assert "address 10.9.0.2/24 dev eth0" in lines
    assert "route 0.0.0.0/0 via 10.9.0.1 dev eth0 table 254 proto 80 type 1" in lines
    assert "ip_forward 0" in lines
    table = host.run(lambda: NatTable("eth0", [], tunnels="ppp%d"))
    assert "nftables table pypptp" in host.run(take_snapshot)
    table.remove()
    assert host.run(take_snapshot) == lines


def test_difference() -> None:
    assert left_behind(["a", "b"], ["b", "c"]) == ["+ c", "- a"]
    assert left_behind(["a"], ["a"]) == []
