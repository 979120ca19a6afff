"""The protocols that simulators share: a message of the gateway, a simulated provider, and the gateway's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Message(Protocol):
    """A message that the gateway sent; the class of a provider may have more fields."""

    @property
    def from_(self) -> str:
        """Return our address."""

    @property
    def to(self) -> str:
        """Return the citizen's address."""

    @property
    def body(self) -> str:
        """Return the text."""


class Outcome(Protocol):
    """The gateway's answer to a citizen's message."""

    @property
    def status(self) -> int | None:
        """Return the HTTP status, or an equal number on other channels; `None` if the gateway did not answer."""

    @property
    def error(self) -> str | None:
        """Return the text of a refusal, or the kind of failure."""


class Provider(Protocol):
    """A simulated provider, as the simulator uses it; `SimulatedProvider` implements it for HTTP."""

    sender: str  # our address at the provider

    @property
    def url(self) -> str:
        """Return the URL on which it listens."""

    @property
    def setting(self) -> str:
        """Return the name of the channel's setting with its address."""

    def start(self) -> object:
        """Listen; raises `OSError` if the port is taken."""

    def hang_up(self) -> None:
        """End the calls that wait for the gateway's answer; they have failed."""

    def stop(self) -> None:
        """Stop listening."""

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = ()) -> Outcome:
        """Send a citizen's message and return the gateway's answer."""

    def replies_elsewhere(self, number: str) -> Sequence[str]:
        """Return the replies to a number that a simulator in another process received; it listens on this port.

        Raises `OSError`, `ValueError` or `LookupError` if the program that listens there is no simulator.
        """

    def subscribe(self, listener: Callable[[Message], None]) -> None:
        """Call the listener with every reply."""
