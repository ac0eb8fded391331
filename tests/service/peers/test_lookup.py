"""Which connection a name means, and which there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.peers import NewConnection, Places, all_connections, create, find_connection

from .test_network_manager import OFFICE


@pytest.fixture
def places(tmp_path: Path) -> Places:
    keyfiles = tmp_path / "nm"
    keyfiles.mkdir()
    create(NewConnection(name="test", server="10.100.100.1", username="root", encrypt=True), "123456", tmp_path / "ppp")
    (tmp_path / "ppp/peers/modem").write_text("connect 'chat -f /etc/chat'\n/dev/ttyS0\n")
    (keyfiles / "1.nmconnection").write_text(OFFICE)
    (keyfiles / "1.nmconnection").chmod(0o600)
    return Places(
        peers=tmp_path / "ppp/peers",
        system_options=None,
        secrets=tmp_path / "ppp/chap-secrets",
        network_manager=(keyfiles,),
        host_name="box",
    )


def test_a_peers_file(places: Places) -> None:
    found = find_connection("test", places)
    assert (found.name, found.source, found.server, found.user) == ("test", "pppd", "10.100.100.1", "root")


def test_a_keyfile_by_its_id(places: Places) -> None:
    found = find_connection("Head office", places)
    assert (found.source, found.server, found.user) == ("NetworkManager", "vpn.example.com", "EXAMPLE\\alice")


def test_a_peers_file_goes_before_a_keyfile(places: Places) -> None:
    path = places.network_manager[0] / "1.nmconnection"
    path.write_text(OFFICE.replace("Head office", "test"))
    assert find_connection("test", places).source == "pppd"


@pytest.mark.parametrize(("name", "near"), [("tset", "test"), ("head office", "Head office"), ("zzz", None)])
def test_none(places: Places, name: str, near: str | None) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no connection '{name}'") as caught:
        find_connection(name, places)
    assert ("did you mean" in str(caught.value)) == (near is not None)
    assert near is None or near in str(caught.value)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../chap-secrets", "a/../../x", "x\0"])
def test_what_is_no_name(places: Places, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a connection"):
        find_connection(name, places)


def test_a_modems_connection_is_told_apart(places: Places) -> None:
    with pytest.raises(ConfigurationError, match="this is no PPTP connection"):
        find_connection("modem", places)


def test_a_keyfile_that_others_can_read_is_named_by_its_file(places: Places) -> None:
    path = places.network_manager[0] / "1.nmconnection"
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        find_connection("1", places)


def test_all_of_them(places: Places) -> None:
    (places.peers / "broken").write_text("pty 'pptp 10.0.0.1'\nmtu x\n")
    found, troubles = all_connections(places)
    assert [(connection.name, connection.source) for connection in found] == [
        ("Head office", "NetworkManager"),
        ("test", "pppd"),
    ]
    assert troubles == [f"{places.peers}/broken:2: mtu: 'x' is not a whole number"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed(places: Places) -> None:
    places.network_manager[0].chmod(0)
    found, troubles = all_connections(places)
    places.network_manager[0].chmod(0o700)
    assert [connection.name for connection in found] == ["test"]
    assert troubles == [f"{places.network_manager[0]} cannot be read: Permission denied"]


def test_a_machine_without_any(tmp_path: Path) -> None:
    assert all_connections(Places(peers=tmp_path / "no", network_manager=(tmp_path / "nor",))) == ([], [])
