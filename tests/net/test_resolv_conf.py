"""/etc/resolv.conf and its folder stand in for in a folder of the test's own; the processes that die are real ones."""

import ctypes
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypptp.errors import NetworkError
from pypptp.net import resolv_conf
from pypptp.net.edge import Recovery
from pypptp.net.namespaces import Namespace
from pypptp.net.resolv_conf import FileState, pop, push, read_state, recover

FIRST, SECOND, THIRD = ((IPv4Address(f"192.168.{number}.1"),) for number in (1, 2, 3))
BEFORE = b"# by hand\nnameserver 192.0.2.53\nsearch example.test\noptions edns0\nnameserver 192.0.2.54"
MS_BIND = 0x1000


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for /etc; its resolv.conf is a file."""
    etc = tmp_path / "etc"
    etc.mkdir()
    monkeypatch.setattr(resolv_conf, "RESOLV_CONF", etc / "resolv.conf")
    monkeypatch.setattr(resolv_conf, "STATE_FOLDER", tmp_path / "pypptp")
    (etc / "resolv.conf").write_bytes(BEFORE)
    return etc


def asked() -> list[str]:
    lines = resolv_conf.RESOLV_CONF.read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


def left() -> list[str]:
    folder = resolv_conf.STATE_FOLDER / "resolv.conf"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def whole(state: FileState) -> tuple[object, ...]:
    """All of it; the time of access moves when somebody reads."""
    return (state, state.times[1], dict(state.attributes))


def recovered(*, dry_run: bool = False) -> Recovery:
    recovery = Recovery()
    recover(recovery, dry_run=dry_run)
    return recovery


# What was there.


def a_file(path: Path) -> None:
    path.chmod(0o640)
    os.utime(path, ns=(1_000_000_000_000_000_001, 1_000_000_000_000_000_002))
    if os.geteuid() == 0:
        os.chown(path, 13, 17)
    try:
        os.setxattr(path, "user.origin", b"by hand\0")
    except OSError:
        pass  # a file system without


def a_link(path: Path) -> None:
    path.with_name("kept.conf").write_bytes(BEFORE)
    path.unlink()
    path.symlink_to("kept.conf")
    os.utime(path, ns=(5, 1_000_000_000_000_000_003), follow_symlinks=False)


def a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def nothing(path: Path) -> None:
    path.unlink()


def no_text(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("make", [a_file, a_link, a_link_to_nowhere, nothing, no_text])
@pytest.mark.parametrize("by", ["pop", "recover"])
def test_what_was_there_comes_back_exactly(etc: Path, make: Callable[[Path], None], by: str) -> None:
    path = etc / "resolv.conf"
    make(path)
    before, names = read_state(path), sorted(etc.iterdir())
    layer = push("ppp0", (*FIRST, *SECOND), instance="client")
    assert asked() == ["192.168.1.1", "192.168.2.1"]
    assert read_state(path).mode == 0o644
    if by == "pop":
        pop(layer)
    else:
        layer.close()
        assert len(recovered().taken_back) == 1
    assert whole(read_state(path)) == whole(before)
    assert sorted(etc.iterdir()) == names
    assert left() == []


def test_a_target_is_never_written_to(etc: Path) -> None:
    path = etc / "resolv.conf"
    a_link(path)
    target = read_state(etc / "kept.conf")
    pop(push("ppp0", FIRST, instance="client"))
    assert whole(read_state(etc / "kept.conf")) == whole(target)


@pytest.mark.parametrize("make", [a_file, a_link])
def test_other_settings_of_the_resolver_stay_and_people_are_told(etc: Path, make: Callable[[Path], None]) -> None:
    make(etc / "resolv.conf")
    layer = push("vpn7", FIRST, instance="client")
    lines = (etc / "resolv.conf").read_text().splitlines()
    assert "vpn7" in lines[0]
    assert "pypptp undo" in lines[1]
    assert lines[2:] == ["search example.test", "options edns0", "nameserver 192.168.1.1"]
    pop(layer)


# Several at once.


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("killed", [None, 0, 1, 2])
def test_the_last_that_came_is_on_top_and_any_order_comes_back(
    etc: Path, order: tuple[int, ...], killed: int | None
) -> None:
    path = etc / "resolv.conf"
    a_file(path)
    before = read_state(path)
    servers = [FIRST, SECOND, THIRD]
    layers = [push(f"ppp{number}", given, instance="client") for number, given in enumerate(servers)]
    there = [0, 1, 2]
    for number in order:
        assert asked() == [str(servers[there[-1]][0])]
        if number == killed:
            layers[number].close()
            assert len(recovered().taken_back) == 1
        else:
            pop(layers[number])
        there.remove(number)
    assert whole(read_state(path)) == whole(before)
    assert left() == []


def test_a_living_ones_layer_is_left_alone(etc: Path) -> None:
    layer = push("ppp0", FIRST, instance="client")
    recovery = recovered()
    assert recovery.taken_back == []
    assert recovery.left == [
        f"name servers 192.168.1.1 for ppp0 in {etc / 'resolv.conf'}, of pid {os.getpid()} (client), which is running"
    ]
    assert asked() == ["192.168.1.1"]
    pop(layer)


def test_a_dead_ones_layer_goes_when_the_next_comes(etc: Path) -> None:
    push("ppp0", FIRST, instance="client").close()
    layer = push("ppp0", SECOND, instance="client")
    assert recovered().taken_back == []
    pop(layer)
    assert (etc / "resolv.conf").read_bytes() == BEFORE
    assert left() == []


# Others.


OTHERS = b"# Generated by NetworkManager\nnameserver 198.51.100.53\n"


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(etc: Path) -> None:
    layer = push("ppp0", FIRST, instance="client")
    (etc / "resolv.conf").write_bytes(OTHERS)
    with pytest.raises(NetworkError, match="changed by somebody else meanwhile, it is left as it is"):
        pop(layer)
    assert (etc / "resolv.conf").read_bytes() == OTHERS
    assert left() == []


def test_what_somebody_put_back_already_needs_no_word(etc: Path) -> None:
    layer = push("ppp0", FIRST, instance="client")
    (etc / "resolv.conf").write_bytes(BEFORE)
    pop(layer)
    assert (etc / "resolv.conf").read_bytes() == BEFORE
    assert left() == []


def test_somebody_elses_change_is_what_a_later_one_comes_back_to(etc: Path) -> None:
    first = push("ppp0", FIRST, instance="client")
    (etc / "resolv.conf").write_bytes(OTHERS)
    second = push("ppp1", SECOND, instance="client")
    assert asked() == ["192.168.2.1"]
    pop(first)
    assert asked() == ["192.168.2.1"]
    pop(second)
    assert (etc / "resolv.conf").read_bytes() == OTHERS
    assert left() == []


def test_an_undo_says_whose_change_it_left(etc: Path) -> None:
    push("ppp0", FIRST, instance="client").close()
    (etc / "resolv.conf").write_bytes(OTHERS)
    recovery = recovered()
    assert recovery.errors == [f"{etc / 'resolv.conf'} was changed by somebody else meanwhile, it is left as it is"]
    assert (etc / "resolv.conf").read_bytes() == OTHERS
    assert recovered() == Recovery()


# Killed.

KILL = """
import os, sys
from ipaddress import IPv4Address
from pathlib import Path
from pypptp.net import resolv_conf
etc, state, what, number, moment = sys.argv[1:]
resolv_conf.RESOLV_CONF, resolv_conf.STATE_FOLDER = Path(etc) / "resolv.conf", Path(state)
calls = 0
def doom(where, name):
    original = getattr(where, name)
    def counted(*arguments, **options):
        global calls
        calls += 1
        if calls == int(number) and moment == "before":
            os.kill(os.getpid(), 9)
        result = original(*arguments, **options)
        if calls == int(number):
            os.kill(os.getpid(), 9)
        return result
    setattr(where, name, counted)
doom(resolv_conf if what == "_write_whole" else resolv_conf._Stack, what)
layer = resolv_conf.push("ppp0", [IPv4Address("192.168.1.1")], instance="client")
resolv_conf.pop(layer)
"""
POINTS = [
    *("_keep:1:before", "_keep:1:after"),
    *("_write_whole:1:before", "_write_whole:2:before", "_write_whole:2:after"),
    *("_write_whole:3:before", "_write_whole:3:after", "_put:1:after"),
    *("_restore:1:before", "_write_whole:4:before", "_write_whole:4:after", "_put:2:after", "_forget:1:before"),
]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("by", ["recover", "push"])
def test_killed_at_any_point(etc: Path, point: str, by: str) -> None:
    path = etc / "resolv.conf"
    a_file(path)
    before, names = read_state(path), sorted(etc.iterdir())
    arguments = [str(etc), str(resolv_conf.STATE_FOLDER), *point.split(":")]
    done = subprocess.run([sys.executable, "-c", KILL, *arguments], check=False, timeout=30)
    assert done.returncode == -9
    if by == "push":
        pop(push("ppp1", SECOND, instance="client"))
    assert recovered().errors == []
    assert whole(read_state(path)) == whole(before)
    assert sorted(etc.iterdir()) == names
    assert left() == []


def test_a_dry_run_only_says_so(etc: Path) -> None:
    push("ppp0", FIRST, instance="client").close()
    for _ in range(2):
        assert recovered(dry_run=True).taken_back == [
            f"name servers 192.168.1.1 for ppp0 in {etc / 'resolv.conf'}, of pid {os.getpid()} (client)"
        ]
    assert asked() == ["192.168.1.1"]


def test_another_boot_and_another_namespace_do_not_matter(etc: Path) -> None:
    """The file is on a disk, and there is one for all network namespaces."""
    push("ppp0", FIRST, instance="client").close()
    (name,) = [name for name in left() if name.endswith(".layer")]
    file = resolv_conf.STATE_FOLDER / "resolv.conf" / name
    fields = json.loads(file.read_bytes())
    file.write_text(json.dumps(fields | {"boot": "another", "namespace": [1, 2, 3], "pid": 1}))
    assert len(recovered().taken_back) == 1
    assert (etc / "resolv.conf").read_bytes() == BEFORE


# What cannot be.


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_octets_in_the_folder_raise(etc: Path, original: bytes, layer: bytes) -> None:
    (etc / "resolv.conf").write_bytes(BEFORE)
    folder = resolv_conf.STATE_FOLDER / "resolv.conf"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "etc.original").write_bytes(original)
    (folder / "etc-000001-1-00000000.layer").write_bytes(layer)
    assert len(recovered().taken_back) == 1
    pop(push("ppp0", FIRST, instance="client"))
    assert (etc / "resolv.conf").read_bytes() == BEFORE


def test_a_folder_that_others_can_write_to_is_not_believed(etc: Path) -> None:
    push("ppp0", FIRST, instance="client").close()
    (resolv_conf.STATE_FOLDER / "resolv.conf").chmod(0o777)
    assert "open to others" in recovered().errors[0]
    with pytest.raises(NetworkError, match="open to others"):
        push("ppp1", SECOND, instance="client")
    assert asked() == ["192.168.1.1"]


def test_no_folder_is_nothing_to_do(etc: Path) -> None:
    assert recovered() == Recovery()
    assert left() == []


def test_a_file_that_cannot_be_replaced_is_a_sentence(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(resolv_conf._Stack, "_put", refuse)
    with pytest.raises(NetworkError, match=r"cannot change .*resolv\.conf: Operation not permitted"):
        push("ppp0", FIRST, instance="client")
    assert left() == []
    assert (etc / "resolv.conf").read_bytes() == BEFORE


def test_a_folder_in_its_place_is_a_sentence(etc: Path) -> None:
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").mkdir()
    with pytest.raises(NetworkError, match="cannot change"):
        push("ppp0", FIRST, instance="client")


@pytest.mark.netns
def test_a_mount_point_is_written_in_place(etc: Path) -> None:
    """As in a container, whose resolv.conf nobody can rename away."""
    path = etc / "resolv.conf"
    mounted = etc / "of the host"
    mounted.write_bytes(BEFORE)
    a_file(mounted)

    def inside() -> None:
        assert ctypes.CDLL(None).mount(bytes(mounted), bytes(path), None, MS_BIND, None) == 0
        before = read_state(path)
        layer = push("ppp0", FIRST, instance="client")
        assert asked() == ["192.168.1.1"]
        assert mounted.stat().st_ino == path.stat().st_ino
        assert all(name.startswith("mount-") for name in left())
        pop(layer)
        assert whole(read_state(path)) == whole(before)

    with Namespace("container") as container:
        container.run(inside, own_sysfs=True)
    assert path.read_bytes() == BEFORE
    assert left() == []
