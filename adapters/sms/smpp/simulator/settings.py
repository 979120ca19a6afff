"""Type the channel's settings, as the simulator reads them; `adapters/sms/smpp/settings.py` documents their meaning."""

from __future__ import annotations

from typing import Protocol

from gateway.ports import Secret


class AccountSettings(Protocol):
    """The settings of a channel that the simulator reads."""

    host: str
    port: int
    tls: bool
    system_id: str
    password: Secret
    sender: str
