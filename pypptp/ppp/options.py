"""What one configuration option knows of itself; the automaton and the control protocol know none of them by name.

An option has two independent sides (RFC 1661 section 5): what we ask for in our Configure-Request, and what we think of
the peer's. Each option of LCP, CCP and IPCP is a small class of this shape, in the module of its protocol.
"""

from __future__ import annotations


class NegotiatedOption:
    """One option, both sides. The base class asks for nothing and rejects whatever the peer asks."""

    type: int

    def start_over(self) -> None:
        """Begin a new negotiation: forget what the peer answered to our request."""

    def request(self) -> bytes | None:
        """Return the value to ask for, or None to leave the option out of our Configure-Request."""
        return None

    def acknowledged(self, value: bytes | None) -> None:
        """The peer acknowledged our request; value is None where the option was not in it."""

    def naked(self, value: bytes) -> None:
        """The peer wants another value; it may name an option we did not ask for (RFC 1661 section 5.3)."""

    def rejected(self) -> None:
        """The peer does not know the option or does not negotiate it."""

    def judge(self, value: bytes) -> bytes | None:
        """Say what we think of the value in the peer's Configure-Request.

        Returns:
            The value we accept: the same octets mean Configure-Ack, others are put into a Configure-Nak. None means
            Configure-Reject.
        """
        return None

    def wanted(self) -> bytes | None:
        """Return the value to Nak with when the peer's request lacks the option, or None where it may be absent."""
        return None

    def accepted(self, value: bytes | None) -> None:
        """The peer's request was acknowledged; value is None where the option was not in it."""


class NumberOption(NegotiatedOption):
    """An option whose value is one unsigned number of a fixed width, in network order."""

    width: int

    def encode(self, number: int) -> bytes:
        """Return the number as the option's value."""
        return number.to_bytes(self.width, "big")

    def decode(self, value: bytes) -> int | None:
        """Return the number, or None where the value has the wrong length."""
        return int.from_bytes(value, "big") if len(value) == self.width else None
