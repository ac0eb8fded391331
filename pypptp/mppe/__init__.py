"""MPPE: cipher state, keys and the old ciphers below them (RFC 3078, RFC 3079)."""

from pypptp.mppe.cipher import (
    DISCARDED,
    HEADER_LENGTH,
    IMPLAUSIBLE,
    LATE,
    NEEDS_RESET,
    NOT_ENCRYPTED,
    NOT_FLUSHED,
    OK,
    PROTOCOL,
    SHORT,
    VERDICTS,
    Decryptor,
    Encryptor,
)
from pypptp.mppe.keys import MppeKeys, Strength, keys_for_mschap_v1, keys_for_mschap_v2
from pypptp.mppe.plausibility import Plausibility, anything, is_plausible
from pypptp.mppe.rc4 import BACKEND, Backend, Handle, Rc4, bind, load_backend

__all__ = [
    "BACKEND",
    "DISCARDED",
    "HEADER_LENGTH",
    "IMPLAUSIBLE",
    "LATE",
    "NEEDS_RESET",
    "NOT_ENCRYPTED",
    "NOT_FLUSHED",
    "OK",
    "PROTOCOL",
    "SHORT",
    "VERDICTS",
    "Backend",
    "Decryptor",
    "Encryptor",
    "Handle",
    "MppeKeys",
    "Plausibility",
    "Rc4",
    "Strength",
    "anything",
    "bind",
    "is_plausible",
    "keys_for_mschap_v1",
    "keys_for_mschap_v2",
    "load_backend",
]
