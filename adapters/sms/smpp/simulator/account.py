"""Describe the settings of a configured channel that its simulated operator needs."""

from __future__ import annotations

from typing import Protocol

from gateway.ports import Secret


class Account(Protocol):
    """Give the channel's settings; a Protocol, because a simulator does not import its adapter."""

    @property
    def host(self) -> str:
        """Return the address of the SMSC."""

    @property
    def port(self) -> int:
        """Return the port of the SMSC."""

    @property
    def tls(self) -> bool:
        """Return whether the channel encrypts with TLS."""

    @property
    def system_id(self) -> str:
        """Return the name of the account."""

    @property
    def password(self) -> Secret:
        """Return the password of the account."""

    @property
    def sender(self) -> str:
        """Return our number."""
