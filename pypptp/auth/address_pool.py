"""The addresses a server hands to its peers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from pypptp.auth.account import ANY_ADDRESS, is_usable
from pypptp.errors import ConfigurationError

MAXIMUM_SIZE = 65_535
"""Addresses in a pool: no more calls than this have a call id of their own (RFC 2637 section 2.7)."""

EVERYBODY = ""
"""The name of the pool without a name."""

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

    Beside the addresses for everybody there may be pools with a name, for the users who are told of it. They have no
    address in common, so one book of holders serves all.
    """

    __slots__ = ("_addresses", "_excluded", "_free", "_holder", "_last_address", "_last_user", "_reserved")

    def __init__(
        self,
        addresses: Iterable[IPv4Address],
        *,
        exclude: Iterable[IPv4Address] = (),
        named: Mapping[str, Iterable[IPv4Address]] | None = None,
    ) -> None:
        """Make a pool with all its addresses free.

        Args:
            addresses: those for users without a pool of their own.
            exclude: never to be handed out, from whichever pool.
            named: the pools with a name.

        Raises:
            ConfigurationError: an address is in two pools.
        """
        self._excluded = frozenset(exclude)
        # Dictionaries for their order: the head of a pool's free ones is the address that goes out next.
        self._addresses: dict[IPv4Address, str] = {}
        self._free: dict[str, dict[IPv4Address, None]] = {}
        for name, pool in {EVERYBODY: addresses, **(named or {})}.items():
            self._free[name] = {address: None for address in pool if address not in self._excluded}
            for address in self._free[name]:
                other = self._addresses.setdefault(address, name)
                if other != name:
                    whose = f"that of '{other}'" if other else "the one for everybody"
                    raise ConfigurationError(f"{address} of the pool '{name}' is in another one, {whose}")
        self._holder: dict[IPv4Address, str] = {}
        self._last_address: dict[str, IPv4Address] = {}
        self._last_user: dict[IPv4Address, str] = {}
        self._reserved: frozenset[IPv4Address] = frozenset()

    @classmethod
    def from_text(
        cls, text: str, *, exclude: Iterable[IPv4Address] = (), named: Mapping[str, str] | None = None
    ) -> AddressPool:
        """Read pptpd's ``remoteip``, ``192.168.0.234-238,192.168.0.245``.

        Beyond pptpd it reads ``192.168.0.10-192.168.0.20`` and ``10.0.0.0/24``.
        A network leaves out its network and broadcast addresses (not for /31 and /32). What is named twice counts once.

        Args:
            text: the list.
            exclude: addresses never to be handed out, the server's own above all.
            named: the lists of the pools with a name.

        Raises:
            ConfigurationError: an item that is none of these, a range that runs backwards, too many addresses,
                none left, or one in two pools.
        """
        excluded = frozenset(exclude)
        lists = {name: read_ranges(ranges) for name, ranges in {EVERYBODY: text, **(named or {})}.items()}
        for name, ranges in {EVERYBODY: text, **(named or {})}.items():
            if excluded.issuperset(lists[name]):
                raise ConfigurationError(f"'{_cut(ranges)}' leaves no address for a peer")
        return cls(lists.pop(EVERYBODY), exclude=excluded, named=lists)

    @staticmethod
    def default_ranges(local: IPv4Address) -> str:
        """Return the addresses of a server that was given none: .234 to .245 in the /24 of ``local``."""
        network = int(local) & 0xFFFFFF00
        return f"{IPv4Address(network | 234)}-245"

    @classmethod
    def default_for(cls, local: IPv4Address) -> AddressPool:
        """Make the pool of a server that was given none, without ``local``."""
        return cls.from_text(cls.default_ranges(local), exclude={local})

    def __repr__(self) -> str:
        return f"AddressPool({self.size} addresses, {self.in_use} in use)"

    def __contains__(self, address: object) -> bool:
        return address in self._addresses

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses of all pools, in the order given."""
        return tuple(self._addresses)

    @property
    def names(self) -> tuple[str, ...]:
        """The pools that have a name."""
        return tuple(name for name in self._free if name != EVERYBODY)

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return len(self._addresses)

    @property
    def free(self) -> int:
        """How many of them nobody holds."""
        return sum(map(len, self._free.values()))

    @property
    def in_use(self) -> int:
        """How many addresses are held, fixed ones outside the pool included."""
        return len(self._holder)

    def occupancy(self) -> list[tuple[str, int, int]]:
        """Return name, size and addresses in use of each pool; those held outside all of them are in none."""
        sizes = Counter(self._addresses.values())
        return [(name, sizes[name], sizes[name] - len(free)) for name, free in self._free.items()]

    def holder(self, address: IPv4Address) -> str | None:
        """Name the user who holds ``address``."""
        return self._holder.get(address)

    def reserve(self, addresses: Iterable[IPv4Address]) -> None:
        """Keep these for the users they are fixed for (``Secrets.fixed_addresses``), and no others any longer."""
        self._reserved = frozenset(addresses)

    def allocate(
        self, user: str, wanted: IPv4Address | None = None, rule: AddressWishes = ANY_ADDRESS, pool: str = ""
    ) -> IPv4Address | None:
        """Give ``user`` an address.

        In this order: an address the rule gives the user by name (in the pool or not), the ``wanted`` one, the one
        the user had last, the longest free. The rule holds for each of them.

        Args:
            user: who it is for.
            wanted: what the peer asks for in IPCP, or None. No more than a wish, and granted from the pool only.
            rule: what the user may have; an Account is one.
            pool: the user's pool, "" for the one for everybody. One that does not exist has nothing to give.

        Returns:
            The address, to be given back with ``release``; or None: nothing is free that the rule allows.
        """
        for address in self._candidates(user, wanted, rule, self._free.get(pool, {})):
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
            self._free[self._addresses[address]][address] = None

    def _candidates(
        self, user: str, wanted: IPv4Address | None, rule: AddressWishes, free: Mapping[IPv4Address, None]
    ) -> Iterable[IPv4Address]:
        yield from rule.single_addresses
        for address in (wanted, self._last_address.get(user)):
            if address is not None and address in free and address not in self._reserved:
                yield address
        for address in free:
            if address not in self._reserved:
                yield address

    def _hold(self, address: IPv4Address, user: str) -> None:
        self._holder[address] = user
        if address not in self._addresses:
            return
        del self._free[self._addresses[address]][address]
        previous = self._last_user.get(address)
        if previous is not None and self._last_address.get(previous) == address:
            del self._last_address[previous]
        self._last_user[address] = user
        self._last_address[user] = address


def read_ranges(text: str) -> list[IPv4Address]:
    """Read a list of addresses and ranges; see ``AddressPool.from_text``. What is named twice counts once.

    Raises:
        ConfigurationError: as there.
    """
    addresses: dict[IPv4Address, None] = {}
    for item in text.split(","):
        first, last = _bounds(item.strip())
        if int(last) - int(first) >= MAXIMUM_SIZE - len(addresses):
            raise ConfigurationError(f"'{_cut(text)}' is more than the {MAXIMUM_SIZE} addresses a server has calls for")
        for number in range(int(first), int(last) + 1):
            addresses[IPv4Address(number)] = None
    return list(addresses)


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
