"""Who may log in, and with which address."""

from pypptp.auth.account import ANY_ADDRESS, Account, AddressRule, new_account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import Entry, Secrets, parse_chap_secrets, read_chap_secrets
from pypptp.auth.leases import LeaseRefused, LeaseRequest, Leases, PoolLeases
from pypptp.auth.secret_cache import SecretCache
from pypptp.auth.session_limits import SessionLimits, SessionPolicy, SingleSession

__all__ = [
    "ANY_ADDRESS",
    "Account",
    "AccountAuthority",
    "AddressPool",
    "AddressRule",
    "Authority",
    "Entry",
    "LeaseRefused",
    "LeaseRequest",
    "Leases",
    "PoolLeases",
    "SecretCache",
    "Secrets",
    "SecretsAuthority",
    "SessionLimits",
    "SessionPolicy",
    "SingleSession",
    "new_account",
    "parse_chap_secrets",
    "read_chap_secrets",
]
