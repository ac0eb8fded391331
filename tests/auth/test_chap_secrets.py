from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypptp.auth.chap_secrets import Secrets, parse_chap_secrets, read_chap_secrets
from pypptp.errors import ConfigurationError

RECIPE = b"""# Secrets for authentication using CHAP
# client\tserver\tsecret\t\t\tIP addresses
root\tpptpd\t123456\t*
"""


def no_file(path: Path) -> tuple[bytes, list[str]]:
    raise ConfigurationError(f"{path} cannot be read")


def parse(text: str) -> Secrets:
    return parse_chap_secrets(text.encode(), "secrets", read_file=no_file)


def password(secrets: Secrets, user: str, server: str = "pptpd") -> str | None:
    account = secrets.lookup(user, server)
    return account.password if account else None


def test_the_recipe_file() -> None:
    secrets = parse_chap_secrets(RECIPE)
    account = secrets.lookup("root", "pptpd")
    assert account is not None
    assert (account.user, account.password, account.nt_hash) == ("root", "123456", None)
    assert account.allows(IPv4Address("192.168.0.234"))
    assert account.source == "chap-secrets:3"
    assert secrets.lookup("root", "other") is None
    assert secrets.lookup("toor", "pptpd") is None
    assert secrets.lookup("Root", "pptpd") is None
    assert secrets.warnings == ()


PRECEDENCE = ("* * none *", "* pptpd server *", "alice * client *", "alice pptpd both *")


@pytest.mark.parametrize("order", [PRECEDENCE, PRECEDENCE[::-1]])
def test_fewest_wildcards_win_and_the_client_counts_more(order: tuple[str, ...]) -> None:
    secrets = parse("\n".join(order))
    assert password(secrets, "alice", "pptpd") == "both"
    assert password(secrets, "alice", "other") == "client"
    assert password(secrets, "bob", "pptpd") == "server"
    assert password(secrets, "bob", "other") == "none"


def test_first_of_equals_wins_and_the_other_is_warned_of() -> None:
    secrets = parse("alice * one *\nalice * two *")
    assert password(secrets, "alice") == "one"
    assert secrets.warnings == ("secrets:2: never used, line 1 has the same client and server",)


def test_a_wildcard_account_has_the_name_the_peer_gave() -> None:
    account = parse("* * shared *").lookup("carol", "pptpd")
    assert account is not None
    assert account.user == "carol"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DOM\\\\user * domain *\nuser * bare *", "domain"),
        ("user * bare *\n* * any *", "bare"),
        ("* * any *", "any"),
        ("OTHER\\\\user * other *", None),
        ("'DOM\\\\user' * domain *", "domain"),
    ],
)
def test_a_domain_is_tried_then_left_out(text: str, expected: str | None) -> None:
    secrets = parse(text)
    assert password(secrets, "DOM\\user") == expected
    account = secrets.lookup("DOM\\user", "pptpd")
    assert account is None or account.user == "DOM\\user"


def test_addresses() -> None:
    account = parse("alice * pw 192.168.0.240 !10.0.0.1 10.0.0.0/24").lookup("alice", "x")
    assert account is not None
    assert account.fixed_address == IPv4Address("192.168.0.240")
    assert account.allows(IPv4Address("10.0.0.2"))
    assert not account.allows(IPv4Address("10.0.0.1"))
    assert not account.allows(IPv4Address("192.168.0.241"))


def test_fixed_addresses_of_all() -> None:
    secrets = parse("a * p 10.0.0.1\nb * p 10.0.0.2 10.0.0.3\nc * p *\nd * p !10.0.0.4 *")
    assert secrets.fixed_addresses == {IPv4Address(f"10.0.0.{host}") for host in (1, 2, 3)}


def test_three_columns_allow_no_address_and_say_so() -> None:
    secrets = parse("alice * pw")
    account = secrets.lookup("alice", "x")
    assert account is not None
    assert not account.allows(IPv4Address("10.0.0.1"))
    assert "'alice' may use no address" in secrets.warnings[0]


def test_nt_hash_instead_of_a_password() -> None:
    account = parse("alice * nt:44EBBA8D5312B8D611474411F56989AE *").lookup("alice", "x")
    assert account is not None
    assert account.password is None
    assert account.nt_hash == bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")


@pytest.mark.parametrize("secret", ["nt:44EBBA", "nt:", "nt:" + "g" * 32, "nt:" + "0" * 33, "nt:" + "٣" * 32])
def test_what_only_looks_like_a_hash_is_a_password(secret: str) -> None:
    secrets = parse(f"alice * {secret} *")
    assert password(secrets, "alice") == secret
    assert len(secrets.warnings) == 1


def test_indirect_secret(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("# of alice\n'open sesame' ignored\n")
    inner.chmod(0o644)
    outer.write_text(f"alice * @{inner} *\nbob * @home *\n")
    outer.chmod(0o600)
    secrets = read_chap_secrets(outer)
    assert password(secrets, "alice") == "open sesame"
    assert password(secrets, "bob") == "@home"
    (warning,) = secrets.warnings
    assert warning.startswith(f"{outer}:1: {inner} holds secrets")


@pytest.mark.parametrize("content", [None, "", "# nothing\n"])
def test_missing_indirect_secret_names_the_line(tmp_path: Path, content: str | None) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    if content is not None:
        inner.write_text(content)
    outer.write_text(f"\nalice * @{inner} *\n")
    with pytest.raises(ConfigurationError, match=re.escape(f"{outer}:2: ") + ".*inner"):
        read_chap_secrets(outer)


def test_options_are_kept_and_warned_of() -> None:
    secrets = parse("alice * pw 10.0.0.1 -- idle 60")
    assert secrets.entries[0].options == ("idle", "60")
    assert secrets.warnings == ("secrets:1: of the options behind -- only pool is used",)


def test_a_pool_stands_behind_the_addresses() -> None:
    secrets = parse('alice * pw * -- pool staff\nbob * pw * -- idle 60 pool "guests"\n* * pw *\n')
    assert [entry.pool for entry in secrets.entries] == ["staff", "guests", ""]
    assert secrets.warnings == ("secrets:2: of the options behind -- only pool is used",)
    found = secrets.lookup("HOME\\alice", "any")
    assert found is not None
    assert (found.user, found.identity, found.pool) == ("HOME\\alice", "alice", "staff")
    anyone = secrets.lookup("HOME\\mallory", "any")
    assert anyone is not None
    assert (anyone.identity, anyone.pool) == ("mallory", "")
    assert secrets.without_pool(["guests"]) == ["secrets:1: there is no pool 'staff', so 'alice' gets no address"]


def test_a_pool_without_a_name() -> None:
    with pytest.raises(ConfigurationError, match="secrets:1: pool has no name behind it"):
        parse("alice * pw * -- pool")


def test_a_forgotten_quote_is_warned_of() -> None:
    secrets = parse("alice * don't *\nbob * won't *")
    assert secrets.warnings[0] == "secrets:1: a word in quotes goes over the line's end"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("alice * pw *\nbob", "secrets:2: a line needs at least three words"),
        ("bob pptpd", "secrets:1: a line needs at least three words"),
        ("\n\nalice * correct horse *", "secrets:3: a word behind the secret is not an IPv4 address"),
        ("alice * pw 10.0.0.300", "secrets:1: '10.0.0.300' is not an IPv4 address"),
        ("alice * 'pw *", "secrets:1: a quote"),
        (f"alice * {'s' * 257} *", "secrets:1: the secret is longer than 256"),
    ],
)
def test_bad_lines_are_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^" + re.escape(complaint)) as caught:
        parse(text)
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o666, 1)])
def test_access_by_others_is_warned_of(tmp_path: Path, mode: int, warned: int) -> None:
    path = tmp_path / "chap-secrets"
    path.write_bytes(RECIPE)
    path.chmod(mode)
    secrets = read_chap_secrets(path)
    assert len(secrets) == 1
    assert len(secrets.warnings) == warned
    assert all(str(path) in warning and "123456" not in warning for warning in secrets.warnings)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, Path("a\0b")):
        with pytest.raises(ConfigurationError):
            read_chap_secrets(path)
    with pytest.raises(ConfigurationError, match="larger than 16 MiB"):
        read_chap_secrets(Path("/dev/zero"))


def test_repr_hides_secrets() -> None:
    secrets = parse("alice * hunter2 *\nbob * nt:44EBBA8D5312B8D611474411F56989AE *")
    shown = f"{secrets!r} {secrets.entries} {secrets.lookup('alice', 'x')} {secrets.lookup('bob', 'x')}"
    assert "hunter2" not in shown
    assert "D\\xeb" not in shown


LINES = st.lists(
    st.lists(
        st.sampled_from(["*", "a", "@/x", "nt:" + "0" * 32, "10.0.0.1", "!10.0.0.0/8", "-", "--", "'", '"', "\\", "#"])
        | st.text(max_size=8),
        max_size=6,
    ).map(" ".join),
    max_size=6,
).map(lambda lines: "\n".join(lines).encode())


@given(st.binary(max_size=200) | LINES)
def test_any_content_gives_secrets_or_one_error(data: bytes) -> None:
    try:
        secrets = parse_chap_secrets(data, "f", read_file=lambda path: (b"indirect", []))
    except ConfigurationError:
        with pytest.raises(ConfigurationError, match=r"^f:\d+: "):
            parse_chap_secrets(data, "f", read_file=lambda path: (b"indirect", []))
        return
    for entry in secrets.entries:
        account = secrets.lookup(entry.client, entry.server)
        assert account is not None
        assert (account.password is None) != (account.nt_hash is None)
        account.allows(IPv4Address("10.0.0.1"))
