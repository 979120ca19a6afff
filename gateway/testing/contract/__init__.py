"""Test the rules that every adapter must keep, with a pytest class to inherit.

A test of an adapter is a subclass of `AdapterContract` with three fixtures: `adapter`, `forge` (the messages and facts
of its provider: see `gateway.testing.forge.Forge`) and `requests_dir` (a folder with request files; the expected
results are in `../expected`, with the same stem).
Needs the `test` extra. The message of every assertion tells the author how to fix the adapter.
"""

from __future__ import annotations

from gateway.testing.contract.door import DoorContract
from gateway.testing.contract.leaks import LeakContract
from gateway.testing.contract.recorded import RecordedContract
from gateway.testing.contract.replies import ReplyContract
from gateway.testing.contract.room import RoomContract
from gateway.testing.contract.translation import TranslationContract

__all__ = ["AdapterContract"]


class AdapterContract(RoomContract, RecordedContract, DoorContract, TranslationContract, ReplyContract, LeakContract):
    """All contract tests: inherit from this class and write the three fixtures."""
