"""One user's lines change, every other octet stays; a file is the old one or the new one."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pypptp.auth import secrets_editor as module
from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.auth.secrets_editor import (
    Edit,
    add_tunnel,
    add_user,
    change_secret,
    edit_file,
    remove_tunnel,
    remove_user,
)
from pypptp.errors import ConfigurationError

FILE = b"""# Secrets for authentication using CHAP
# client\tserver\tsecret\t\t\tIP addresses
root\tpptpd\t123456\t*   # the recipe's

"DOMAIN\\\\alice" * 'a b' 10.0.0.1   \r
  bob   *  old  !10.0.0.9 *
bob pptpd older * -- mtu 1300
carol * @/etc/carol *
# the end"""


def test_a_user_is_added_at_the_end() -> None:
    after = add_user("dave", "a secret", addresses=["10.0.0.4"])(FILE)
    assert after == FILE + b'\ndave\t*\t"a secret"\t10.0.0.4\n'
    assert add_user("dave", "x")(b"") == b"dave\t*\tx\t*\n"
    # The same user of another server is another line.
    assert add_user("bob", "x", server="gate")(FILE).endswith(b"\nbob\tgate\tx\t*\n")


def test_a_users_lines_are_removed_and_nothing_else() -> None:
    removed = remove_user("bob")(FILE)
    assert removed == FILE.replace(b"  bob   *  old  !10.0.0.9 *\n", b"").replace(
        b"bob pptpd older * -- mtu 1300\n", b""
    )
    assert b"bob   *" in remove_user("bob", server="pptpd")(FILE)
    assert remove_user("root")(b"\xef\xbb\xbfroot * x *\nbob * y *") == b"\xef\xbb\xbfbob * y *"
    assert remove_user("DOMAIN\\alice")(FILE) == FILE.replace(b"\"DOMAIN\\\\alice\" * 'a b' 10.0.0.1   \r\n", b"")
    # What a backslash joins to the user's line belongs to it.
    assert remove_user("a")(b"b * c *\na * x * \\\nroot * y *\n") == b"b * c *\n"
    assert remove_user("a")(b"a * 'two\nlines' *\nb * c *\n") == b"b * c *\n"


TUNNEL = b'\n# added by pptpsetup for test\nroot test "123456" *\n'


def test_a_connections_line_is_pptpsetups() -> None:
    assert add_tunnel("test", "root", "123456")(FILE) == FILE + b"\n" + TUNNEL
    assert add_tunnel("test", "root", "123456")(b"") == TUNNEL
    assert add_tunnel("test", "root", 'a "b" \\c')(b"").endswith(b'root test "a \\"b\\" \\\\c" *\n')
    assert add_tunnel("test", "root", f"nt:{'0' * 32}")(b"").endswith(b'"nt:' + b"0" * 32 + b'" *\n')


def test_a_connections_line_takes_the_place_of_the_one_before() -> None:
    once = add_tunnel("test", "root", "old")(FILE)
    assert add_tunnel("test", "root", "123456")(once) == FILE + b"\n" + TUNNEL
    # By hand, without the comment, and for somebody else than now.
    assert (
        add_tunnel("test", "root", "123456", former="bob")(b"bob test x *\nal test y *\n") == b"al test y *\n" + TUNNEL
    )


def test_a_connections_line_is_removed_with_what_is_above_it() -> None:
    whole = FILE + b"\n" + TUNNEL + b"# after\nlast * x *\n"
    assert remove_tunnel("test", None)(whole) == FILE + b"\n# after\nlast * x *\n"
    assert remove_tunnel("test", None)(TUNNEL + TUNNEL) == b""
    assert remove_tunnel("test", None)(TUNNEL[1:-1]) == b""
    # Without its comment it must be the user's; nobody else's line for that server is touched.
    assert remove_tunnel("pptpd", "bob")(FILE) == FILE.replace(b"bob pptpd older * -- mtu 1300\n", b"")
    assert remove_tunnel("pptpd", None)(FILE) == FILE
    # pptpsetup's comment for another connection is no reason, nor is the name elsewhere in a line.
    others = b'# added by pptpsetup for office\nroot office "test" *\n# added by pptpsetup for test\n# gone by hand\n'
    assert remove_tunnel("test", "root")(others) == others


def test_a_secret_is_changed_in_its_place() -> None:
    assert change_secret("root", "a # b")(FILE) == FILE.replace(b"123456", b'"a # b"')
    assert change_secret("bob", "new")(FILE) == FILE.replace(b"  old  ", b"  new  ").replace(b"older", b"new")
    assert change_secret("bob", "new", server="*")(FILE) == FILE.replace(b"  old  ", b"  new  ")
    assert change_secret("DOMAIN\\alice", "x")(FILE) == FILE.replace(b"'a b'", b"x")
    assert change_secret("carol", f"nt:{'0' * 32}")(FILE) == FILE.replace(b"@/etc/carol", b"nt:" + b"0" * 32)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (add_user("root", "x", server="pptpd"), "f:3: there is a line for this user and server already"),
        (remove_user("dave"), "f: there is no line for user 'dave'"),
        (remove_user("root", server="gate"), "f: there is no line for user 'root' of server 'gate'"),
        (change_secret("Root", "x"), "f: there is no line for user 'Root'"),
    ],
)
def test_what_is_not_possible(edit: Edit, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        edit(FILE)
    assert str(caught.value).replace("chap-secrets", "f").startswith(complaint)


@pytest.mark.parametrize(
    ("data", "edit"),
    [
        (b"root * x * \\\n", add_user("dave", "x")),
        (b"bob * x\\\n", remove_user("eve")),
    ],
)
def test_lines_that_hang_together_are_left_alone(data: bytes, edit: Edit) -> None:
    with pytest.raises(ConfigurationError):
        edit(data)


@pytest.mark.parametrize("name", ["", "*", "a\nb", "\x1b[31m"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigurationError):
        add_user(name, "x")


@pytest.mark.parametrize("secret", ["", "@/etc/passwd", f"nt:{'x' * 32}", "nt:", "a\nb", "a\0b", "x" * 257])
def test_secrets_that_are_none(secret: str) -> None:
    for make in (add_user, change_secret):
        with pytest.raises(ConfigurationError) as caught:
            make("dave", secret)
        assert len(secret) < 4 or secret not in str(caught.value)


def test_a_bad_file_is_not_touched() -> None:
    with pytest.raises(ConfigurationError, match=r"^f:1: a line needs at least three words"):
        add_user("dave", "x", source="f")(b"root\n")


NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=5), st.binary(max_size=20))
def test_others_never_change(users: list[tuple[str, str]], head: bytes) -> None:
    data = b"#" + head.replace(b"\n", b"").replace(b"\0", b"") + b"\nroot pptpd 123456 10.0.0.9\n"
    for name, secret in users:
        try:
            data = add_user(name, secret)(data)
        except ConfigurationError:
            continue
        assume("\ud800" not in name)
        found = parse_chap_secrets(data, read_file=lambda path: (b"x", [])).lookup(name, "pptpd")
        assert found is not None
        assert found.nt_hash is not None or found.password == secret
    for name, _ in users:
        try:
            data = change_secret(name, "changed")(data)
            data = remove_user(name)(data)
        except ConfigurationError:
            continue
    assert data.endswith(b"\nroot pptpd 123456 10.0.0.9\n")


@given(st.binary(max_size=80))
def test_anything_is_edited_or_refused(data: bytes) -> None:
    for edit in (add_user("a", "x"), remove_user("a"), change_secret("a", "y")):
        try:
            before = parse_chap_secrets(data, read_file=lambda path: (b"x", [])).entries
            after = parse_chap_secrets(edit(data), read_file=lambda path: (b"x", [])).entries
        except ConfigurationError:
            continue
        others = [[(e.client, e.server, e.addresses) for e in lines if e.client != "a"] for lines in (before, after)]
        assert others[0] == others[1]


# Files.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chap-secrets"
    path.write_bytes(FILE)
    path.chmod(0o640)
    return path


def test_a_file_keeps_its_mode_and_owner_and_leaves_nothing_beside_it(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    edit_file(path, add_user("dave", "x"))
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)
    assert after.st_ino != before.st_ino
    assert path.read_bytes() == FILE + b"\ndave\t*\tx\t*\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_one(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to("chap-secrets")
    edit_file(link, remove_user("root"))
    assert link.is_symlink()
    assert b"root" not in path.read_bytes()


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with pytest.raises(ConfigurationError, match="cannot be changed: No such file"):
        edit_file(path, add_user("dave", "x"))
    edit_file(path, add_user("dave", "x"), create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().endswith("IP addresses\ndave\t*\tx\t*\n")


def test_a_refused_edit_leaves_the_file_as_it_is(path: Path) -> None:
    before = path.stat()
    with pytest.raises(ConfigurationError):
        edit_file(path, remove_user("nobody"))
    assert path.stat() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_crash_half_way_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(ConfigurationError, match="cannot be changed: No space left on device"):
        edit_file(path, remove_user("root"))
    assert path.read_bytes() == FILE
    assert list(path.parent.iterdir()) == [path]


def test_somebody_elses_lock_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    with path.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="is being edited by another process"):
            edit_file(path, remove_user("root"))
        monkeypatch.setattr(module, "LOCK_SECONDS", 10.0)
        timer = threading.Timer(0.1, lambda: fcntl.flock(holder, fcntl.LOCK_UN))
        timer.start()
        edit_file(path, remove_user("root"))
        timer.join()
    assert b"root" not in path.read_bytes()


def test_many_at_once_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pypptp.auth.secrets_editor import add_user, edit_file\n"
        "for n in range(10): edit_file(Path(sys.argv[1]), add_user(f'{sys.argv[2]}{n}', 'x'))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, path, name]) for name in ("x", "y", "z")]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    entries = parse_chap_secrets(path.read_bytes(), read_file=lambda named: (b"x", [])).entries
    assert {entry.client for entry in entries} >= {f"{name}{n}" for name in "xyz" for n in range(10)}
    assert len(entries) == 5 + 30
