"""The recipe's files between all pairs: what one program's tools wrote, another reads as it is."""

from __future__ import annotations

import pytest

from . import wire
from .cases import OLD_FILES
from .conftest import MakeScenario
from .old_files import OldFilesPair, Writer
from .pairs import Pair
from .peers.settings import Settings

WRITERS: dict[str, Writer] = {"old-files": "pptpsetup", "old-files-setup": "pypptp setup"}


@pytest.mark.parametrize("row", OLD_FILES)
def test_old_files(row: str, pair: Pair, scenario: MakeScenario) -> None:
    settings = Settings()
    run = scenario(row)
    run.pair = OldFilesPair(pair.name, pair.title, pair.client, pair.server, WRITERS[row])
    run.start_server(settings)
    client, tunnel = run.connect(settings, limit=60)
    run.check_traffic(tunnel)
    assert client.disconnect() in (0, *((5,) if pair.client == "real" else ()))
    run.await_hung_up()
    recording = run.record()
    wire.check(recording, settings, pair)
    run.assert_nothing_left()
