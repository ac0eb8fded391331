"""From a user's settings to those of the core."""

from __future__ import annotations

from pypptp.aio.server import ServerConfig
from pypptp.aio.time_limits import TimeLimits
from pypptp.control import ControlConfig
from pypptp.endpoint import EndpointConfig
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import MPPE_OVERHEAD, LinkConfig, MppePolicy
from pypptp.service.settings import ClientSettings, CommonSettings, ServerSettings

AUTH_METHODS = {
    "mschap-v2": AuthMethod.MSCHAPV2,
    "mschap": AuthMethod.MSCHAP,
    "chap": AuthMethod.CHAP,
    "pap": AuthMethod.PAP,
}


def server_endpoint(settings: ServerSettings) -> EndpointConfig:
    """Return the endpoint settings of a server's connections."""
    return EndpointConfig(
        link=_link(settings, settings.name, ask_dns=False), control=_control(settings), check_source=True
    )


def server_config(settings: ServerSettings) -> ServerConfig:
    """Return the settings of a server."""
    return ServerConfig(
        endpoint=server_endpoint(settings),
        local=settings.local,
        listen=settings.listen,
        port=settings.port,
        dns=settings.dns,
        nbns=settings.wins,
        limits=TimeLimits(idle=settings.idle, maxconnect=settings.maxconnect, chap_interval=settings.chap_interval),
        ifname=settings.ifname,
    )


def client_endpoint(settings: ClientSettings, user: str) -> EndpointConfig:
    """Return the endpoint settings of a client's connection."""
    return EndpointConfig(link=_link(settings, user, ask_dns=True), control=_control(settings))


def _control(settings: CommonSettings) -> ControlConfig:
    return ControlConfig(echo_interval=settings.echo_interval)


def _link(settings: CommonSettings, name: str, *, ask_dns: bool) -> LinkConfig:
    return LinkConfig(
        name=name,
        auth=tuple(AUTH_METHODS[method] for method in settings.auth),
        mppe=MppePolicy(settings.mppe),
        stateless=not settings.mppe_stateful,
        pfc=settings.pcomp,
        acfc=settings.accomp,
        strengths=tuple(Strength(bits) for bits in settings.mppe_strength),
        mtu=settings.mtu,
        mru=settings.mtu + MPPE_OVERHEAD if settings.mru is None else settings.mru,
        ask_dns=ask_dns,
        echo_interval=settings.lcp_echo_interval,
        echo_failure=settings.lcp_echo_failure,
    )
