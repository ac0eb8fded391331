"""The addresses a server hands to its peers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from pypptp.auth.account import ANY_ADDRESS, is_usable
from pypptp.errors import ConfigurationError

MAXIMUM_SIZE = 65_535
"""Addresses in a pool: no more calls than this have a call id of their own (RFC 2637 section 2.7)."""

_RANGE = re.compile(r"([0-9.]+)-([0-9.]+)", re.ASCII)


class AddressWishes(Protocol):
    """What the pool asks about a user; an Account is one."""

    @property
    def single_addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses given to the user by name."""
        ...

    def allows(self, address: IPv4Address) -> bool:
        """Say whether the user may have ``address``."""
        ...


class AddressPool:
    """A set of addresses, each with at most one holder.

    A user gets the address it had last if that is free, so that a reconnect does not break its connections. Otherwise
    the one goes out that has been free for longest, never-used ones first and in the order given: others find theirs
    again too. What the pool remembers is bounded by its size.
    """

    __slots__ = ("_addresses", "_excluded", "_free", "_holder", "_last_address", "_last_user", "_reserved")

    def __init__(self, addresses: Iterable[IPv4Address], *, exclude: Iterable[IPv4Address] = ()) -> None:
        self._excluded = frozenset(exclude)
        # Dictionaries for their order: the head of _free is the address that goes out next.
        self._addresses = {address: None for address in addresses if address not in self._excluded}
        self._free = dict(self._addresses)
        self._holder: dict[IPv4Address, str] = {}
        self._last_address: dict[str, IPv4Address] = {}
        self._last_user: dict[IPv4Address, str] = {}
        self._reserved: frozenset[IPv4Address] = frozenset()

    @classmethod
    def from_text(cls, text: str, *, exclude: Iterable[IPv4Address] = ()) -> AddressPool:
        """Read pptpd's ``remoteip``, ``192.168.0.234-238,192.168.0.245``.

        Beyond pptpd it reads ``192.168.0.10-192.168.0.20`` and ``10.0.0.0/24``.
        A network leaves out its network and broadcast addresses (not for /31 and /32). What is named twice counts once.

        Args:
            text: the list.
            exclude: addresses never to be handed out, the server's own above all.

        Raises:
            ConfigurationError: an item that is none of these, a range that runs backwards, too many addresses, or
                none left.
        """
        addresses: dict[IPv4Address, None] = {}
        for item in text.split(","):
            first, last = _bounds(item.strip())
            if int(last) - int(first) >= MAXIMUM_SIZE - len(addresses):
                raise ConfigurationError(
                    f"'{_cut(text)}' is more than the {MAXIMUM_SIZE} addresses a server has calls for"
                )
            for number in range(int(first), int(last) + 1):
                addresses[IPv4Address(number)] = None
        pool = cls(addresses, exclude=exclude)
        if not pool.size:
            raise ConfigurationError(f"'{_cut(text)}' leaves no address for a peer")
        return pool

    @classmethod
    def default_for(cls, local: IPv4Address) -> AddressPool:
        """Make the pool of a server that was given none: .234 to .245 in the /24 of ``local``, without ``local``."""
        network = int(local) & 0xFFFFFF00
        return cls((IPv4Address(network | host) for host in range(234, 246)), exclude={local})

    def __repr__(self) -> str:
        return f"AddressPool({self.size} addresses, {self.in_use} in use)"

    def __contains__(self, address: object) -> bool:
        return address in self._addresses

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses, in the order given."""
        return tuple(self._addresses)

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return len(self._addresses)

    @property
    def free(self) -> int:
        """How many of them nobody holds."""
        return len(self._free)

    @property
    def in_use(self) -> int:
        """How many addresses are held, fixed ones outside the pool included."""
        return len(self._holder)

    def holder(self, address: IPv4Address) -> str | None:
        """Name the user who holds ``address``."""
        return self._holder.get(address)

    def reserve(self, addresses: Iterable[IPv4Address]) -> None:
        """Keep these for the users they are fixed for (``Secrets.fixed_addresses``), and no others any longer."""
        self._reserved = frozenset(addresses)

    def allocate(
        self, user: str, wanted: IPv4Address | None = None, rule: AddressWishes = ANY_ADDRESS
    ) -> IPv4Address | None:
        """Give ``user`` an address.

        In this order: an address the rule gives the user by name (in the pool or not), the ``wanted`` one, the one
        the user had last, the longest free. The rule holds for each of them.

        Args:
            user: who it is for.
            wanted: what the peer asks for in IPCP, or None. No more than a wish, and granted from the pool only.
            rule: what the user may have; an Account is one.

        Returns:
            The address, to be given back with ``release``; or None: nothing is free that the rule allows.
        """
        for address in self._candidates(user, wanted, rule):
            if address not in self._holder and address not in self._excluded and rule.allows(address):
                self._hold(address, user)
                return address
        return None

    def release(self, address: IPv4Address, user: str | None = None) -> None:
        """Take ``address`` back. Nothing happens if nobody holds it.

        Args:
            address: what ``allocate`` returned.
            user: if given, nothing happens either unless this user holds it: a second release cannot take it from the
                next one.
        """
        holder = self._holder.get(address)
        if holder is None or (user is not None and holder != user):
            return
        del self._holder[address]
        if address in self._addresses:
            self._free[address] = None

    def _candidates(self, user: str, wanted: IPv4Address | None, rule: AddressWishes) -> Iterable[IPv4Address]:
        yield from rule.single_addresses
        for address in (wanted, self._last_address.get(user)):
            if address is not None and address in self._free and address not in self._reserved:
                yield address
        for address in self._free:
            if address not in self._reserved:
                yield address

    def _hold(self, address: IPv4Address, user: str) -> None:
        self._holder[address] = user
        if address not in self._addresses:
            return
        del self._free[address]
        previous = self._last_user.get(address)
        if previous is not None and self._last_address.get(previous) == address:
            del self._last_address[previous]
        self._last_user[address] = user
        self._last_address[user] = address


def _bounds(item: str) -> tuple[IPv4Address, IPv4Address]:
    """Read one item of the list as its first and last address."""
    if "/" in item:
        try:
            network = IPv4Network(item)
        except ValueError as error:
            raise ConfigurationError(f"'{_cut(item)}' is not a network: {_cut(str(error))}") from None
        first, last = network.network_address, network.broadcast_address
        if network.prefixlen < 31:
            first, last = first + 1, last - 1
    elif "-" in item:
        match = _RANGE.fullmatch(item)
        if match is None:
            raise ConfigurationError(f"'{_cut(item)}' is not a range such as 192.168.0.234-238")
        lower, upper = match.groups()
        if "." not in upper:
            upper = f"{lower.rpartition('.')[0]}.{upper}"
        first, last = _address(lower), _address(upper)
        if last < first:
            raise ConfigurationError(
                f"the range '{item}' runs backwards (the last number is written out: 234-238, not 234-8)"
            )
    else:
        first = last = _address(item)
    if not (is_usable(first) and is_usable(last)):
        raise ConfigurationError(f"'{_cut(item)}' is not for the ends of a tunnel (loopback, multicast or reserved)")
    return first, last


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ConfigurationError(f"'{_cut(text)}' is not an IPv4 address") from None


def _cut(text: str) -> str:
    printable = text if text.isprintable() else ascii(text)[1:-1]
    return printable if len(printable) <= 64 else f"{printable[:61]}..."
