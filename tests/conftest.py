"""What every test may ask for besides the shipped fixtures: foreign programs."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from foreign import CACHE, Absent, absent
from foreign.smsc import node_modules


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the folder that foreign programs are unpacked into."""
    return Path(os.environ.get(CACHE) or tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="session")
def modules(peers: Path) -> Path:
    """Install the npm peer, and name the folder of its modules."""
    try:
        return node_modules(peers / "node")
    except Absent as exc:
        absent(exc)
