"""Test that recorded requests of the provider give the results in their expected files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from gateway.ports import Adapter
from gateway.testing import requestfile
from gateway.testing.contract.base import Contract
from gateway.testing.forge import Message, outcome


class RecordedContract(Contract):
    """Tests of the results of recorded requests."""

    def recorded(self, adapter: Adapter, requests_dir: Path) -> Iterator[tuple[str, Message]]:
        """Yield stem and message of every recorded file; override this for another form than HTTP."""
        yield from requestfile.read_all(requests_dir)

    def test_recorded_requests(self, adapter: Adapter, requests_dir: Path) -> None:
        """Compare every recorded request with its expected file."""
        cases = list(self.recorded(adapter, requests_dir))
        assert cases, f"record a real request first: {requests_dir} has no file"
        for stem, message in cases:
            path = requests_dir.parent / "expected" / f"{stem}.json"
            assert path.exists(), f"write {path.name}: the expected result of the file {stem} in requests/"
            result, expected = outcome(adapter, message), json.loads(path.read_bytes())
            assert result == expected, f"{stem}: if the new result is right, put it into expected/{path.name}"
