"""What is known of a user who may log in."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from pypptp.errors import ConfigurationError
from pypptp.roles import RandomBytes

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""32 of them, so that five bits of a random octet choose one without bias (Crockford's base 32)."""

_EVERYWHERE = IPv4Network("0.0.0.0/0")
_ADDRESS_CHARACTERS = frozenset("0123456789abcdefABCDEF.:/+-!")


@dataclass(frozen=True, slots=True)
class AddressRule:
    """The addresses a peer may use: the fourth and later columns of a chap-secrets line (pppd(8), "AUTHENTICATION").

    Attributes:
        terms: (permitted, network) pairs. The first network an address lies in decides; one that lies in none is
            refused.
    """

    terms: tuple[tuple[bool, IPv4Network], ...] = ()

    @classmethod
    def from_words(cls, words: list[str]) -> tuple[AddressRule, list[str]]:
        """Read ``-`` (none), ``*`` (any), ``addr``, ``addr/n`` and ``!`` before either (not this).

        Returns:
            The rule, and what there is to warn about.

        Raises:
            ConfigurationError: a word that is none of these.
        """
        terms: list[tuple[bool, IPv4Network]] = []
        warnings: list[str] = []
        for word in words:
            # As in pppd, whatever stands behind either of these two is not looked at.
            if word == "-":
                break
            if word == "*":
                terms.append((True, _EVERYWHERE))
                break
            address = word.removeprefix("!")
            if "/" in address and address.endswith("+"):
                warnings.append(
                    f"'{word}' is read as '{word[:-1]}': the address comes from the pool, not from the unit's number"
                )
                address = address[:-1]
            try:
                network = IPv4Network(address, strict=False)
            except ValueError:
                raise ConfigurationError(_not_an_address(word)) from None
            if network.prefixlen == 0:
                raise ConfigurationError(f"'{word}' has the prefix length 0; write * for any address")
            terms.append((not word.startswith("!"), network))
        return cls(tuple(terms)), warnings

    @property
    def single_addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses permitted by name, in order: the user's own, whatever the pool holds."""
        singles = [
            network.network_address for permitted, network in self.terms if permitted and network.prefixlen == 32
        ]
        return tuple(address for address in dict.fromkeys(singles) if self.allows(address))

    def allows(self, address: IPv4Address) -> bool:
        """Say whether the peer may use ``address``. Loopback, multicast and class E are never allowed, as in pppd."""
        if not is_usable(address):
            return False
        return next((permitted for permitted, network in self.terms if address in network), False)


def is_usable(address: IPv4Address) -> bool:
    """Say whether an end of a tunnel can have this address at all."""
    return not (address.is_loopback or address.is_multicast or address.is_reserved or address.is_unspecified)


def _not_an_address(word: str) -> str:
    if set(word) <= _ADDRESS_CHARACTERS:
        return f"'{word}' is not an IPv4 address, -, *, !address or address/length"
    # A secret with a space and without quotes ends up here: half of it must not reach a log.
    return (
        "a word behind the secret is not an IPv4 address "
        "(a secret with spaces or # needs quotes; host names are not looked up)"
    )


ANY_ADDRESS = AddressRule(((True, _EVERYWHERE),))
"""The rule ``*``."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and what proves that it is the user.

    Attributes:
        user: the name, as the peer gave it.
        password: the password, or None where only its hash is known. Never in ``repr``.
        nt_hash: the 16 octets of MD4 over the UTF-16-LE password (RFC 2433 A.7) where the file gives the hash in the
            password's place, else None. It serves MS-CHAP alone: CHAP-MD5 and PAP need the password.
        addresses: what the peer may use.
        source: where it stands, ``file:line``, for the log.
        identity: whose account it is, whichever way the name is written; the name itself where left out. What is
            counted and remembered for a user goes by this.
        pool: the name of the address pool that is for this user, "" for the one for everybody.
        objection: why the user cannot come in now even with the right proof, in words for the user; "" for nothing.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    nt_hash: bytes | None = field(default=None, repr=False)
    addresses: AddressRule = ANY_ADDRESS
    source: str = ""
    identity: str = ""
    pool: str = ""
    objection: str = ""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", self.user)

    @property
    def fixed_address(self) -> IPv4Address | None:
        """The first address given to this user by name, or None."""
        return next(iter(self.addresses.single_addresses), None)

    @property
    def single_addresses(self) -> tuple[IPv4Address, ...]:
        """All addresses given to this user by name; the pool tries them in order."""
        return self.addresses.single_addresses

    def allows(self, address: IPv4Address) -> bool:
        """Say whether this user may have ``address``."""
        return self.addresses.allows(address)


def new_account(random: RandomBytes, user: str = "pypptp") -> Account:
    """Make an account with a fresh password of 80 bits, easy to read out: four groups of four, without i, l, o and u.

    Args:
        random: ``random(n)`` returns n octets no one can guess.
        user: the name.
    """
    letters = "".join(_LETTERS[octet & 31] for octet in random(16))
    return Account(user, "-".join(letters[start : start + 4] for start in range(0, 16, 4)), source="generated")
