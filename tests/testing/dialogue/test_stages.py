from __future__ import annotations

from dataclasses import replace

import pytest

from pypptp.mppe import Strength
from pypptp.ppp.ccp import SupportedBits
from pypptp.ppp.config import MppePolicy
from pypptp.ppp.lcp import OptionType
from pypptp.ppp.packet import Option
from pypptp.roles import Role
from pypptp.testing.dialogue.case import Case
from pypptp.testing.dialogue.memory import INNER, MemoryNetwork, Peers, target_of
from pypptp.testing.dialogue.verdicts import Unreached
from pypptp.testing.dialogue.virtual_time import run


def case_with(peers: Peers) -> Case:
    return Case(target_of(peers), MemoryNetwork(peers))


@pytest.mark.parametrize("role", list(Role))
def test_the_whole_way_with_either_role(role: Role) -> None:
    async def scenario() -> None:
        call = await case_with(Peers(role)).network_up()
        assert call.encryptor is not None
        assert (call.encryptor.strength, call.encryptor.stateless) == (Strength.BITS_128, True)
        if role is Role.SERVER:
            assert (call.gateway, str(call.address)) == (INNER, "192.168.0.234")
        assert call.undecryptable == 0

    run(scenario())


def test_stateful_towards_the_target() -> None:
    async def scenario() -> None:
        call = await case_with(Peers(Role.SERVER)).network_up(int(SupportedBits.BITS_128))
        assert call.encryptor is not None
        assert call.decryptor is not None
        assert not call.encryptor.stateless
        # In its own direction our server asks for stateless mode, and is followed.
        assert call.decryptor.stateless

    run(scenario())


def test_naks_are_followed_and_what_is_rejected_left_out() -> None:
    async def scenario() -> None:
        case = case_with(Peers(Role.SERVER))
        call = await case.call()
        asked = [Option(OptionType.MRU, b"\0\x10"), Option(OptionType.CALLBACK, b"\6")]
        agreement = await case.stages.open_lcp(call, [*asked, *case.stages.lcp_options(call)])
        assert Option(OptionType.MRU, b"\0\x80") in agreement.ours
        assert OptionType.CALLBACK not in [option.type for option in agreement.ours]
        assert OptionType.AUTHENTICATION in [option.type for option in agreement.theirs]

    run(scenario())


def test_a_wrong_password() -> None:
    async def scenario(role: Role) -> None:
        peers = Peers(role)
        case = Case(replace(target_of(peers), password="wrong"), MemoryNetwork(peers))
        await case.logged_in()

    with pytest.raises(Unreached, match="the log-in as b'alice' failed"):
        run(scenario(Role.SERVER))
    with pytest.raises(Unreached, match="the client's Response is wrong"):
        run(scenario(Role.CLIENT))


def test_a_target_that_does_not_encrypt() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        peers.config = replace(peers.config, link=replace(peers.config.link, mppe=MppePolicy.DENY))
        await case_with(peers).encrypted()

    with pytest.raises(Unreached, match="CCP did not open: Protocol-Reject"):
        run(scenario())


def test_a_target_without_addresses() -> None:
    async def scenario() -> None:
        peers = Peers(Role.SERVER)
        peers.free.clear()
        await case_with(peers).network_up()

    with pytest.raises(Unreached, match="no address left in the pool"):
        run(scenario())
