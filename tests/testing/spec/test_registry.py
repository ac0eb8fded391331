from pypptp.roles import Role
from pypptp.testing.spec import CATALOGUE, REGISTRY, select


def test_every_entry_has_its_check() -> None:
    assert set(REGISTRY) == set(CATALOGUE)


def test_every_check_says_what_it_does() -> None:
    assert [check_id for check_id, check in REGISTRY.items() if not check.function.__doc__] == []


def test_selection() -> None:
    assert select(Role.SERVER) == list(CATALOGUE)
    assert select(Role.SERVER, ["cc/1.4/1"]) == ["cc/1.4/1", "cc/1.4/10", "cc/1.4/11"]
    assert select(Role.SERVER, ["life", "data/5"]) == ["data/5", "life/1", "life/2", "life/3"]
    assert select(Role.SERVER, ["nothing"]) == []
    client = select(Role.CLIENT)
    assert {"cc/2.8/1", "cc/2.8/2", "cc/2.13/1", "auth/msv2/6", "auth/msv2/7"} < set(client) < set(CATALOGUE)
    assert "cc/2.7/1" not in client
