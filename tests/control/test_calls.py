from pypptp.control.calls import CallState, CallTable
from tests.control.joined import call_ids


def test_calls_are_found_by_either_id() -> None:
    ids = call_ids()
    table = CallTable(ids)
    call = table.add(0, 5.0)
    assert table.get(call.call_id) is table.of_peer(0) is call
    assert table.deadline() == 5.0
    table.remove(call)
    assert table.get(call.call_id) is table.of_peer(0) is None
    assert table.deadline() is None
    assert len(ids) == len(table) == 0


def test_a_notify_means_the_named_call_then_an_unnamed_one_then_the_only_one_being_cleared() -> None:
    table = CallTable(call_ids())
    named, unnamed, cleared = table.add(10, 1.0), table.add(None, 1.0), table.add(12, 1.0)
    assert table.disconnected(99) is None
    cleared.state = CallState.CLEARING
    assert table.disconnected(99) is cleared
    unnamed.state = CallState.CLEARING
    assert table.disconnected(99) is unnamed
    assert table.disconnected(10) is named
    table.remove(unnamed)
    named.state = CallState.CLEARING
    assert table.disconnected(99) is None


def test_calls_can_be_removed_while_iterating_oldest_first() -> None:
    table = CallTable(call_ids())
    added = [table.add(number, 1.0) for number in range(5)]
    seen = []
    for call in table:
        seen.append(call)
        table.remove(call)
    assert seen == added
