from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pypptp.service.client_requests import client_requests
from pypptp.service.client_state import ClientState
from tests.service.test_server_requests import documented


def test_status_is_what_is_documented() -> None:
    state = ClientState("vpn.example", "alice")
    handlers = client_requests(state, lambda: None)

    async def scenario() -> Mapping[str, Any]:
        return await handlers["status"]({})

    answer = asyncio.run(scenario())
    assert set(answer) == documented("`status` of a client")
    assert (answer["server"], answer["user"], answer["state"]) == ("vpn.example", "alice", "dialling")


def test_stop_is_answered_before_it_is_done() -> None:
    done: list[str] = []
    handlers = client_requests(ClientState("vpn.example", "alice"), lambda: done.append("stopped"))

    async def scenario() -> None:
        answer = await handlers["stop"]({})
        assert set(answer) == documented("`stop`, of a client")
        assert done == []
        await asyncio.sleep(0)
        assert done == ["stopped"]

    asyncio.run(scenario())
