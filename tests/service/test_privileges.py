"""How a server gives up its rights; tests/netns/test_run_as.py shows that it serves without."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from pypptp.errors import ConfigurationError
from pypptp.service.privileges import separated
from tests.service.running import server_settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

DROP = """
import os, pwd, sys
from pypptp.errors import NetworkError
from pypptp.service import privileges
keep = sys.argv[1]
if keep == "readable":
    privileges.__file__ = "/etc/shadow"
try:
    privileges.drop_privileges(pwd.getpwnam("nobody"))
except NetworkError as error:
    print(error)
    sys.exit()
print(os.getresuid(), os.getresgid(), os.getgroups(), privileges.capabilities(), os.environ["USER"])
for back in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: open("/etc/shadow").read()):
    try:
        back()
        print("got back")
    except PermissionError:
        pass
"""


def drop(keep: str = "") -> str:
    # The interpreter of the tests may be in root's home, where nobody could read it.
    code = (
        f"import os; real = os.access; os.access = lambda path, mode: path != '/etc/shadow' or real(path, mode)\n{DROP}"
    )
    command = [sys.executable, "-c", code, keep]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@needs_root
def test_there_is_no_way_back() -> None:
    nobody = pwd.getpwnam("nobody")
    uid, gid = nobody.pw_uid, nobody.pw_gid
    assert drop() == f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) [] 0 nobody\n"


@needs_root
def test_a_user_who_cannot_read_the_program() -> None:
    assert drop("readable").startswith("run-as: nobody may not read /etc/shadow: install Python and pypptp where")


def test_no_such_user() -> None:
    with pytest.raises(ConfigurationError, match="no user 'no-such-user'; 'systemd-sysusers' or"):
        separated(server_settings(run_as="no-such-user")).__enter__()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_only_root_can() -> None:
    with pytest.raises(ConfigurationError, match="only root can become somebody else"):
        separated(server_settings(run_as="root")).__enter__()
