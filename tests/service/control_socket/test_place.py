from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.service.control_socket.place import (
    Place,
    Taken,
    connect,
    control_folder,
    is_name,
    name_from,
    names_in,
    opened_folder,
    process_behind,
    remove_all_dead,
    remove_dead,
)


def reach(name: str) -> tuple[int, int]:
    with opened_folder(create=False) as folder, connect(folder, name, 1.0) as connection:
        return process_behind(connection)


def test_a_place_is_the_owners_alone_and_goes_with_it() -> None:
    place = Place("server")
    path = control_folder() / "server.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert reach("server") == (os.getpid(), os.geteuid())
    place.leave()
    place.leave()
    assert list(path.parent.iterdir()) == []


def test_a_long_path_is_no_trouble(tmp_path: Path) -> None:
    assert len(str(control_folder() / ("n" * 64 + ".sock"))) > 108
    place = Place("n" * 64)
    assert reach("n" * 64)[0] == os.getpid()
    place.leave()


def test_who_lives_keeps_the_name() -> None:
    first = Place("server")
    with pytest.raises(Taken) as caught:
        Place("server")
    assert caught.value.process == os.getpid()
    second = Place("server", spare="server-7")
    assert second.name == "server-7"
    with pytest.raises(Taken):
        Place("server", spare="server-7")
    with opened_folder(create=False) as folder:
        assert names_in(folder) == ["server", "server-7"]
    second.leave()
    first.leave()


def test_one_whose_backlog_is_full_lives() -> None:
    place = Place("server")
    waiting = []
    with opened_folder(create=False) as folder:
        for _ in range(100):
            try:
                waiting.append(connect(folder, "server", 0.0))
            except BlockingIOError:
                break
    with pytest.raises(Taken):
        Place("server")
    for connection in waiting:
        connection.close()
    place.leave()


@pytest.mark.parametrize("kind", ["a dead socket", "a datagram socket", "a file"])
def test_what_a_killed_process_left_is_replaced(kind: str) -> None:
    Place("server").leave()
    path = control_folder() / "server.sock"
    if kind == "a file":
        path.write_text("")
    else:
        left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind == "a dead socket" else socket.SOCK_DGRAM)
        before = Path.cwd()
        os.chdir(path.parent)
        left.bind(path.name)
        os.chdir(before)
        if kind == "a dead socket":
            left.close()
    place = Place("server")
    assert reach("server")[0] == os.getpid()
    place.leave()
    if kind == "a datagram socket":
        left.close()


def test_what_took_the_place_meanwhile_stays() -> None:
    place = Place("server")
    path = control_folder() / "server.sock"
    path.unlink()
    other = Place("server")
    place.leave()
    assert reach("server")[0] == os.getpid()
    other.leave()


@pytest.mark.parametrize(("folder", "mode"), [("control", 0o750), ("control", 0o701), (".", 0o775), (".", 0o757)])
def test_a_folder_open_to_others_is_refused(folder: str, mode: int) -> None:
    Place("server").leave()
    (control_folder() / ".." / ("control" if folder == "control" else ".")).chmod(mode)
    with pytest.raises(NetworkError, match="is open to others"):
        Place("server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize("folder", ["control", "."])
def test_a_folder_of_somebody_else_is_refused(folder: str) -> None:
    Place("server").leave()
    os.chown(control_folder() / ".." / ("control" if folder == "control" else "."), 65_534, 65_534)
    with pytest.raises(NetworkError, match="belongs to user 65534"):
        Place("server")


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    Place("server").leave()
    control_folder().rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    control_folder().symlink_to(elsewhere)
    with pytest.raises(OSError, match="control"):
        Place("server")


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "a/b", "-x", ".x", "x" * 65, "ä", "a b", "a\n"])
def test_no_name(text: str) -> None:
    assert not is_name(text)


@given(st.text())
def test_a_name_is_made_of_anything(text: str) -> None:
    assert is_name(name_from(text))
    assert name_from(name_from(text)) == name_from(text)


def test_every_dead_one_is_removed() -> None:
    remove_all_dead()  # without a folder
    living, *dead = (Place(name) for name in ("server", "client", "office"))
    for place in dead:
        place.socket.close()
    remove_all_dead()
    assert [path.name for path in control_folder().glob("*.sock")] == ["server.sock"]
    living.leave()


def test_only_what_is_dead_is_removed() -> None:
    place = Place("server")
    path = control_folder() / "server.sock"
    remove_dead("server")
    assert path.exists()
    place.socket.close()
    remove_dead("server")
    assert not path.exists()
    for name in ("server", "../server", "never"):
        remove_dead(name)
