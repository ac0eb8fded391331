"""The kinds of values an option can have.

A kind reads a value from a command line (always text) or from TOML (typed), and says what is wrong with one in a
sentence fragment that fits behind the option's name: ``ValueError("70000 is not between 68 and 65535")``.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Mapping
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_TOML_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}


class Kind(Generic[T]):
    """One kind of value.

    Attributes:
        metavar: what stands for the value in a usage line.
        choices: the words allowed, for shell completion; empty where they cannot be listed.
        is_flag: the option takes no value on a command line.
        repeatable: the option may be given more than once.
    """

    metavar: str = ""
    choices: tuple[str, ...] = ()
    is_flag: bool = False
    repeatable: bool = False

    def from_text(self, text: str) -> T:
        """Read a command line's word. Raises ValueError."""
        raise NotImplementedError

    def from_toml(self, value: object) -> T:
        """Read a TOML value. Raises ValueError; its text never holds the value where only the type is wrong."""
        if not isinstance(value, str):
            raise wrong_type("a string", value)
        return self.from_text(value)

    def check(self, value: Any) -> None:
        """Refuse a typed value that is out of range. Raises ValueError."""

    def to_text(self, value: T) -> str:
        """Write the value as it would stand on a command line."""
        return str(value)


class Flag(Kind[bool]):
    """On or off."""

    is_flag = True

    def from_text(self, text: str) -> bool:
        """Read ``true`` or ``false``."""
        if text not in ("true", "false"):
            raise ValueError(f"{shown(text)} is not true or false")
        return text == "true"

    def from_toml(self, value: object) -> bool:
        """Take true or false."""
        if not isinstance(value, bool):
            raise wrong_type("true or false", value)
        return value

    def to_text(self, value: bool) -> str:
        """Write ``true`` or ``false``."""
        return "true" if value else "false"


class Integer(Kind[int]):
    """A whole number between two bounds, both included."""

    metavar = "N"

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def from_text(self, text: str) -> int:
        """Read decimal digits."""
        if re.fullmatch(r"[+-]?[0-9]{1,20}", text, re.ASCII) is None:
            raise ValueError(f"{shown(text)} is not a whole number")
        value = int(text)
        self.check(value)
        return value

    def from_toml(self, value: object) -> int:
        """Take an integer."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type("an integer", value)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Hold the value against the bounds."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{shown(value)} is not between {self.minimum} and {self.maximum}")


class Processes(Integer):
    """A number of processes; ``auto`` is one for each core this process may run on."""

    metavar = "N|auto"

    def from_text(self, text: str) -> int:
        """Read decimal digits or ``auto``."""
        return self._cores() if text == "auto" else super().from_text(text)

    def from_toml(self, value: object) -> int:
        """Take an integer, or ``auto``."""
        return self._cores() if value == "auto" else super().from_toml(value)

    def _cores(self) -> int:
        try:
            cores = len(os.sched_getaffinity(0))
        except AttributeError:  # not Linux
            cores = os.cpu_count() or 1
        return max(self.minimum, min(cores, self.maximum))


class Seconds(Kind[float]):
    """A time in seconds, fractions allowed; 0 turns what it is for off, unless that cannot be."""

    metavar = "SECONDS"
    minimum = 0.01

    def __init__(self, maximum: float = 86_400.0, *, off: bool = True) -> None:
        self.maximum = maximum
        self.off = off

    def from_text(self, text: str) -> float:
        """Read a decimal number."""
        if re.fullmatch(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?", text, re.ASCII) is None:
            raise ValueError(f"{shown(text)} is not a number of seconds")
        value = float(text)
        self.check(value)
        return value

    def from_toml(self, value: object) -> float:
        """Take an integer or a float."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type("a number of seconds", value)
        self.check(value)
        return float(value)

    def check(self, value: Any) -> None:
        """Allow 0, and 10 ms to the maximum."""
        if (value != 0 or not self.off) and not self.minimum <= value <= self.maximum:
            between = f"between {self.minimum} and {self.maximum:.0f} seconds"
            raise ValueError(f"{shown(value)} is {'neither 0 (off) nor' if self.off else 'not'} {between}")

    def to_text(self, value: float) -> str:
        """Write it without a needless fraction."""
        return format(Decimal(repr(value)), "f").removesuffix(".0")


class Text(Kind[str]):
    """Any text of 1 to ``maximum`` octets in UTF-8, without control characters; with ``empty`` of none too."""

    metavar = "TEXT"

    def __init__(self, metavar: str = "TEXT", *, maximum: int = 255, empty: bool = False) -> None:
        self.metavar = metavar
        self.maximum = maximum
        self.empty = empty

    def from_text(self, text: str) -> str:
        """Take the text as it is."""
        self.check(text)
        return text

    def check(self, value: Any) -> None:
        """Refuse what no protocol field could carry, and what would spoil a log line."""
        if not value and not self.empty:
            raise ValueError("is empty")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ValueError("holds a control character")
        if len(value.encode("utf-8", "surrogateescape")) > self.maximum:
            raise ValueError(f"is longer than {self.maximum} octets")


class CommandLine(Text):
    """A program and its arguments, quoted as for a shell."""

    def __init__(self) -> None:
        super().__init__("CMD", maximum=65_536)

    def check(self, value: Any) -> None:
        """Refuse what cannot be split into words; a script in it may have several lines."""
        if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > self.maximum:
            raise ValueError(f"is longer than {self.maximum} octets, or has a NUL in it")
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("has a quote that is open") from None
        if not words:
            raise ValueError("is empty")


class Interface(Text):
    """The name of a network interface, or one of ``words``.

    ``pattern`` allows one ``%d``, for which the next free unit is put in.
    """

    _NAME = re.compile(r"[^\s/:%\x00-\x1f\x7f]{1,15}")

    def __init__(self, *, words: tuple[str, ...] = (), pattern: bool = False) -> None:
        super().__init__("|".join(["IFACE", *words]), maximum=15)
        self.choices = ()
        self.words = words
        self.pattern = pattern

    def check(self, value: Any) -> None:
        """Apply the kernel's rules for interface names (dev_valid_name)."""
        name = value.replace("%d", "0", 1) if self.pattern else value
        fits = self._NAME.fullmatch(name) and value.isprintable() and len(name.encode()) <= self.maximum
        if not fits or name in (".", ".."):
            raise ValueError(f"{shown(value)} is not the name of an interface (1 to 15 characters, no space, / or :)")


class InstanceName(Text):
    """What a running server or client is called: part of a file's name."""

    _NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", re.ASCII)

    def __init__(self) -> None:
        super().__init__("NAME")

    def check(self, value: Any) -> None:
        """Hold the name against what every file system and shell takes as it is."""
        if self._NAME.fullmatch(value) is None:
            raise ValueError(f"{shown(value)} is no name of 1 to 64 letters, digits and _ . @ - (no . or - first)")


class Choice(Kind[str]):
    """One of a few words."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.metavar = "|".join(choices)

    def from_text(self, text: str) -> str:
        """Take one of the words."""
        self.check(text)
        return text

    def check(self, value: Any) -> None:
        """Allow the words only; suggest the nearest."""
        if value not in self.choices:
            raise ValueError(
                f"{shown(value)} is not one of {', '.join(self.choices)}{did_you_mean(value, self.choices)}"
            )


class NumberChoice(Kind[int]):
    """One of a few numbers."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.choices = tuple(str(number) for number in numbers)
        self.metavar = "|".join(self.choices)

    def from_text(self, text: str) -> int:
        """Take one of the numbers."""
        if text not in self.choices:
            raise ValueError(f"{shown(text)} is not one of {', '.join(self.choices)}")
        return int(text)

    def from_toml(self, value: object) -> int:
        """Take an integer, or a string as on a command line."""
        if isinstance(value, str):
            return self.from_text(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type("an integer", value)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Allow these numbers only."""
        if value not in self.numbers:
            raise ValueError(f"{shown(value)} is not one of {', '.join(self.choices)}")


class Address(Kind[IPv4Address]):
    """An IPv4 address."""

    metavar = "ADDRESS"

    def __init__(self, *, unspecified: bool = False, loopback: bool = False) -> None:
        self.unspecified = unspecified
        self.loopback = loopback

    def from_text(self, text: str) -> IPv4Address:
        """Read four decimal numbers with dots."""
        try:
            address = IPv4Address(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is not an IPv4 address") from None
        self.check(address)
        return address

    def check(self, value: Any) -> None:
        """Refuse addresses no host can have."""
        if value.is_unspecified and self.unspecified:
            return
        if value.is_loopback and self.loopback:
            return
        if value.is_unspecified or value.is_loopback or value.is_multicast or value.is_reserved:
            raise ValueError(f"{value} cannot be the address of a host here")


class ListenAt(Text):
    """An address and a port to listen on; a port alone is on this machine's loopback."""

    def __init__(self) -> None:
        super().__init__("ADDRESS:PORT", maximum=32)

    def from_text(self, text: str) -> str:
        """Read ``127.0.0.1:1080`` or ``1080``."""
        value = f"127.0.0.1:{text}" if text.isascii() and text.isdigit() else text
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Refuse what cannot be listened on."""
        super().check(value)
        address, _, port = value.rpartition(":")
        Address(unspecified=True, loopback=True).from_text(address)
        Integer(1, 65_535).from_text(port)


class Network(Kind[IPv4Network]):
    """An IPv4 network, ``10.0.0.0/8``; a bare address is a network of one."""

    metavar = "CIDR"

    def from_text(self, text: str) -> IPv4Network:
        """Read ``address/length``; the bits behind the prefix must be zero."""
        try:
            network = IPv4Network(text, strict=False)
        except ValueError:
            raise ValueError(f"{shown(text)} is not a network such as 10.0.0.0/8") from None
        if IPv4Address(text.partition("/")[0]) != network.network_address:
            raise ValueError(f"{shown(text)} has bits set behind its prefix; did you mean {network}?")
        return network


class HostName(Text):
    """A host's name or IPv4 address."""

    _LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)

    def __init__(self) -> None:
        super().__init__("HOST", maximum=253)

    def check(self, value: Any) -> None:
        """Refuse what no resolver would take, and IPv6."""
        super().check(value)
        labels = value.removesuffix(".").split(".")
        if ":" in value:
            raise ValueError(
                f"{shown(value)} is not a host name or IPv4 address (a port goes into --port; PPTP has no IPv6)"
            )
        if all(label.isdigit() for label in labels):
            Address(loopback=True).from_text(value)
            return
        try:
            labels = value.removesuffix(".").encode("idna").decode("ascii").split(".")
        except UnicodeError:
            labels = [""]
        if not all(self._LABEL.fullmatch(label) for label in labels):
            raise ValueError(f"{shown(value)} is not a host name or IPv4 address")


class File(Kind[Path]):
    """A file's name. A file named in a TOML file is looked for beside that file."""

    metavar = "FILE"

    def from_text(self, text: str) -> Path:
        """Take the name as it is; whether there is such a file shows when it is opened."""
        if not text or "\0" in text:
            raise ValueError(f"{shown(text)} is not a file name")
        return Path(text)


class ListOf(Kind[tuple[T, ...]]):
    """Several values of one kind, in order, the same one once.

    On a command line they have commas between them or the option is repeated; in TOML they are an array.
    ``words`` stand for several values at once.
    """

    def __init__(
        self,
        item: Kind[T],
        *,
        most: int | None = None,
        least: int = 0,
        repeatable: bool = False,
        words: Mapping[str, tuple[T, ...]] | None = None,
    ) -> None:
        self.item = item
        self.most = most
        self.least = least
        self.repeatable = repeatable
        self.words = dict(words or {})
        self.choices = (*item.choices, *self.words)
        self.metavar = "|".join([item.metavar, *self.words]) + ("" if repeatable else "[,...]")

    def from_text(self, text: str) -> tuple[T, ...]:
        """Read words with commas between them; an empty text is an empty list, which undoes a file's."""
        if not text.strip():
            return self.join([])
        return self.join([self._word(word.strip()) for word in text.split(",")])

    def from_toml(self, value: object) -> tuple[T, ...]:
        """Take an array, or one value, or a string as on a command line."""
        if isinstance(value, list):
            return self.join([self._word(v) if isinstance(v, str) else (self.item.from_toml(v),) for v in value])
        return self.from_text(value) if isinstance(value, str) else self.join([(self.item.from_toml(value),)])

    def join(self, parts: list[tuple[T, ...]]) -> tuple[T, ...]:
        """Put the values of a repeated option together."""
        values = tuple(dict.fromkeys(value for part in parts for value in part))
        self.check(values)
        return values

    def check(self, value: Any) -> None:
        """Look at how many there are, and at each."""
        if self.most is not None and len(value) > self.most:
            raise ValueError(f"{len(value)} values are more than {self.most}")
        if len(value) < self.least:
            raise ValueError("names nothing")
        for item in value:
            self.item.check(item)

    def to_text(self, value: tuple[T, ...]) -> str:
        """Write the values with commas."""
        return ",".join(self.item.to_text(item) for item in value)

    def _word(self, word: str) -> tuple[T, ...]:
        return self.words.get(word) or (self.item.from_text(word),)


def wrong_type(expected: str, value: object) -> ValueError:
    """Make the error for a TOML value of another type. It leaves the value out: a password may lack its quotes."""
    found = next((name for kind, name in _TOML_NAMES.items() if type(value) is kind), "a date or time")
    return ValueError(f"must be {expected}, not {found}")


def shown(value: object) -> str:
    """Show a value in a message: on one line, cut, and without asking Python for a number of 5,000 digits."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number beyond 64 bits"
    text = str(value)
    printable = text if text.isprintable() else ascii(text)[1:-1]
    cut = printable if len(printable) <= 64 else f"{printable[:61]}..."
    return f"'{cut}'" if isinstance(value, str) else cut


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Return "; did you mean ...?" if some known word is near, else nothing."""
    near = difflib.get_close_matches(word[:64].lower().replace("_", "-"), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
