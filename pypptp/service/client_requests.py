"""What a running client can be asked, and told to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pypptp.service.client_state import ClientState
from pypptp.service.control_socket import Handler


def client_requests(state: ClientState, stop: Callable[[], object]) -> dict[str, Handler]:
    """Return the answers of a client.

    Args:
        state: what it is doing; read with each question.
        stop: ends it in order, as a signal does.
    """

    async def status(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return state.report()

    async def hang_up(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        # Once the answer is under way.
        asyncio.get_running_loop().call_soon(stop)
        return {"stopping": True}

    return {"status": status, "stop": hang_up}
