"""Who may log in, and with which address."""

from pypptp.auth.account import ANY_ADDRESS, Account, AddressRule, new_account
from pypptp.auth.address_pool import AddressPool
from pypptp.auth.authority import AccountAuthority, Authority, SecretsAuthority
from pypptp.auth.chap_secrets import Entry, Secrets, parse_chap_secrets, read_chap_secrets
from pypptp.auth.leases import Leases, PoolLeases
from pypptp.auth.secret_cache import SecretCache

__all__ = [
    "ANY_ADDRESS",
    "Account",
    "AccountAuthority",
    "AddressPool",
    "AddressRule",
    "Authority",
    "Entry",
    "Leases",
    "PoolLeases",
    "SecretCache",
    "Secrets",
    "SecretsAuthority",
    "new_account",
    "parse_chap_secrets",
    "read_chap_secrets",
]
