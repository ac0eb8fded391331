from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pypptp.errors import ConfigurationError
from pypptp.service.legacy import read_pptpd_conf
from pypptp.service.settings import ServerSettings, make_settings
from pypptp.service.toml_file import parse_toml
from pypptp_cli.convert import convert


def test_what_it_writes_makes_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "o").write_text("require-mschap-v2\nname gate\nproxyarp\ndefaultroute\nms-dns 9.9.9.9\nmtu 1300\n")
    (tmp_path / "chap-secrets").write_text("root * 123456 *\n")
    path = tmp_path / "pptpd.conf"
    path.write_text(f"option {tmp_path}/o\nlocalip 10.0.0.1\nremoteip 10.0.0-3.7\n")
    words = [str(path), "--options", "none", "--secrets", f"{tmp_path}/chap-secrets"]
    result = CliRunner().invoke(convert, words, standalone_mode=False)
    assert result.exception is None
    assert [line.partition(": warning: ")[2][:20] for line in result.stderr.splitlines()] == [
        "'defaultroute' is no",
        "there is no require-",
    ]
    old = read_pptpd_conf(path, system_options=None, secrets=tmp_path / "chap-secrets")
    settings = make_settings(ServerSettings, {}, old.values)
    assert make_settings(ServerSettings, {}, parse_toml(result.stdout.encode(), ServerSettings)) == settings
    assert settings.proxy_arp
    assert settings.remote == "10.0.0.7,10.0.1.7,10.0.2.7,10.0.3.7"


def test_nothing_is_written_that_no_server_starts_with(tmp_path: Path) -> None:
    path = tmp_path / "pptpd.conf"
    path.write_text("localip 10.0.0.1\nremoteip 10.0.0.1\n")
    result = CliRunner().invoke(convert, [str(path), "--options", "none"], standalone_mode=False)
    assert isinstance(result.exception, ConfigurationError)
    assert result.stdout == ""


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="/nowhere cannot be read"):
        CliRunner().invoke(convert, ["/nowhere"], standalone_mode=False, catch_exceptions=False)
