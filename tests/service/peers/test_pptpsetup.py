"""What ``pypptp setup`` writes and takes away, beside what pptpsetup does."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypptp.auth.chap_secrets import read_chap_secrets
from pypptp.errors import ConfigurationError
from pypptp.service.peers import NewConnection, create, delete
from tests.conftest import VECTORS

RECORDED = VECTORS / "pptpsetup"
HEADER = "# Secrets for authentication using CHAP\n# client\tserver\tsecret\t\t\tIP addresses\n"
RECIPE = NewConnection(name="test", server="10.100.100.1", username="root", encrypt=True)
CLEAR = NewConnection(name="office", server="vpn.example.com", username="alice")
DOMAIN = NewConnection(name="work", server="10.0.0.1", username="alice", domain="EXAMPLE", encrypt=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chap-secrets").write_text(HEADER)
    (tmp_path / "chap-secrets").chmod(0o600)
    return tmp_path


def secrets(folder: Path) -> str:
    return (folder / "chap-secrets").read_text()


@pytest.mark.parametrize(
    ("recorded", "connection", "password"), [("recipe", RECIPE, "123456"), ("clear", CLEAR, "wonder land")]
)
def test_every_octet_is_pptpsetups(folder: Path, recorded: str, connection: NewConnection, password: str) -> None:
    create(connection, password, folder)
    for name, path in (
        (connection.name, folder / "peers" / connection.name),
        ("chap-secrets", folder / "chap-secrets"),
    ):
        assert path.read_bytes() == (RECORDED / recorded / name).read_bytes()


def test_a_password_that_was_asked_for_has_no_line_end_in_it(folder: Path) -> None:
    create(NewConnection(name="test", server="10.100.100.1", username="root"), "hunter2", folder)
    assert (folder / "peers/test").read_bytes() == (RECORDED / "prompt/test").read_bytes()
    recorded = (RECORDED / "prompt/chap-secrets").read_text()
    assert recorded.count("\\x0a") == 1
    assert secrets(folder) == recorded.replace("\\x0a", "")


def test_a_domain_is_written_so_that_pppd_reads_it(folder: Path) -> None:
    create(DOMAIN, "s3cret", folder)
    for name, path in (("work", folder / "peers/work"), ("chap-secrets", folder / "chap-secrets")):
        recorded = (RECORDED / "domain" / name).read_text()
        assert recorded.count("EXAMPLE\\alice") == 1
        assert path.read_text() == recorded.replace("EXAMPLE\\alice", '"EXAMPLE\\\\alice"')
    assert read_chap_secrets(folder / "chap-secrets").entries[0].client == "EXAMPLE\\alice"


@pytest.mark.parametrize("password", ['say "hi"', "back\\slash", "wörld", "#1", "nt:short"[3:], " "])
def test_a_password_comes_back(folder: Path, password: str) -> None:
    create(RECIPE, password, folder)
    assert read_chap_secrets(folder / "chap-secrets").entries[0].password == password


def test_modes_and_a_machine_without_pppd(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "ppp"
    create(RECIPE, "123456", folder)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("peers", "peers/test", "chap-secrets")}
    assert modes == {"peers": 0o750, "peers/test": 0o640, "chap-secrets": 0o600}
    assert secrets(folder) == (RECORDED / "recipe/chap-secrets").read_text()


def test_once_more_replaces(folder: Path) -> None:
    create(RECIPE, "123456", folder)
    done = create(NewConnection(name="test", server="10.0.0.9", username="admin"), "another", folder)
    assert done[0] == f"{folder}/peers/test replaced"
    assert secrets(folder) == f'{HEADER}\n# added by pptpsetup for test\nadmin test "another" *\n'
    assert "10.0.0.9" in (folder / "peers/test").read_text()
    assert "require-mppe" not in (folder / "peers/test").read_text()


def test_what_pptpsetup_wrote_twice_goes_whole(folder: Path) -> None:
    twice = '\n# added by pptpsetup for test\nroot test "123456" *\n' * 2
    (folder / "chap-secrets").write_text(HEADER + twice)
    (folder / "peers").mkdir()
    (folder / "peers/test").write_bytes(RECIPE.peer_file)
    create(RECIPE, "new", folder)
    assert secrets(folder) == f'{HEADER}\n# added by pptpsetup for test\nroot test "new" *\n'


def test_delete_takes_back_what_create_did(folder: Path) -> None:
    create(RECIPE, "123456", folder)
    assert delete("test", folder) == [
        f"{folder}/peers/test deleted",
        f"its line taken out of {folder}/chap-secrets",
    ]
    assert secrets(folder) == HEADER
    assert list((folder / "peers").iterdir()) == []


def test_delete_leaves_everybody_else(folder: Path) -> None:
    # pptpsetup would take every one of these lines, since "test" is a word in them.
    others = '# the test bed\nalice pptpd "a test" *\nbob test secret *\n'
    (folder / "chap-secrets").write_text(HEADER + others)
    create(RECIPE, "123456", folder)
    create(CLEAR, "wonder land", folder)
    delete("test", folder)
    assert secrets(folder) == f'{HEADER}{others}\n# added by pptpsetup for office\nalice office "wonder land" *\n'


def test_delete_of_what_pptpsetup_wrote_with_a_domain(folder: Path) -> None:
    (folder / "peers").mkdir()
    for name, path in (("work", folder / "peers/work"), ("chap-secrets", folder / "chap-secrets")):
        path.write_bytes((RECORDED / "domain" / name).read_bytes())
    delete("work", folder)
    assert secrets(folder) == HEADER


def test_somebodys_own_file_is_not_written_over(folder: Path) -> None:
    (folder / "peers").mkdir()
    (folder / "peers/test").write_text("pty 'pptp 10.0.0.1'\n")
    with pytest.raises(ConfigurationError, match="was not written by pptpsetup"):
        create(RECIPE, "123456", folder)
    assert secrets(folder) == HEADER


def test_nothing_is_half_done(folder: Path) -> None:
    (folder / "chap-secrets").write_text('root pptpd "open\n')
    with pytest.raises(ConfigurationError, match="quote"):
        create(RECIPE, "123456", folder)
    assert list((folder / "peers").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../x", "a b", ".x", "x.", "a/b", "-x", "ä", "x" * 65, "x\n"])
def test_names_that_are_none(folder: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name for a connection"):
        NewConnection(name=name, server="10.0.0.1", username="root")
    with pytest.raises(ConfigurationError, match="no name for a connection"):
        delete(name, folder)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"server": "10.0.0.1 --phone 1"}, "--server: "),
        ({"server": '"; rm x; "'}, "--server: "),
        ({"username": "a\nb"}, "--username: holds a control character"),
        ({"username": ""}, "--username: is empty"),
        ({"domain": "a\x07"}, "--domain: "),
    ],
)
def test_what_no_file_could_hold(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        replace(RECIPE, **changes)


def test_deleting_what_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no connection 'test'"):
        delete("test", folder)
