import pytest

from pypptp.control.codes import (
    DisconnectResult,
    GeneralError,
    MessageType,
    OutgoingCallResult,
    StartResult,
    explain,
)


def test_a_known_code_is_described_by_name() -> None:
    assert OutgoingCallResult.describe(4) == "Busy (4): a busy signal was detected"
    assert OutgoingCallResult.describe(7) == "Do Not Accept (7): the call is administratively prohibited"


def test_an_unknown_code_is_described_too() -> None:
    assert "200" in StartResult.describe(200)


@pytest.mark.parametrize("result", [0, 1, 3, 4, 255])
def test_the_error_code_counts_only_beside_general_error(result: int) -> None:
    # cc/2.16/1
    assert explain(DisconnectResult, result, GeneralError.NO_RESOURCE) == DisconnectResult.describe(result)
    assert "No Resource (4)" in explain(DisconnectResult, 2, GeneralError.NO_RESOURCE)


def test_there_are_fifteen_messages() -> None:
    assert [member.value for member in MessageType] == list(range(1, 16))
    assert MessageType(7).text == "Outgoing-Call-Request"
