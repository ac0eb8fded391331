"""What is read from files: captures, secrets, and every kind of configuration."""

from __future__ import annotations

from pathlib import Path

from pypptp.auth.chap_secrets import parse_chap_secrets
from pypptp.auth.words import split_words
from pypptp.capture.credentials import Credentials
from pypptp.capture.decoding import decode
from pypptp.capture.pcap_file import Capture, CaptureError
from pypptp.errors import ConfigurationError
from pypptp.net.journal import parse as parse_journal
from pypptp.service.legacy import interpret_pptpd_conf
from pypptp.service.settings import ClientSettings, ServerSettings, make_settings
from pypptp.service.toml_file import parse_toml

LARGEST_CAPTURE = 64 * 1024
"""Octets of a capture that a try may cost the time of."""


def pcap(data: bytes) -> None:
    """A capture is refused with a sentence, or decoded; what is in it is never an error."""
    try:
        decoded = decode(Capture(data[:LARGEST_CAPTURE]), Credentials("root", "123456"))
    except CaptureError as error:
        _one_sentence(error)
        return
    assert isinstance(decoded.as_json(), dict)


def chap_secrets(data: bytes) -> None:
    """Every user is found with what the file says, and an error names the line."""
    try:
        secrets = parse_chap_secrets(data, read_file=_no_file)
    except ConfigurationError as error:
        _one_sentence(error)
        return
    for warning in secrets.warnings:
        assert warning.isprintable()
    for word in list(split_words(data, "fuzz"))[:50]:
        assert "\n" not in repr(word)


def configuration(data: bytes) -> None:
    """The first octet chooses the kind of file."""
    kind, rest = data[:1], data[1:]
    try:
        if kind < b"\x40":
            values = parse_toml(rest, ServerSettings)
            make_settings(ServerSettings, {}, values)
        elif kind < b"\x80":
            values = parse_toml(rest, ClientSettings)
            make_settings(ClientSettings, {}, values)
        elif kind < b"\xc0":
            options, _, conf = rest.partition(b"\0")
            interpret_pptpd_conf(conf, "pptpd.conf", read_file=lambda path: options)
        else:
            parse_journal(rest)
    except ConfigurationError as error:
        _one_sentence(error)


def _no_file(path: Path) -> tuple[bytes, list[str]]:
    raise ConfigurationError(f"{path.name}: not in a fuzzer")


def _one_sentence(error: Exception) -> None:
    assert str(error)
    assert "\n" not in str(error)
