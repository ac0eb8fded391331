from pypptp.auth.account import Account
from pypptp.auth.secret_cache import SecretCache

NT_HASH = bytes(range(16))


def test_the_same_user_the_same_secret() -> None:
    cache = SecretCache()
    # An authority makes a new account for each log-in.
    first, second = (cache.secret(Account("alice", "wonderland")) for _ in range(2))
    assert first is second
    assert first.nt_hash is second.nt_hash
    assert len(cache) == 1


def test_what_proves_the_user_decides() -> None:
    cache = SecretCache()
    before = cache.secret(Account("alice", "wonderland"))
    assert cache.secret(Account("alice", "looking-glass")) is not before
    assert cache.secret(Account("alice", None, NT_HASH)).nt_hash == NT_HASH
    assert cache.secret(Account("DOMAIN\\alice", "wonderland")) is before


def test_it_is_bounded_and_forgets_the_longest_unused() -> None:
    cache = SecretCache(maximum=2)
    alice = cache.secret(Account("alice", "a"))
    bob = cache.secret(Account("bob", "b"))
    assert cache.secret(Account("alice", "a")) is alice
    cache.secret(Account("carol", "c"))
    assert len(cache) == 2
    assert cache.secret(Account("alice", "a")) is alice
    assert cache.secret(Account("bob", "b")) is not bob
