"""From a user's settings to those of the core."""

from __future__ import annotations

from pypptp.aio.passage import PassageConfig
from pypptp.aio.rates import UNLIMITED, Rates
from pypptp.aio.server import ServerConfig
from pypptp.aio.time_limits import TimeLimits
from pypptp.control import ControlConfig
from pypptp.endpoint import EndpointConfig
from pypptp.inner_traffic import InnerPolicy
from pypptp.mppe.keys import Strength
from pypptp.ppp.auth import AuthMethod
from pypptp.ppp.config import MPPE_OVERHEAD, LinkConfig, MppePolicy
from pypptp.service.hooks import HookSettings
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
        link=_link(settings, settings.name, ask_dns=False),
        control=_control(settings),
        check_source=True,
        policy=InnerPolicy(multicast=settings.allow_multicast, port=settings.port),
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
        connections=settings.connection_limits(),
        passage=PassageConfig(
            nested=settings.allow_nested,
            isolated=settings.isolate,
            proxy_arp=settings.proxy_arp,
            rates=Rates(settings.rate or UNLIMITED, {named.user: named.rate for named in settings.user_rate}),
        ),
    )


def hook_settings(settings: CommonSettings) -> HookSettings:
    """Return what is run when tunnels come and go."""
    return HookSettings(
        ip_up=settings.ip_up,
        ip_down=settings.ip_down,
        timeout=settings.hook_timeout,
        ipparam=settings.ipparam,
        linkname=settings.linkname or "",
    )


def client_endpoint(settings: ClientSettings, user: str) -> EndpointConfig:
    """Return the endpoint settings of a client's connection."""
    return EndpointConfig(
        link=_link(settings, user, ask_dns=True),
        control=_control(settings),
        check_source=True,
        policy=InnerPolicy(multicast=settings.allow_multicast),
    )


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
