import pytest

from pypptp.control.config import ControlConfig
from pypptp.errors import ConfigurationError


@pytest.mark.parametrize(
    "fields",
    [
        {"host_name": b"h" * 65},
        {"vendor_name": b"v" * 65},
        {"receive_window": 0},
        {"receive_window": 65536},
        {"maximum_calls": 0},
        {"echo_interval": -1},
        {"echo_timeout": 0},
        {"stop_timeout": -1.0},
    ],
)
def test_what_cannot_be_sent_or_waited_for_is_refused_by_name(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(fields))):
        ControlConfig(**fields)  # type: ignore[arg-type]
