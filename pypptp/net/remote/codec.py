"""Values between the two processes: what a method's annotations say, as JSON.

Nothing is believed: a value is read as the type that the annotation of :class:`pypptp.net.edge.NetworkEdge` has for it,
or it is refused.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any, Union, get_args, get_origin, get_type_hints

from pypptp.net.edge import Tun
from pypptp.net.remote.channel import BadMessage

_TEXTUAL = (IPv4Address, IPv4Network, IPv6Address)
_SERIES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    Iterable: tuple,
    Sequence: tuple,
}
FindTun = Callable[[int], Tun]


@cache
def hints_of(method: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a method, resolved; ``return`` among them."""
    return get_type_hints(method)


@cache
def signature_of(method: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method."""
    return inspect.signature(method)


def encode(value: Any, number_of: Callable[[Any], int | None]) -> Any:
    """Write a value as what JSON can hold.

    Args:
        value: a value.
        number_of: the number that both processes know a TUN by; None for what is no TUN.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, _TEXTUAL):
        return str(value)
    number = number_of(value)
    if number is not None:
        return {"tun": number}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name), number_of) for field in fields(value)}
    if isinstance(value, Iterable):
        return [encode(item, number_of) for item in value]
    raise BadMessage(f"a {type(value).__name__} cannot be sent to another process")


def decode(hint: Any, data: Any, tun_of: FindTun) -> Any:
    """Read a value of the type ``hint``. Raises BadMessage for anything else."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_one_of(get_args(hint), data, tun_of)
    if hint is None or hint is types.NoneType:
        return _exactly(type(None), data)
    if hint in (bool, int, str):
        return _exactly(hint, data)
    if hint is float:
        return float(_exactly(type(data) if type(data) in (int, float) else float, data))
    if hint in _TEXTUAL:
        try:
            return hint(_exactly(str, data))
        except ValueError as error:
            raise BadMessage(str(error)) from None
    if hint is Tun:
        if not isinstance(data, dict) or set(data) != {"tun"}:
            raise BadMessage("no TUN")
        return tun_of(_exactly(int, data["tun"]))
    if origin in _SERIES:
        inner = get_args(hint)[0]
        return _SERIES[origin]([decode(inner, item, tun_of) for item in _exactly(list, data)])
    if is_dataclass(hint) and isinstance(hint, type):
        types_of = get_type_hints(hint)
        if not isinstance(data, dict) or set(data) != {field.name for field in fields(hint)}:
            raise BadMessage(f"no {hint.__name__}")
        return hint(**{name: decode(types_of[name], value, tun_of) for name, value in data.items()})
    raise BadMessage(f"a {hint} cannot come from another process")


def _decode_one_of(hints: tuple[Any, ...], data: Any, tun_of: FindTun) -> Any:
    for hint in hints:
        try:
            return decode(hint, data, tun_of)
        except BadMessage:
            continue
    raise BadMessage("a value is of none of the types it may have")


def _exactly(kind: Any, data: Any) -> Any:
    if type(data) is not kind:
        raise BadMessage(f"a value is no {kind.__name__}")
    return data
