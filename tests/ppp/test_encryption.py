"""MPPE on a link: each policy against peers that keep to it, refuse it, end it or come late."""

from __future__ import annotations

from typing import Any

import pytest

from pypptp.mppe.cipher import Decryptor
from pypptp.mppe.keys import MppeKeys, Strength, keys_for_mschap_v1
from pypptp.ppp.auth import AuthMethod, Secret
from pypptp.ppp.config import LinkConfig, MppePolicy
from pypptp.ppp.control_protocol import NegotiationLimits
from pypptp.ppp.encryption import LinkEncryption
from pypptp.ppp.events import NetworkDown, NetworkUp
from pypptp.ppp.ipcp import OptionType as IpcpOption
from pypptp.ppp.link import Phase
from pypptp.ppp.packet import Code, ControlPacket
from pypptp.roles import Role
from tests.mppe.frames import plaintext
from tests.ppp.driving import options_of
from tests.ppp.linking import (
    BOTH,
    CCP,
    CLIENT,
    IPCP,
    LCP,
    PASSWORD,
    PREFER,
    REMOTE,
    REQUIRE,
    SERVER,
    STRONGEST,
    Joined,
    assert_decrypts,
    assert_up,
    both,
    configure_frame,
    frame_of,
)


def test_no_common_strength() -> None:
    joined = Joined({}, {"strengths": (Strength.BITS_40,)}).up(120)
    for role in BOTH:
        assert joined.closed(role)
        assert not joined.of(role, NetworkUp)
    assert not joined.sent(SERVER, IPCP)


@pytest.mark.parametrize(("role", "peer"), [BOTH, BOTH[::-1]])
def test_the_peer_rejects_mppe(role: Role, peer: Role) -> None:
    def rejecting(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
        if (sender, protocol, packet.code) == (peer, CCP, Code.CONFIGURE_ACK):
            return [ControlPacket(Code.CONFIGURE_REJECT, packet.identifier, packet.data)]
        return None

    lax: dict[str, Any] = {"mppe": PREFER}
    joined = Joined(lax if peer is SERVER else {}, lax if peer is CLIENT else {}, tamper=rejecting).up(30)
    assert joined.closed(role) == "MPPE required, but the peer refuses it"
    assert joined.closed(peer) == "the peer terminated the link: MPPE required, but the peer refuses it"


@pytest.mark.parametrize("role", BOTH)
@pytest.mark.parametrize("policy", [REQUIRE, PREFER])
def test_the_peer_ends_ccp_once_it_is_open(role: Role, policy: MppePolicy) -> None:
    """A link that was encrypted once never goes on in clear, whatever the settings."""
    joined = both(mppe=policy)
    joined.inject(role, frame_of(CCP, ControlPacket(Code.TERMINATE_REQUEST, 9)))
    assert not joined.links[role].network_up
    joined.run(10)
    assert joined.closed(role) == "MPPE required, but the peer ended CCP"
    assert not joined.links[role].network_up


def test_new_keys_are_no_new_allowance() -> None:
    """What jumps may cost goes by the link: CCP can be negotiated anew as often as a peer likes."""
    joined = both()
    first = joined.server.decryptor
    assert first is not None
    joined.client.renegotiate_encryption(joined.now)
    joined.run(1)
    second = joined.server.decryptor
    assert second is not None
    assert second is not first
    assert second._allowance is first._allowance


@pytest.mark.parametrize("role", BOTH)
def test_a_protocol_reject_of_ccp(role: Role) -> None:
    joined = Joined(tamper=lambda sender, protocol, packet: [] if protocol == CCP else None).up()
    joined.inject(role, frame_of(LCP, ControlPacket(Code.PROTOCOL_REJECT, 9, b"\x80\xfd\x01\x01\x00\x04")))
    joined.run(10)
    assert joined.closed(role) == "MPPE required, but CCP: rejected by the peer"


def test_ipcp_before_ccp_waits_without_an_answer() -> None:
    """Windows and RouterOS send it at once; a Terminate-Ack would end their IPCP for good."""
    held: list[ControlPacket] = []

    def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
        if (sender, protocol) == (CLIENT, CCP):
            held.append(packet)
            return []
        return None

    joined = Joined(tamper=tamper).up()
    assert joined.server.phase is Phase.NETWORK
    zero = (IpcpOption.IP_ADDRESS, bytes(4))
    assert joined.inject(SERVER, configure_frame(IPCP, 1, 55, zero)) == []
    joined.tamper = None
    for packet in held:
        joined.server.receive(frame_of(CCP, packet), joined.now)
    joined.run()
    nak = next(packet for packet in joined.sent(SERVER, IPCP) if packet.identifier == 55)
    assert (nak.code, options_of(nak)) == (Code.CONFIGURE_NAK, [(IpcpOption.IP_ADDRESS, REMOTE.packed)])
    joined.run(10)
    assert_up(joined, STRONGEST)


def test_ccp_that_never_ends_ends_the_link_where_it_is_required() -> None:
    joined = Joined(tamper=lambda sender, protocol, packet: [] if protocol == CCP else None).up(90)
    assert joined.closed(SERVER)
    assert not joined.sent(SERVER, IPCP)


def test_ccp_that_is_late_where_it_is_preferred() -> None:
    """Packets pass in clear after a while; when CCP opens after all, the network is announced again."""
    silent = True

    def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
        return [] if protocol == CCP and silent else None

    joined = Joined({"mppe": PREFER}, {"mppe": PREFER, "mru": 1400}, tamper=tamper).up(8)
    assert_up(joined, None)
    assert joined.of(SERVER, NetworkUp)[-1].mtu == 1400
    silent = False
    joined.run(10)
    assert_up(joined, STRONGEST)
    assert_decrypts(joined)
    assert joined.of(SERVER, NetworkUp)[-1].mtu == joined.server.mtu == 1396
    assert len(joined.of(SERVER, NetworkDown)) == 1


def test_a_preferred_ccp_refused_first_and_agreed_on_later_stays() -> None:
    def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
        if (sender, protocol, packet.code) == (SERVER, CCP, Code.CONFIGURE_REQUEST) and packet.data:
            joined.server.receive(frame_of(CCP, ControlPacket(4, packet.identifier, packet.data)), joined.now)
            return []
        return None

    joined = Joined({"mppe": PREFER}, {"mppe": PREFER}, tamper=tamper)
    joined.up()
    assert joined.server.network_up
    assert joined.server.decryptor is None
    joined.tamper = None
    joined.server.renegotiate_encryption(joined.now)
    joined.run(30)
    assert joined.closed(SERVER) is None
    assert_up(joined, STRONGEST)


def test_ccp_is_negotiated_anew_and_nothing_passes_meanwhile() -> None:
    joined = both()
    joined.server.renegotiate_encryption(joined.now)
    assert not joined.server.network_up
    assert joined.server.encryptor is None
    joined.run()
    assert_up(joined, STRONGEST)
    assert_decrypts(joined)


def test_a_new_ccp_that_comes_to_nothing_ends_the_link() -> None:
    """The peer acknowledges ours for ever and never asks for its own: no counter of RFC 1661 bounds that."""

    def tamper(sender: Role, protocol: int, packet: ControlPacket) -> list[ControlPacket] | None:
        return [] if (sender, protocol, packet.code) == (CLIENT, CCP, Code.CONFIGURE_REQUEST) else None

    joined = Joined({}, {"establish_timeout": 500, "limits": NegotiationLimits(max_configure=100)}).up()
    joined.tamper = tamper
    joined.server.renegotiate_encryption(joined.now)
    joined.run(70)
    assert joined.closed(SERVER) == "no network after 60 s, phase network"


def test_ipcp_alone_does_not_bring_the_network_up() -> None:
    joined = Joined().up()
    joined.tamper = lambda sender, protocol, packet: [] if protocol == CCP else None
    joined.server.renegotiate_encryption(joined.now)
    joined.inject(SERVER, configure_frame(IPCP, 1, 99, (IpcpOption.IP_ADDRESS, REMOTE.packed)))
    assert joined.server.ipcp is not None
    assert joined.server.ipcp.opened
    assert not joined.server.network_up
    joined.tamper = None
    joined.run(10)
    assert_up(joined, STRONGEST)


def test_a_reset_request_flushes_the_stateful_cipher() -> None:
    joined = both(stateless=False)
    assert joined.server.encryptor is not None
    joined.server.encryptor.encrypt_frame(plaintext())
    ((protocol, ack),) = joined.inject(SERVER, frame_of(CCP, ControlPacket(Code.RESET_REQUEST, 33)))
    assert (protocol, ack) == (CCP, ControlPacket(Code.RESET_ACK, 33))
    assert joined.server.encryptor.encrypt_frame(plaintext())[0] & 0x80


def test_a_lost_frame_is_asked_for_until_the_cipher_is_flushed() -> None:
    joined = both(stateless=False)
    sender, receiver = joined.server.encryptor, joined.client.decryptor
    assert sender is not None
    assert receiver is not None
    first, _, third = (sender.encrypt_frame(plaintext(number)) for number in range(3))
    assert receiver.decrypt_frame(first, 1) is not None
    assert receiver.decrypt_frame(third, 3) is None
    joined.tamper = lambda sender, protocol, packet: [] if packet.code == Code.RESET_REQUEST else None
    joined.client.request_reset(joined.now)
    joined.run(1.2)
    assert len(joined.sent(CLIENT, CCP, Code.RESET_REQUEST)) == 3
    joined.tamper = None
    joined.run(0.5)
    assert receiver.decrypt_frame(sender.encrypt_frame(plaintext(3)), 4) == plaintext(3)
    count = len(joined.sent(CLIENT, CCP, Code.RESET_REQUEST))
    joined.run(5)
    assert len(joined.sent(CLIENT, CCP, Code.RESET_REQUEST)) == count


class TestKeys:
    def test_short_keys_after_mschap_start_from_the_lm_hash(self) -> None:
        """RFC 3079 section 2.1: only 128 bits come from the NT hash and the challenge."""
        joined = both(auth=(AuthMethod.MSCHAP,), strengths=(Strength.BITS_40,))
        lm_hash = Secret(password=PASSWORD).lm_hash
        assert lm_hash is not None
        assert joined.server.encryptor is not None
        decryptor = Decryptor(lm_hash[:8], Strength.BITS_40, stateless=True)
        assert decryptor.decrypt_frame(joined.server.encryptor.encrypt_frame(plaintext()), 1) == plaintext()

    @staticmethod
    def without_lm_hash() -> MppeKeys:
        return keys_for_mschap_v1(None, bytes(16), bytes(8))

    def test_a_strength_without_keys_is_not_offered(self) -> None:
        encryption = LinkEncryption(LinkConfig(name="server", strengths=(Strength.BITS_40, Strength.BITS_128)))
        assert encryption.begin(self.without_lm_hash(), 0.0) == ""
        assert encryption.ccp.mppe.strengths == (Strength.BITS_128,)

    @pytest.mark.parametrize("policy", [REQUIRE, PREFER])
    def test_no_strength_with_keys(self, policy: MppePolicy) -> None:
        encryption = LinkEncryption(LinkConfig(name="server", mppe=policy, strengths=(Strength.BITS_40,)))
        refusal = encryption.begin(self.without_lm_hash(), 0.0)
        assert refusal == ("MPPE is required, but there is no key of an allowed length" if policy is REQUIRE else "")
